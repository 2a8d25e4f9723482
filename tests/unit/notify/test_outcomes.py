"""Requests are read for what they are, and every outcome has one key."""

from datetime import UTC, datetime
from typing import Any

import pytest

from announce.outcomes import (
    DayLate,
    ExecutionEnded,
    FileRejected,
    SummaryDue,
    UnknownRequest,
    message_key,
    read_request,
)

ARN = "arn:aws:states:us-east-1:123456789012:execution:pipeline:flights-20130209-0123456789abcdef"
NOW = datetime(2013, 2, 9, 13, 59, tzinfo=UTC)


def status_change(**detail: Any) -> dict[str, Any]:
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {"executionArn": ARN, "status": "FAILED", **detail},
    }


def test_the_machine_s_own_call_is_a_success() -> None:
    request = {"kind": "success", "execution_arn": ARN, "redrive_count": 2, "run_id": "x"}

    assert read_request(request) == ExecutionEnded(ARN, "SUCCEEDED", 2, told_by_machine=True)


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_an_event_tells_how_an_execution_ended(status: str) -> None:
    assert read_request(status_change(status=status, redriveCount=1)) == ExecutionEnded(ARN, status, 1)


@pytest.mark.parametrize("detail", [{}, {"redriveCount": None}])
def test_an_execution_that_was_never_redriven_counts_from_zero(detail: dict[str, Any]) -> None:
    outcome = read_request(status_change(**detail))

    assert isinstance(outcome, ExecutionEnded)
    assert outcome.redrive_count == 0


def test_other_functions_tell_of_files_and_days() -> None:
    rejected = {"kind": "rejected-file", "bucket": "b", "key": "data/x", "reason": "r"}
    late = {"kind": "late-day", "dataset": "flights", "day": "20130209", "expected_by": "06:00 UTC"}

    assert read_request(rejected) == FileRejected("b", "data/x", "r")
    assert read_request(late) == DayLate("flights", "20130209", "06:00 UTC")


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"kind": "party"},
        {"kind": "success"},
        status_change(status="RUNNING"),
        {"detail-type": "x"},
        {"kind": "rejected-file"},
    ],
)
def test_anything_else_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(UnknownRequest):
        read_request(request_)


def test_the_machine_and_the_event_tell_of_the_same_outcome() -> None:
    told = read_request({"kind": "success", "execution_arn": ARN, "redrive_count": 0})
    seen = read_request(status_change(status="SUCCEEDED"))

    assert isinstance(told, ExecutionEnded)
    assert isinstance(seen, ExecutionEnded)
    assert message_key(told, NOW) == message_key(seen, NOW)
    assert message_key(seen, NOW).pk == "RUN#flights-20130209-0123456789abcdef"


def test_a_request_for_a_summary_is_about_no_outcome() -> None:
    assert read_request({"kind": "summary"}) == SummaryDue()


def test_each_redrive_and_each_status_is_an_outcome_of_its_own() -> None:
    ends = [ExecutionEnded(ARN, status, count) for status in ("FAILED", "SUCCEEDED") for count in (0, 1)]

    assert len({message_key(end, NOW) for end in ends}) == 4


def test_files_of_one_folder_share_a_message_for_an_hour() -> None:
    first, second = FileRejected("b", "data/x/1.txt", "r"), FileRejected("b", "data/x/2.txt", "other")

    assert message_key(first, NOW) == message_key(second, NOW)
    assert message_key(first, NOW) != message_key(first, NOW.replace(hour=14))
    assert message_key(first, NOW) != message_key(FileRejected("b", "data/y/1.txt", "r"), NOW)


def test_a_late_day_is_told_once() -> None:
    late = DayLate("flights", "20130209", "06:00")

    assert message_key(late, NOW) == message_key(late, NOW.replace(day=20))
