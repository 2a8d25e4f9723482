"""The edge to Step Functions and CloudWatch Logs: an execution as it is described now, and what it left in the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spotline.documents import DocumentError, parse_object
from spotline.runs import Run

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_stepfunctions import SFNClient

    from announce.diagnosis import Event

LOG_LINES = 15


@dataclass(frozen=True)
class Described:
    """An execution as DescribeExecution answers it, with input and output read. `run` is None when the input is not ours."""

    run: Run | None
    superseded: bool
    redrivable: bool
    started_at: datetime
    redriven_at: datetime | None
    stopped_at: datetime | None
    error: str
    cause: str


def describe(client: SFNClient, execution_arn: str) -> Described:
    """Describe an execution now."""
    answer = client.describe_execution(executionArn=execution_arn)
    return Described(
        run=_run(answer["input"]),
        superseded=_is_superseded(answer.get("output")),
        redrivable=answer.get("redriveStatus", "REDRIVABLE") != "NOT_REDRIVABLE",
        started_at=answer["startDate"],
        redriven_at=answer.get("redriveDate"),
        stopped_at=answer.get("stopDate"),
        error=answer.get("error", ""),
        cause=answer.get("cause", ""),
    )


def history(client: SFNClient, execution_arn: str) -> list[Event]:
    """The whole history of an execution, oldest event first."""
    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=execution_arn, includeExecutionData=True
    )
    return [event for page in pages for event in page["events"]]


def last_lines(client: CloudWatchLogsClient, group: str, stream: str) -> list[str]:
    """The newest lines of a log stream, oldest of them first."""
    answer = client.get_log_events(logGroupName=group, logStreamName=stream, limit=LOG_LINES, startFromHead=False)
    return [event["message"].rstrip() for event in answer["events"]]


def _run(document: str) -> Run | None:
    try:
        return Run.from_input(document)
    except DocumentError:
        return None


def _is_superseded(output: str | None) -> bool:
    """Whether the state machine ended because a newer version of the file does the work."""
    try:
        return parse_object(output or "{}", "the execution's output").get("outcome") == "superseded"
    except DocumentError:
        return False
