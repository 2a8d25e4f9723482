"""What each role of the system is granted: its own statements, and those of policies that stand beside it."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.template.system import System

ACCOUNT = "111122223333"
_REFERENCE = re.compile(r"\{([^}]*)\}")
_ARNS = {
    "AWS::Batch::JobQueue": "batch:{region}:{account}:job-queue/{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::ECR::Repository": "ecr:{region}:{account}:repository/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::SecretsManager::Secret": "secretsmanager:{region}:{account}:secret:{name}-a1b2c3",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{name}",
}
"""The ARN of a resource of each type (CloudFormation's "Return values" of each), as far as policies name one by reference."""


def grants_by_role(system: System) -> dict[str, list[dict[str, Any]]]:
    """Every statement of every role, by the role's path."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for resource, statement in system.statements():
        owners = [resource.path]
        if resource.type == "AWS::IAM::Policy":
            owners = [system.at(role).path for role in resource.properties["Roles"]]
        for owner in owners:
            found[owner].append(statement)
    return dict(found)


def arn_of(system: System, text: str) -> str:
    """A statement's resource as the ARN, or the pattern of ARNs, that it will be; references within an ARN stand for names."""
    match = _REFERENCE.match(text)
    if match is None:
        return _REFERENCE.sub(lambda inner: inner[1].replace(".", "-"), text)
    resource = system.at(match[0])
    arn = _ARNS[resource.type].format(region=system.region, account=ACCOUNT, name=resource.name)
    return f"arn:aws:{arn}{text[match.end() :]}"
