"""What a job used, read from DescribeJobs' answer; shapes as in aws-batch's JobDetail."""

from __future__ import annotations

from typing import Any

from spotline.runs import Market
from spotline.strays import Stage
from spotline.usage import Attempt, JobUse, job_use

SPOT_QUEUES = frozenset({"arn:spot"})
CONTAINER = {"resourceRequirements": [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "15360"}]}
RECLAIMED = "Host EC2 (instance i-0123456789abcdef0) terminated."


def described(**changes: Any) -> dict[str, Any]:
    tags = {"spotline:run-id": "r", "spotline:stage": "preprocess"}
    job = {
        "jobId": "j",
        "jobQueue": "arn:main",
        "status": "SUCCEEDED",
        "createdAt": 1000,
        "tags": tags,
        "container": CONTAINER,
        "startedAt": 5000,
        "stoppedAt": 9000,
        "attempts": [{"startedAt": 5000, "stoppedAt": 9000, "statusReason": "Essential container in task exited"}],
    }
    return {**job, **changes}


def use(job: dict[str, Any], members: tuple[dict[str, Any], ...] = (), **outcomes: str) -> JobUse:
    found = job_use(job, members, SPOT_QUEUES, outcomes)
    assert found is not None
    return found


def test_a_job_s_attempt_its_size_and_its_waiting() -> None:
    assert use(described()) == JobUse(
        job_id="j",
        stage=Stage.PREPROCESS,
        submitted=1.0,
        members=((Attempt(Market.ON_DEMAND, 5.0, 9.0),),),
        vcpus=4,
        memory_gib=15,
        outcome="SUCCEEDED",
    )


def test_a_reclaimed_attempt_was_on_spot_whatever_the_queue_tries_first() -> None:
    attempts = [
        {"startedAt": 2000, "stoppedAt": 4000, "statusReason": RECLAIMED},
        {"startedAt": 5000, "stoppedAt": 9000, "statusReason": "Essential container in task exited"},
    ]

    told = use(described(attempts=attempts))

    assert list(told.attempts) == [Attempt(Market.SPOT, 2.0, 4.0, reclaimed=True), Attempt(Market.ON_DEMAND, 5.0, 9.0)]
    assert told.interrupted


def test_the_attempt_that_runs_is_not_among_those_that_are_over() -> None:
    attempts = [{"startedAt": 2000, "stoppedAt": 4000, "statusReason": RECLAIMED}]

    told = use(described(status="RUNNING", attempts=attempts, stoppedAt=None))

    assert [attempt.ended for attempt in told.attempts] == [4.0, None]
    assert told.outcome is None


def test_an_attempt_whose_container_never_started_used_nothing() -> None:
    attempts = [{"statusReason": "Task failed to start", "container": {"reason": "CannotPullContainerError"}}]

    assert list(use(described(status="FAILED", attempts=attempts, startedAt=None)).attempts) == []


def test_a_job_without_recorded_attempts_is_told_by_its_own_times() -> None:
    assert list(use(described(attempts=[])).attempts) == [Attempt(Market.ON_DEMAND, 5.0, 9.0)]


def test_a_gang_has_a_member_for_each_child_also_for_one_that_batch_does_not_describe() -> None:
    tags = {"spotline:run-id": "r", "spotline:stage": "analysis", "spotline:generation": "2"}
    parent = described(jobQueue="arn:spot", tags=tags, attempts=[], container={}, status="FAILED")
    reclaimed = described(statusReason=RECLAIMED, attempts=[{"startedAt": 5000, "stoppedAt": 7000}])

    told = use(parent, (described(), {}, reclaimed), j="Spot.Interrupted")

    assert told.members == (
        (Attempt(Market.SPOT, 5.0, 9.0),),
        (),
        (Attempt(Market.SPOT, 5.0, 7.0, reclaimed=True),),
    )
    assert (told.generation, told.outcome, told.vcpus) == (2, "Spot.Interrupted", 4)


def test_a_job_on_fargate_is_on_demand_unless_it_was_reclaimed() -> None:
    fargate = {"jobQueue": "arn:spot", "platformCapabilities": ["FARGATE"]}
    reclaimed = [{"startedAt": 1000, "stoppedAt": 2000, "statusReason": "Your Spot Task was interrupted."}]

    assert [attempt.market for attempt in use(described(**fargate)).attempts] == [Market.ON_DEMAND]
    assert [attempt.market for attempt in use(described(**fargate, attempts=reclaimed)).attempts] == [Market.SPOT]
    assert use(described(**fargate)).fargate


def test_a_job_that_is_not_ours_is_none() -> None:
    assert job_use(described(tags={}), (), SPOT_QUEUES, {}) is None
    assert job_use(described(tags={"spotline:stage": "lunch"}), (), SPOT_QUEUES, {}) is None
