"""What an execution died of, read from what it left behind."""

import pytest

from announce.diagnosis import Ending, diagnose, read_ending
from spotline.failures import ErrorName, Failure
from tests.unit.notify.histories import REDRIVEN, STARTED, batch_cause, entered, exited, failed


def test_the_failed_state_is_the_last_one_entered() -> None:
    history = [STARTED, entered("Preprocess"), exited("Preprocess"), entered("Postprocess"), failed("E", "why")]

    assert read_ending(history, 0) == Ending("Postprocess", "E", "why")


def test_each_redrive_has_an_ending_of_its_own_and_does_not_enter_the_state_again() -> None:
    history = [STARTED, entered("Preprocess"), failed("E0", "first"), REDRIVEN, failed("E1", "second")]

    assert read_ending(history, 0) == Ending("Preprocess", "E0", "first")
    assert read_ending(history, 1) == Ending("Preprocess", "E1", "second")


def test_an_execution_that_is_running_again_still_tells_its_first_ending() -> None:
    history = [
        STARTED,
        entered("Preprocess"),
        failed("E0", "first"),
        REDRIVEN,
        exited("Preprocess"),
        entered("Postprocess"),
    ]

    assert read_ending(history, 0) == Ending("Preprocess", "E0", "first")


def test_an_execution_that_entered_nothing_has_no_state() -> None:
    assert read_ending([STARTED, {"type": "ExecutionAborted", "executionAbortedEventDetails": {}}], 0) == Ending(
        None, "", ""
    )


def test_a_failed_job_is_typed() -> None:
    found = diagnose(Ending("Preprocess", "States.TaskFailed", batch_cause(65)), "FAILED")

    assert (found.error, found.exit_code, found.state) == ("Data.Rejected", 65, "Preprocess")
    assert found.log_stream == "preprocess/default/abc"


@pytest.mark.parametrize(("exit_code", "error"), [(1, "Job.Failed"), (78, "Job.Misconfigured"), (139, "Job.Failed")])
def test_other_exit_codes_have_their_own_names(exit_code: int, error: str) -> None:
    found = diagnose(Ending("Postprocess", "States.TaskFailed", batch_cause(exit_code)), "FAILED")

    assert found.error == error


def test_a_gang_s_failure_is_the_one_that_its_token_was_answered_with() -> None:
    failure = Failure(
        ErrorName.JOB_OUT_OF_MEMORY,
        "Member 1 ran out.",
        job_id="j",
        member=1,
        exit_code=137,
        reason="OOM",
        log_stream="a/b",
    )

    found = diagnose(Ending("Analyse on Spot", failure.error, failure.to_cause()), "FAILED")

    assert (found.error, found.sentence, found.member) == ("Job.OutOfMemory", "Member 1 ran out.", 1)
    assert (found.exit_code, found.reason, found.log_stream) == (137, "OOM", "a/b")


@pytest.mark.parametrize("cause", ["just a sentence", '{"a": 1}', "[1]", '"text"', "{", '{"JobId": '])
def test_any_other_cause_is_quoted(cause: str) -> None:
    found = diagnose(Ending("Find the newest version", "S3.S3Exception", cause), "FAILED")

    assert (found.error, found.sentence) == ("S3.S3Exception", cause)


@pytest.mark.parametrize(("status", "error"), [("ABORTED", "Stopped"), ("TIMED_OUT", "States.Timeout")])
def test_an_end_without_error_and_cause_still_says_something(status: str, error: str) -> None:
    found = diagnose(Ending("Preprocess", "", ""), status)

    assert found.error == error
    assert found.sentence


def test_a_function_is_quoted_without_its_stack() -> None:
    cause = '{"errorMessage": "throttled", "errorType": "LaunchUnfinished", "stackTrace": ["a", "b"]}'

    found = diagnose(Ending("Analyse on Spot", "LaunchUnfinished", cause), "FAILED")

    assert found.sentence == "LaunchUnfinished: throttled"


def test_a_state_that_ran_out_of_time_says_so() -> None:
    found = diagnose(Ending("Postprocess", "States.Timeout", ""), "FAILED")

    assert (found.error, found.state) == ("States.Timeout", "Postprocess")
    assert "ran past the time" in found.sentence
