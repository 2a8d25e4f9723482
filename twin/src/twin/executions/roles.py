"""What Step Functions asks of a state machine's role when the machine is made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from twin import iam
from twin.events.clients import client_of_role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = Any

_MANAGED_RULE = "StepFunctionsGetEventsForBatchJobsRule"
_PATTERN = {"source": ["aws.batch"], "detail-type": ["Batch Job State Change"]}


class RoleRefused(Exception):
    """Step Functions cannot use this role; the text says what is missing."""


def check(role_arn: str, machine_arn: str, definition: Mapping[str, Json]) -> None:
    """Check that Step Functions can use a role, and make the rule that a `.sync` Batch Task rests on, as that role.

    Source: "IAM policies for AWS Batch" (Step Functions developer guide).

    Raises
    ------
    RoleRefused
    """
    try:
        trusted = iam.service_may_assume("states.amazonaws.com", role_arn, machine_arn).allowed
    except Exception as error:
        raise RoleRefused(f"the role {role_arn} is not deployed: {error}") from error
    if not trusted:
        raise RoleRefused(
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the "
            f"provided role {role_arn}"
        )
    if any(state.get("Resource") == "arn:aws:states:::batch:submitJob.sync" for state in _tasks(definition)):
        _watch_jobs(role_arn)


def _watch_jobs(role_arn: str) -> None:
    client = client_of_role("events", role_arn)
    try:
        client.put_rule(Name=_MANAGED_RULE, EventPattern=json.dumps(_PATTERN))
        client.put_targets(Rule=_MANAGED_RULE, Targets=[])
        client.describe_rule(Name=_MANAGED_RULE)
    except ClientError as error:
        raise RoleRefused(f"'{role_arn}' is not authorized to create managed-rule: {error}") from error


def _tasks(machine: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    for state in machine.get("States", {}).values():
        yield state
        for inner in (*state.get("Branches", []), state.get("ItemProcessor", {})):
            yield from _tasks(inner)
