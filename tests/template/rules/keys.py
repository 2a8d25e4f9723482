"""Rules about a KMS key of the user's own: everything at rest is under it, and each role may use it for what the role reads and writes."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.template.grants import grants_by_role
from tests.template.rules.sources import Data, Page, rests_on
from tests.template.schemas import read_schema
from tests.template.system import System, as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_KEY_PROPERTY = re.compile(r'"\w*kms\w*key\w*": \{', re.IGNORECASE)

# Where a resource of each type names its key.
_PLACES = {
    "AWS::ECR::Repository": ("EncryptionConfiguration", "KmsKey"),
    "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::SNS::Topic": ("KmsMasterKeyId",),
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
    "AWS::SecretsManager::Secret": ("KmsKeyId",),
}

# Types that take a key and keep AWS's own, each with the reason (docs/deploy.md, "A key of yours").
_LEFT_TO_AWS = {
    "AWS::CodeBuild::Project": "its key is for artifacts, and the build of images leaves none",
    "AWS::Lambda::Function": "a function's environment holds names of resources, nothing secret",
    "AWS::Scheduler::Schedule": "a schedule's input is a constant of the template",
    "AWS::StepFunctions::StateMachine": "whoever looks at an execution, redrives it or hears of its end would need the key",
}

_BOTH = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})
_TABLE = frozenset(
    {
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    }
)

# What an action needs of the key of the resource that it is on, and through which service.
_NEEDS: dict[str, tuple[str, frozenset[str]]] = {
    "s3:GetObject": ("s3", frozenset({"kms:Decrypt"})),
    "s3:GetObjectVersion": ("s3", frozenset({"kms:Decrypt"})),
    "s3:PutObject": ("s3", _BOTH),  # kms:Decrypt for an upload in parts
    "dynamodb:GetItem": ("dynamodb", _TABLE),
    "dynamodb:PutItem": ("dynamodb", _TABLE),
    "dynamodb:Query": ("dynamodb", _TABLE),
    "dynamodb:UpdateItem": ("dynamodb", _TABLE),
    "dynamodb:DeleteItem": ("dynamodb", _TABLE),
    "sqs:SendMessage": ("sqs", _BOTH),
    "sns:Publish": ("sns", _BOTH),
    "secretsmanager:GetSecretValue": ("secretsmanager", frozenset({"kms:Decrypt"})),
}


@rests_on(Data("cfn-lint", "the properties in which CloudFormation's resource types name a KMS key"))
def everything_at_rest_is_under_the_key(system: System) -> Iterator[str]:
    """With a key of the user's own no bucket, table, queue, topic, log group, secret or volume is left under another."""
    key = system.parameters.get("KmsKeyArn")
    if not key:
        return
    listed = {*_PLACES, *_LEFT_TO_AWS, "AWS::S3::Bucket", "AWS::EC2::LaunchTemplate"}
    for resource in system.resources:
        if resource.type not in listed and _KEY_PROPERTY.search(json.dumps(read_schema(resource.type))):
            yield f"{resource.path}: a {resource.type} takes a key, and this rule does not know where"
        for named in _keys_of(resource.type, resource.properties):
            if named != key:
                yield f"{resource.path} is under {named or 'a key of AWS'}"


def _keys_of(kind: str, properties: Mapping[str, Any]) -> list[Any]:
    """The keys that a resource names, None for a missing one; nothing for a resource that holds no data."""
    if kind in _PLACES:
        found: Any = properties
        for name in _PLACES[kind]:
            found = (found or {}).get(name)
        return [found]
    if kind == "AWS::S3::Bucket":
        rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [{}])
        return [rule.get("ServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules]
    if kind == "AWS::EC2::LaunchTemplate":
        volumes = properties["LaunchTemplateData"].get("BlockDeviceMappings", [])
        return [volume["Ebs"].get("KmsKeyId") for volume in volumes if "Ebs" in volume] or [None]
    return []


@rests_on(
    Page(
        "Amazon S3 User Guide",
        "Multipart upload API and permissions: kms:GenerateDataKey and kms:Decrypt",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions",
    ),
    Page(
        "Amazon DynamoDB Developer Guide",
        "DynamoDB encryption at rest usage notes: authorizing the use of your key",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html",
    ),
    Page(
        "Amazon SQS Developer Guide",
        "Key management: permissions for producers",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
    ),
    Page(
        "Amazon SNS Developer Guide",
        "Managing Amazon SNS encryption keys and costs",
        "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
    ),
    Page(
        "AWS Secrets Manager User Guide",
        "Secret encryption and decryption: permissions for the KMS key",
        "https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html",
    ),
    Page(
        "AWS KMS Developer Guide",
        "kms:ViaService",
        "https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service",
    ),
)
def roles_may_use_the_key_for_what_they_touch(system: System) -> Iterator[str]:
    """For nothing else, through the services alone, and not at all without a key."""
    key = system.parameters.get("KmsKeyArn")
    for role, statements in grants_by_role(system).items():
        needed = _needed(statements) if key else {}
        granted: dict[str, set[str]] = defaultdict(set)
        for statement in statements:
            actions = {action for action in as_list(statement["Action"]) if action.startswith("kms:")}
            if actions:
                if as_list(statement["Resource"]) != [key]:
                    yield f"{role} may use {statement['Resource']}, the key is {key}"
                granted[_via(statement, system.region)] |= actions
        for service in sorted(needed.keys() | granted.keys()):
            if needed.get(service, set()) != granted.get(service, set()):
                yield f"{role}: through {service} it needs {sorted(needed.get(service, ()))}, it has {sorted(granted[service])}"


def _needed(statements: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    needed: dict[str, set[str]] = defaultdict(set)
    for statement in statements:
        for action in as_list(statement["Action"]):
            if action in _NEEDS:
                service, actions = _NEEDS[action]
                needed[service] |= actions
    return dict(needed)


def _via(statement: Mapping[str, Any], region: str) -> str:
    """The one service through which a statement lets the key be used."""
    service = statement.get("Condition", {}).get("StringLike", {}).get("kms:ViaService", "any service at all")
    return str(service).removesuffix(f".{region}.amazonaws.com*")


RULES = (
    everything_at_rest_is_under_the_key,
    roles_may_use_the_key_for_what_they_touch,
)
