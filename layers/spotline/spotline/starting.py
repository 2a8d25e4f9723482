"""Starting runs, and asking for a message: what `ingest` and `sweep` do at their edges."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_stepfunctions import SFNClient

    from spotline.runs import Run


def start_run(client: SFNClient, state_machine_arn: str, run: Run) -> bool:
    """Start the execution of a run, and say whether this call was (or repeated) the first.

    Always called, never preceded by a look: StartExecution with the same name and input is idempotent while the execution runs,
    and refuses the name afterwards (StartExecution, Step Functions API reference). Either way the run exists.
    """
    try:
        client.start_execution(stateMachineArn=state_machine_arn, name=run.run_id, input=run.to_input())
    except client.exceptions.ExecutionAlreadyExists:
        return False
    return True


def ask_to_tell(client: LambdaClient, notify_function: str, message: Mapping[str, Any]) -> None:
    """Hand a message to `notify`, which answers later: what Slack does is none of the caller's business."""
    client.invoke(FunctionName=notify_function, InvocationType="Event", Payload=json.dumps(message).encode())
