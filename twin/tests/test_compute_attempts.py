"""Whether a failed attempt is followed by another (AWS Batch User Guide, "Automated job retries")."""

from __future__ import annotations

from typing import Any

import pytest

from twin.compute.attempts import Outcome, RetryStrategy, problems

RECLAIMED = Outcome("Host EC2 (instance i-0123456789abcdef0) terminated.")
REFUSED = Outcome("Essential container in task exited", exit_code=65)
NO_IMAGE = Outcome("Task failed to start", reason="CannotPullContainerError: no")
GANG_RULES = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]


def strategy(attempts: int, *rules: dict[str, str]) -> RetryStrategy:
    return RetryStrategy.parse({"attempts": attempts, "evaluateOnExit": list(rules)})


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html")
def test_one_attempt_is_the_default() -> None:
    assert not RetryStrategy.parse(None).again(1, REFUSED)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html")
def test_without_rules_every_failure_is_tried_again_up_to_the_limit() -> None:
    assert [strategy(3).again(attempt, REFUSED) for attempt in (1, 2, 3)] == [True, True, False]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html")
def test_no_matching_rule_means_retry() -> None:
    """API Reference, EvaluateOnExit: "If none … match, then the job is retried"."""
    assert strategy(2, {"onExitCode": "1", "action": "EXIT"}).again(1, REFUSED)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html")
def test_the_first_rule_that_matches_decides() -> None:
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onStatusReason": "*", "action": "EXIT"}]
    assert strategy(2, *rules).again(1, RECLAIMED)
    assert not strategy(2, *rules).again(1, REFUSED)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html")
@pytest.mark.parametrize(
    ("rule", "outcome", "matches"),
    [
        ({"onExitCode": "65"}, REFUSED, True),
        ({"onExitCode": "6*"}, REFUSED, True),
        ({"onExitCode": "6"}, REFUSED, False),
        ({"onExitCode": "65"}, RECLAIMED, False),
        ({"onReason": "CannotPullContainerError:*"}, NO_IMAGE, True),
        ({"onReason": "CannotPull"}, NO_IMAGE, False),
        ({"onStatusReason": "Task failed to start", "onReason": "OutOfMemory*"}, NO_IMAGE, False),
        ({"onStatusReason": "Task*", "onReason": "Cannot*"}, NO_IMAGE, True),
        ({"onStatusReason": "host ec2*"}, RECLAIMED, False),
    ],
)
def test_a_rule_holds_when_all_its_patterns_match(rule: dict[str, str], outcome: Outcome, matches: bool) -> None:
    assert strategy(2, {**rule, "action": "EXIT"}).again(1, outcome) is not matches


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html")
def test_actions_are_read_in_any_case() -> None:
    assert not strategy(2, {"onStatusReason": "*", "action": "exit"}).again(1, REFUSED)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html",
)
@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"attempts": 0}, "between 1 and 10"),
        ({"attempts": 11}, "between 1 and 10"),
        ({"evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}] * 6}, "at most 5 rules"),
        ({"evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]}, "attempts must be set"),
        ({"evaluateOnExit": [{"onExitCode": "1", "action": "STOP"}]}, "RETRY or EXIT"),
        ({"evaluateOnExit": [{"onExitCode": "x", "action": "EXIT"}]}, "not a pattern"),
        ({"evaluateOnExit": [{"onStatusReason": "Host (EC2*", "action": "EXIT"}]}, "not a pattern"),
        ({"evaluateOnExit": [{"onReason": "*x", "action": "EXIT"}]}, "not a pattern"),
    ],
)
def test_an_unsound_strategy_is_refused(stated: dict[str, Any], problem: str) -> None:
    assert problem in " ".join(problems(stated))


@pytest.mark.ours
def test_a_rule_without_a_condition_is_refused() -> None:
    """AWS's pages do not say what such a rule would mean."""
    assert "at least one of" in " ".join(problems({"attempts": 2, "evaluateOnExit": [{"action": "EXIT"}]}))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html",
)
def test_a_sound_strategy_is_accepted() -> None:
    assert problems({"attempts": 10, "evaluateOnExit": GANG_RULES}) == []
    assert problems(None) == []
