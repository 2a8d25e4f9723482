"""Histories and Causes as Step Functions writes them, cut to what is read."""

import json
from typing import Any


def entered(name: str) -> dict[str, Any]:
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name, "input": "{}"}}


def exited(name: str) -> dict[str, Any]:
    return {"type": "TaskStateExited", "stateExitedEventDetails": {"name": name, "output": "{}"}}


def failed(error: str, cause: str) -> dict[str, Any]:
    return {"type": "ExecutionFailed", "executionFailedEventDetails": {"error": error, "cause": cause}}


REDRIVEN: dict[str, Any] = {"type": "ExecutionRedriven", "executionRedrivenEventDetails": {"redriveCount": 1}}
STARTED: dict[str, Any] = {"type": "ExecutionStarted", "executionStartedEventDetails": {"input": "{}"}}


def batch_cause(exit_code: int = 65, reason: str = "Essential container in task exited") -> str:
    """The Cause that a failed `.sync` Task leaves: the Batch job with PascalCase keys."""
    container = {"ExitCode": exit_code, "LogStreamName": "preprocess/default/abc"}
    job = {
        "JobId": "job-1",
        "JobName": "run-preprocess",
        "Status": "FAILED",
        "StatusReason": reason,
        "Attempts": [{"Container": container, "StatusReason": reason}],
        "Container": container,
        "Tags": {"spotline:stage": "preprocess"},
    }
    return json.dumps(job)
