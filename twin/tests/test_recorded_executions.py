"""Executions look as in what AWS shows of its own: every field of the recorded payload, of the recorded type."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clouds.steps import ROLE, only, until
from twin.executions import status

if TYPE_CHECKING:
    from clouds.steps import StepsCloud

HELLO_WORLD = {
    "StartAt": "HelloWorld",
    "States": {"HelloWorld": {"Type": "Pass", "Result": "Hello World!", "End": True}},
}
FAIL = only({"Type": "Fail", "Error": "ErrorCode", "Cause": "An error occurred."})


def recorded(name: str) -> Any:
    """The payload that AWS publishes; its source stands beside it."""
    file = Path(__file__).parent / "recordings" / f"step-functions-execution-{name}.json"
    return json.loads(file.read_text(encoding="utf-8"))["payload"]


def types(value: Any) -> Any:
    """The names and types of all that is in a payload."""
    if isinstance(value, dict):
        return {name: types(inner) for name, inner in value.items()}
    return [types(inner) for inner in value] if isinstance(value, list) else type(value).__name__


def status_changes(cloud: StepsCloud, definition: dict[str, Any], *, redrive: bool = False) -> list[dict[str, Any]]:
    """The events about an execution, in order."""
    queue = cloud.queue("changes")
    cloud.rule("changes", {"source": ["aws.states"]}, queue)
    execution = cloud.start(definition)
    cloud.ended(execution)
    if redrive:
        cloud.client("stepfunctions").redrive_execution(executionArn=execution)
        cloud.ended(execution)
    changes: list[dict[str, Any]] = []

    def all_arrived() -> bool:
        # An execution has ended a moment before its event is sent.
        changes.extend(cloud.bodies(queue))
        return len(changes) == (4 if redrive else 2)

    until(all_arrived)
    return sorted(
        changes, key=lambda change: (change["detail"]["redriveCount"], change["detail"]["status"] != "RUNNING")
    )


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html")
def test_the_event_of_a_failure_is_as_recorded(cloud: StepsCloud) -> None:
    wanted, seen = recorded("failed"), status_changes(cloud, FAIL)[-1]

    # A reason is what AWS gives where an execution cannot be redriven (DescribeExecution).
    assert seen["detail"]["redriveStatusReason"] is None
    wanted["detail"]["redriveStatusReason"] = None
    assert types(seen) == types(wanted)
    for name in ("status", "redriveStatus", "redriveCount", "error", "cause", "input"):
        assert seen["detail"][name] == wanted["detail"][name]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html",
)
def test_the_event_of_a_redrive_is_as_recorded(cloud: StepsCloud) -> None:
    wanted = recorded("redriven")
    seen = next(change for change in status_changes(cloud, FAIL, redrive=True) if change["detail"]["redriveCount"] == 1)

    assert types(seen) == types(wanted)
    assert (seen["detail"]["status"], seen["detail"]["redriveStatusReason"]) == (
        wanted["detail"]["status"],
        wanted["detail"]["redriveStatusReason"],
    )
    # The recording's REDRIVE_IN_PROGRESS is none of the values that the API has; an execution that runs is NOT_REDRIVABLE.
    assert seen["detail"]["redriveStatus"] == "NOT_REDRIVABLE"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html",
    "https://docs.aws.amazon.com/step-functions/latest/dg/cw-events.html",
)
def test_the_event_of_a_success_is_as_recorded(cloud: StepsCloud) -> None:
    wanted, seen = recorded("succeeded"), status_changes(cloud, HELLO_WORLD)[-1]

    # The recording is older than these fields, which the newer ones of a failure and a redrive have.
    since = set(recorded("failed")["detail"]) - set(wanted["detail"])
    assert since < set(seen["detail"])
    shown = {**seen, "detail": {name: seen["detail"][name] for name in set(seen["detail"]) - since}}
    assert types(shown) == types(wanted)
    for name in ("status", "input", "output"):
        assert seen["detail"][name] == wanted["detail"][name]
    assert seen["detail"]["outputDetails"] == {"included": True}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html#event-detail-execution-status-change-remarks"
)
@pytest.mark.parametrize(
    ("given", "output", "left_out"),
    [
        (100, 100, []),
        (status.LONGEST_EVENT_DATA - 2, None, []),
        (status.LONGEST_EVENT_DATA - 1, None, ["input"]),
        (status.LONGEST_EVENT_DATA // 2, status.LONGEST_EVENT_DATA // 2, ["input"]),
        (100, status.LONGEST_EVENT_DATA, ["input", "output"]),
    ],
)
def test_an_event_leaves_out_what_is_too_large(given: int, output: int | None, left_out: list[str]) -> None:
    included = {"included": True}
    description = {"input": "1" * given, "inputDetails": included}
    if output is not None:
        description |= {"output": "1" * output, "outputDetails": included}

    detail = status.status_detail(description)

    assert [name for name in ("input", "output") if detail[f"{name}Details"] == {"included": False}] == left_out
    assert all(detail[name] is None for name in left_out)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html#API_GetExecutionHistory_Examples"
)
def test_the_history_of_hello_world_is_as_recorded(cloud: StepsCloud) -> None:
    wanted = recorded("history")["events"]
    execution = cloud.start(HELLO_WORLD)
    cloud.ended(execution)

    seen = cloud.history(execution)

    wanted[0]["executionStartedEventDetails"]["roleArn"] = ROLE
    assert all(isinstance(event.pop("timestamp"), datetime) for event in seen), (
        "boto3 makes one of the recorded seconds"
    )
    for event in wanted:
        del event["timestamp"]
    assert seen == wanted
