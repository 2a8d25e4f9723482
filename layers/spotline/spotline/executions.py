"""Executions as Step Functions describes them, and the tokens that their Tasks wait behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_stepfunctions import SFNClient

    from spotline.failures import Failure

CLOCKS_DIFFER = timedelta(seconds=5)
"""By how much the clocks of two AWS services, or of one and a function, may be apart. A choice of ours: AWS states none."""

KNOWN_AFTER = timedelta(hours=1)
"""How long Step Functions may answer that it knows no such execution while there is one. A choice of ours: DescribeExecution is
eventually consistent ("DescribeExecution", Step Functions API reference), and AWS states no bound."""

_RUNNING = ("RUNNING", "PENDING_REDRIVE")


class Standing(StrEnum):
    """How a gang or a job stands to its execution, as far as a description of the execution shows."""

    AWAITED = "the execution runs"
    ENDED = "the execution does not run any more"
    REDRIVEN = "the execution was redriven since"
    UNCLEAR = "the description is older than the gang or the job"


@dataclass(frozen=True)
class Execution:
    """A run's execution as it is described. `status` is `UNKNOWN` when Step Functions knows no such execution.

    `redrives` is how often it has been redriven. With the status it orders descriptions: within one redrive an execution runs first
    and has ended then, so that a description with fewer redrives than something was begun in is older than that.
    """

    arn: str
    status: str
    redriven_at: datetime | None = None
    error: str = ""
    cause: str = ""
    input: str = ""
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    redrives: int = 0

    @property
    def runs(self) -> bool:
        """Whether anything may still be done in its name."""
        return self.status in _RUNNING

    def find_standing(self, began: datetime, redrives: int | None, now: datetime) -> Standing:
        """Say whether a Task may still wait for what was begun for it.

        Parameters
        ----------
        began
            When the gang's Task asked for it, or when the job was created.
        redrives
            How often the execution had been redriven by then. None when that was not recorded: by an execution whose definition is
            from before it was; then the clocks have to do.
        now
            The time of the description.
        """
        if self.status == "UNKNOWN":
            return Standing.UNCLEAR if now - began < KNOWN_AFTER else Standing.ENDED
        if self._began_before_redrive(began, redrives):
            return Standing.REDRIVEN
        if self.runs:
            return Standing.UNCLEAR if redrives is not None and redrives > self.redrives else Standing.AWAITED
        return Standing.UNCLEAR if self._began_after_end(began, redrives) else Standing.ENDED

    def _began_before_redrive(self, began: datetime, redrives: int | None) -> bool:
        if redrives is not None:
            return redrives < self.redrives
        return self.redriven_at is not None and began < self.redriven_at - CLOCKS_DIFFER

    def _began_after_end(self, began: datetime, redrives: int | None) -> bool:
        if redrives is not None:
            return redrives > self.redrives
        return self.stopped_at is not None and began > self.stopped_at + CLOCKS_DIFFER


@dataclass(frozen=True)
class ListedExecution:
    """An execution that runs, as ListExecutions shows it. `began` is when it was started or last redriven."""

    name: str
    began: datetime
    redrives: int = 0

    def was_redriven_after(self, moment: datetime) -> bool:
        """Whether what began at `moment` may belong to an attempt before the last redrive."""
        return self.redrives > 0 and moment < self.began


def list_running(client: SFNClient, state_machine_arn: str) -> dict[str, ListedExecution]:
    """The executions that run, by name: a call for a thousand of them (ListExecutions, Step Functions API reference)."""
    pages = client.get_paginator("list_executions").paginate(
        stateMachineArn=state_machine_arn, statusFilter="RUNNING", PaginationConfig={"PageSize": 1000}
    )
    listed = (
        ListedExecution(one["name"], one.get("redriveDate") or one["startDate"], int(one.get("redriveCount") or 0))
        for page in pages
        for one in page["executions"]
    )
    return {one.name: one for one in listed}


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
        redrives=int(answer.get("redriveCount") or 0),
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
