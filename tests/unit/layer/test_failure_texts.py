"""What a failure says to a person, and what of it survives the way through Step Functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spotline.documents import DocumentError
from spotline.failures import GANG_ENDED, GIVES_WAY, ErrorName, Failure, classify, failure_in, gave_way
from spotline.runs import Market

SPOT, ON_DEMAND = Market.SPOT, Market.ON_DEMAND
EXITED = "Essential container in task exited"
PARENT = {"jobId": "5f0c", "status": "FAILED", "statusReason": "Array Child Job failed"}


def failed(reason: str, code: int | None = None, **more: Any) -> dict[str, Any]:
    container = {"logStreamName": "log", **({} if code is None else {"exitCode": code})}
    return {"status": "FAILED", "statusReason": reason, "container": container, **more}


@pytest.mark.parametrize(
    ("job", "members", "market", "sentence"),
    [
        (failed(EXITED, 3), [], None, "The program of the job failed with exit code 3; its log says why"),
        (PARENT, [failed(EXITED, 3)], SPOT, "The program of member 0 failed with exit code 3; its log says why"),
        (PARENT, [failed("by me", 143)], SPOT, "Somebody terminated member 0: by me"),
        (failed("", 75), [], None, "The job ended without success: exit code 75"),
        (failed(""), [], None, "The job ended without success: exit code None"),
        (
            PARENT,
            [failed(EXITED, 75), failed(EXITED, 137)],
            SPOT,
            f"The gang lost member 1 and no host was reclaimed: {EXITED}",
        ),
        (
            failed("CAPACITY:INSUFFICIENT"),
            [],
            None,
            "There was no On-Demand or Spot capacity for the job: CAPACITY:INSUFFICIENT",
        ),
    ],
)
def test_a_failure_names_who_failed_and_the_reason_that_aws_gives(
    job: dict[str, Any], members: list[dict[str, Any]], market: Market | None, sentence: str
) -> None:
    assert classify(job, members, market=market).sentence == sentence


def test_a_failure_has_all_that_leads_to_its_log() -> None:
    gone = "OutOfMemoryError: Container killed due to memory usage"
    member = {"status": "FAILED", "container": {"exitCode": 137, "reason": gone, "logStreamName": "analysis/0f3c"}}
    failure = classify(PARENT, [{"status": "SUCCEEDED"}, member], market=SPOT)
    assert failure == Failure(
        ErrorName.JOB_OUT_OF_MEMORY, failure.sentence, "5f0c", 1, 137, gone, log_stream="analysis/0f3c"
    )


def test_a_described_job_may_lack_its_id() -> None:
    assert classify(failed(EXITED, 3)).job_id == ""


def attempt(status_reason: str, code: int, **container: str) -> dict[str, Any]:
    return {"statusReason": status_reason, "container": {"exitCode": code, **container}}


@pytest.mark.parametrize(
    ("job", "code", "reason", "log_stream"),
    [
        ({"attempts": [attempt("a", 1), attempt("b", 2), attempt("c", 3, logStreamName="3")]}, 3, "c", "3"),
        ({"attempts": [attempt("a", 1, reason="r")]}, 1, "r", None),
        ({"statusReason": "own", "attempts": [attempt("a", 1)]}, 1, "own", None),
        ({"container": {"logStreamName": "own"}, "attempts": [attempt("a", 1)]}, 1, "a", "own"),
        ({"container": {"exitCode": 0}, "attempts": [attempt("a", 1)]}, 0, "a", None),
        ({"container": {"reason": "own"}, "attempts": [attempt("a", 1)]}, None, "own", None),
        ({"container": {"exitCode": None, "reason": ""}, "attempts": [attempt("a", 1)]}, 1, "a", None),
        ({"container": None, "attempts": None}, None, "", None),
        ({"attempts": [{"container": None}]}, None, "", None),
    ],
)
def test_what_batch_does_not_say_of_a_job_it_says_of_its_last_attempt(
    job: dict[str, Any], code: int | None, reason: str, log_stream: str | None
) -> None:
    failure = classify({"status": "FAILED", **job})
    assert (failure.exit_code, failure.log_stream) == (code, log_stream)
    assert failure.reason == reason


@pytest.mark.parametrize("status", ["SUCCEEDED", "RUNNING", "RUNNABLE"])
def test_a_member_that_did_not_fail_is_no_cause_unless_it_wrote_a_notice(status: str) -> None:
    members = [{**failed("Host EC2 (instance i-1) terminated.", 1), "status": status}, failed(EXITED, 65)]
    assert classify(PARENT, members, market=SPOT).error == "Data.Rejected"
    assert classify(PARENT, members, market=SPOT, noticed=(0,)).error == "Spot.Interrupted"


@pytest.mark.parametrize(
    ("starts", "absent"),
    [
        ([None, 1], "; members that had not started: 0"),
        ([1, None, None], "; members that had not started: 1, 2"),
        ([1, 2], ""),
        ([None, None], ""),  # then Batch says of none when it started, and naming all would say nothing
    ],
)
def test_a_gang_that_did_not_form_names_some_but_not_all_of_its_members(starts: list[int | None], absent: str) -> None:
    members = [failed(EXITED, 76, **({} if start is None else {"startedAt": start})) for start in starts]
    sentence = classify(PARENT, members, market=SPOT).sentence
    assert sentence == f"The gang did not form in time on Spot: member 0 gave up waiting{absent}"


@pytest.mark.parametrize(
    ("market", "error"), [(SPOT, "Spot.NoCapacity"), (ON_DEMAND, "Gang.MemberLost"), (None, "Job.Failed")]
)
def test_exit_code_76_of_the_job_itself_means_waiting_in_vain_only_for_a_gang(
    market: Market | None, error: str
) -> None:
    # Given a multi-node job whose nodes Batch does not describe
    assert classify(failed(EXITED, 76), market=market).error == error


def test_what_a_member_left_with_that_we_terminated_is_not_the_cause() -> None:
    members = [failed(EXITED, 75), failed(GANG_ENDED, 1)]
    assert classify(PARENT, members, market=SPOT).error == "Gang.MemberLost"


@pytest.mark.parametrize(
    ("job", "members", "gave"),
    [
        (failed(GIVES_WAY), [], True),
        (PARENT, [failed(EXITED, 75), failed(GIVES_WAY, 143)], True),
        (PARENT, [{}, failed(GIVES_WAY)], True),
        ({"attempts": [{"statusReason": "x"}, {"statusReason": GIVES_WAY}]}, [], True),
        (PARENT, [failed(EXITED, 75), {}], False),
        (PARENT, [failed(GANG_ENDED)], False),
        ({}, [], False),
    ],
)
def test_a_gang_gave_way_when_its_job_or_a_member_was_terminated_for_that(
    job: dict[str, Any], members: list[dict[str, Any]], gave: bool
) -> None:
    assert gave_way(job, members) is gave


def test_a_cause_keeps_the_first_2000_characters_of_what_it_says() -> None:
    cause = json.loads(Failure(ErrorName.JOB_FAILED, "x" * 2001, reason="y" * 2001).to_cause())
    assert (cause["sentence"], cause["reason"]) == ("x" * 2000, "y" * 2000)


@pytest.mark.parametrize("cause", ["not JSON", '{"error": "Job.Failed"}'])
def test_a_cause_that_cannot_be_read_is_named(cause: str) -> None:
    with pytest.raises(DocumentError, match=r"^the execution's cause: "):
        Failure.from_cause(cause)


def test_the_failure_behind_a_cause_is_a_gang_s_own_or_that_of_a_sync_task_s_job() -> None:
    own = Failure(ErrorName.SPOT_INTERRUPTED, "The Spot instance of member 1 was reclaimed", member=1)
    assert failure_in(own.to_cause()) == own
    sync = failure_in(json.dumps({"JobId": "j", "Status": "FAILED", "Container": {"ExitCode": 65}}))
    assert sync is not None
    assert (sync.error, sync.job_id) == ("Data.Rejected", "j")
    assert failure_in("plain words") is None
    assert failure_in("{}") is None
