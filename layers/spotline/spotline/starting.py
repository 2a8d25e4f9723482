"""Starting runs, and asking for a message: what `ingest` and `sweep` do at their edges."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spotline.executions import CLOCKS_DIFFER
from spotline.layout import MalformedKey, parse_data_key
from spotline.runs import Run, Source, run_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_stepfunctions import SFNClient


class Refused(ValueError):
    """The object is ours, but no run can be made of it; the message says why and what would be right."""


def run_of(source: Source, max_bytes: int) -> Run:
    """Make the run of an object version, or raise `Refused`."""
    try:
        key = parse_data_key(source.key)
    except MalformedKey as malformed:
        raise Refused(str(malformed)) from malformed
    if source.size > max_bytes:
        raise Refused(
            f"{source.key!r} has {source.size} bytes, more than the {max_bytes} that the stack's parameter MaxObjectBytes allows"
        )
    return Run(run_id=run_id(source, key), dataset=key.dataset, day=key.day, source=source)


def start_run(client: SFNClient, state_machine_arn: str, run: Run) -> bool:
    """Start the execution of a run, and say whether this call, or one a moment before it, was the first.

    Always called, never preceded by a look: StartExecution with the same name and input is idempotent while the execution runs,
    and refuses the name afterwards (StartExecution, Step Functions API reference). Either way the run exists.
    """
    called = datetime.now(UTC)
    try:
        answer = client.start_execution(stateMachineArn=state_machine_arn, name=run.run_id, input=run.to_input())
    except client.exceptions.ExecutionAlreadyExists:
        return False
    return answer["startDate"] >= called - CLOCKS_DIFFER


def ask_to_tell(client: LambdaClient, notify_function: str, message: Mapping[str, Any]) -> None:
    """Hand a message to `notify`, which answers later: what Slack does is none of the caller's business."""
    client.invoke(FunctionName=notify_function, InvocationType="Event", Payload=json.dumps(message).encode())
