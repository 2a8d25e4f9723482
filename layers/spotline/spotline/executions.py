"""Executions as Step Functions describes them, and the tokens that their Tasks wait behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_stepfunctions import SFNClient

    from spotline.failures import Failure

CLOCKS_DIFFER = timedelta(seconds=5)
"""By how much the clocks of two AWS services, or of one and a function, may be apart. A choice of ours: AWS states none."""

_RUNNING = ("RUNNING", "PENDING_REDRIVE")


@dataclass(frozen=True)
class Execution:
    """A run's execution as it is described now. `status` is `UNKNOWN` when Step Functions knows no such execution."""

    arn: str
    status: str
    redriven_at: datetime | None = None
    error: str = ""
    cause: str = ""
    input: str = ""
    started_at: datetime | None = None
    stopped_at: datetime | None = None

    @property
    def runs(self) -> bool:
        """Whether anything may still be done in its name."""
        return self.status in _RUNNING

    def was_redriven_after(self, moment: datetime) -> bool:
        """Whether what began at `moment` belongs to an attempt before the last redrive: no Task waits for it any more."""
        return self.redriven_at is not None and moment < self.redriven_at - CLOCKS_DIFFER


def describe_run(client: SFNClient, arn: str) -> Execution:
    """Describe the execution of a run."""
    try:
        answer = client.describe_execution(executionArn=arn)
    except client.exceptions.ExecutionDoesNotExist:
        return Execution(arn, "UNKNOWN")
    return Execution(
        arn=arn,
        status=answer["status"],
        redriven_at=answer.get("redriveDate"),
        error=answer.get("error", ""),
        cause=answer.get("cause", ""),
        input=answer.get("input", ""),
        started_at=answer.get("startDate"),
        stopped_at=answer.get("stopDate"),
    )


def answer_success(client: SFNClient, token: str, output: Mapping[str, Any]) -> bool:
    """Answer a waiting Task with its result; False when it no longer waits: answered before, timed out, or stopped."""
    gone = (client.exceptions.TaskTimedOut, client.exceptions.TaskDoesNotExist, client.exceptions.InvalidToken)
    try:
        client.send_task_success(taskToken=token, output=json.dumps(output))
    except gone:
        return False
    return True


def answer_failure(client: SFNClient, token: str, failure: Failure) -> bool:
    """Answer a waiting Task with a typed failure; False when it no longer waits."""
    gone = (client.exceptions.TaskTimedOut, client.exceptions.TaskDoesNotExist, client.exceptions.InvalidToken)
    try:
        client.send_task_failure(taskToken=token, error=failure.error.value, cause=failure.to_cause())
    except gone:
        return False
    return True
