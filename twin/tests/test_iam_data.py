"""The twin's permission tables hold against IAM's data as AWS publishes it, for every operation of every service that they know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clouds import iam_data
from twin.credentials import botocore_session
from twin.iam import permissions
from twin.iam.permissions import s3
from twin.iam.requests import Call

if TYPE_CHECKING:
    from botocore.model import Shape

pytestmark = pytest.mark.documented(
    "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"
)

SERVICES = {
    "batch": "batch",
    "dynamodb": "dynamodb",
    "events": "events",
    "iam": "iam",
    "lambda": "lambda",
    "logs": "logs",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "states": "stepfunctions",
    "sts": "sts",
}
"""botocore's names of the services, by the prefix of their actions."""

GIVEN = "arn:aws:given:us-east-1:123456789012:by-the-caller"
"""An ARN that a call names itself; what it is of is the caller's to say."""

FILLED = {
    ("batch", "jobDefinition"): "gang:3",
    ("lambda", "Resource"): GIVEN,
    ("dynamodb", "TransactItems"): [{"Put": {"TableName": "runs"}}, {"Get": {"TableName": "runs"}}],
}

WITHOUT_AN_ACTION = {
    "batch": {"CancelJobs", "TerminateJobs", "TerminateServiceJobs"},
    "dynamodb": {
        "BatchExecuteStatement",
        "CancelBulkOperation",
        "DescribeBulkOperation",
        "ExecuteStatement",
        "ExecuteTransaction",
        "ListBulkOperations",
        "StartBulkPutItems",
    },
    "iam": {"AcquireRole", "UpdateDelegationRequest"},
    "lambda": {"DeleteDurableExecution", "GetLayerVersionByArn", "PauseDurableExecution", "ResumeDurableExecution"},
    "logs": {"GetLogObject"},
    "secretsmanager": {
        "AssociateCrossAccountReplica",
        "DisassociateCrossAccountReplica",
        "ListResourcePolicies",
    },
    "ssm": {
        "DeregisterDefaultHostManagementConfiguration",
        "RegisterDefaultHostManagementConfiguration",
    },
}
"""Operations that are authorised by actions of other names, or that are newer than the data. The twin asks for an action of the
operation's name, which no policy that AWS knows has: it refuses them."""


def filled(service: str, name: str, shape: Shape) -> Any:
    """Something for a required parameter."""
    if (service, name) in FILLED:
        return FILLED[service, name]
    if name.lower().endswith("arn"):
        return GIVEN
    return {"list": [], "structure": {}, "map": {}, "integer": 1, "boolean": True}.get(shape.type_name, "x")


def asked(service: str, operation: str) -> Call:
    """A call with every parameter that it must have."""
    shape = botocore_session().get_service_model(SERVICES[service]).operation_model(operation).input_shape
    required = shape.required_members if shape else []
    parameters = {name: filled(service, name, shape.members[name]) for name in required}  # type: ignore[union-attr]
    return Call(service, operation, "us-east-1", "POST", "/", parameters=parameters)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_asks_for_an_action_of_aws_on_a_resource_that_it_takes(service: str) -> None:
    wrong, unknown = [], set()
    for operation in botocore_session().get_service_model(SERVICES[service]).operation_names:
        for ask in permissions.needed(asked(service, operation)):
            types = iam_data.find_resource_types(ask.action)
            if types is None:
                unknown.add(operation)
            elif ask.resource == "*":
                continue  # only a statement for everything allows it: the twin does not know these resources
            elif ask.resource != GIVEN and not any(iam_data.can_match(ask.resource, kind.arn) for kind in types):
                wrong.append(f"{operation}: {ask.action} on {ask.resource}")

    assert wrong == []
    assert unknown == WITHOUT_AN_ACTION.get(service, set())


def test_every_action_of_s3_is_one_of_aws() -> None:
    of_buckets = {action for actions in s3._BUCKET_SUBRESOURCES.values() for action in actions}
    of_objects = {action for actions, _ in s3._OBJECT_SUBRESOURCES.values() for action in actions}
    versioned = {
        action.replace("Object", "ObjectVersion", 1)
        for actions, has_versions in s3._OBJECT_SUBRESOURCES.values()
        if has_versions
        for action in actions
    }
    asked = (of_buckets | of_objects | versioned) - {""}

    assert {action for action in asked if iam_data.find_resource_types(f"s3:{action}") is None} == set()
    for action in of_buckets - {""}:
        types = iam_data.find_resource_types(f"s3:{action}")
        assert any(iam_data.can_match("arn:aws:s3:::bucket", kind.arn) for kind in types or ()), action


@pytest.mark.parametrize("service", SERVICES)
def test_what_needs_no_resource_is_asked_for_on_everything(service: str) -> None:
    for operation in botocore_session().get_service_model(SERVICES[service]).operation_names:
        for ask in permissions.needed(asked(service, operation)):
            if iam_data.takes_no_resource(ask.action):
                assert ask.resource == "*", operation
