"""Executions that ended badly a short while ago, for those who may not have heard of it.

Step Functions tells EventBridge of an execution's end at best effort only ("AWS Step Functions events", EventBridge events
reference): one that is lost would be a failure that nobody is told.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

BADLY: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")
LOOK_BACK = timedelta(hours=3)
"""Longer than an hour, so that a sweep that failed itself loses none."""

_NEWEST = 100
"""Of each status: a page of ListExecutions, which begins with the newest."""


def bad_endings(client: SFNClient, state_machine_arn: str, now: datetime) -> Iterator[dict[str, Any]]:
    """The event of each such end, as EventBridge should have brought it, with what our functions read of it."""
    for status in BADLY:
        found = client.list_executions(stateMachineArn=state_machine_arn, statusFilter=status, maxResults=_NEWEST)
        for execution in found["executions"]:
            if now - execution["stopDate"] < LOOK_BACK:
                yield {
                    "source": "aws.states",
                    "detail-type": "Step Functions Execution Status Change",
                    "detail": {
                        "executionArn": execution["executionArn"],
                        "name": execution["name"],
                        "status": status,
                        "redriveCount": execution.get("redriveCount", 0),
                    },
                }
