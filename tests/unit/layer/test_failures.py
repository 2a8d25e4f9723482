"""What each described job means: a table of payload shapes as DescribeJobs answers them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spotline.failures import (
    FENCED_OFF,
    GANG_ENDED,
    WAITED_TOO_LONG,
    ErrorName,
    Failure,
    classify,
    job_from_cause,
)
from spotline.runs import Market

SPOT, ON_DEMAND = Market.SPOT, Market.ON_DEMAND
HOST_GONE = "Host EC2 (instance i-0a1b2c3d4e5f60718) terminated."
EXITED = "Essential container in task exited"
TIMED_OUT = "Job attempt duration exceeded timeout"
NO_ROOM = "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
NEVER_FITS = "Canceled by JobStateTimeLimit action due to reason: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


def failed(
    reason: str | None, code: int | None = None, container_reason: str | None = None, **more: Any
) -> dict[str, Any]:
    container: dict[str, Any] = {"logStreamName": "analysis/default/0f3c"}
    if code is not None:
        container["exitCode"] = code
    if container_reason is not None:
        container["reason"] = container_reason
    job = {"jobId": "5f0c", "status": "FAILED", "container": container, **more}
    return job | ({"statusReason": reason} if reason is not None else {})


NO_IMAGE = failed("Task failed to start", None, "CannotPullContainerError: not found")


def done() -> dict[str, Any]:
    return {"jobId": "5f0c", "status": "SUCCEEDED", "container": {"exitCode": 0}}


PARENT = {"jobId": "5f0c", "status": "FAILED", "statusReason": "Array Child Job failed"}
MULTI_NODE = {"jobId": "5f0c", "status": "FAILED", "statusReason": EXITED, "container": {"exitCode": 75}}

GANGS = [
    # (what happened, market, members, noticed, error, member)
    ("reclaim with an exit code", SPOT, [failed(EXITED, 75), failed(HOST_GONE, 143)], (), "Spot.Interrupted", 1),
    ("reclaim without any exit code", SPOT, [failed(HOST_GONE), failed(EXITED, 75)], (), "Spot.Interrupted", 0),
    (
        "reclaim while another crashed of it",
        SPOT,
        [failed(EXITED, 139), failed(HOST_GONE, 137)],
        (),
        "Spot.Interrupted",
        1,
    ),
    ("notice written, reason lost", SPOT, [failed(EXITED, 75), failed(EXITED, 143)], (1,), "Spot.Interrupted", 1),
    ("notice of a member that left in good order", SPOT, [done(), failed(EXITED, 75)], (0,), "Spot.Interrupted", 0),
    ("SIGTERM of a TerminateJob written as a notice", SPOT, [failed("by me", 75)], (0,), "Job.Terminated", 0),
    ("the same on On-Demand", ON_DEMAND, [failed("by me", 75), failed("by me", 143)], (0, 1), "Job.Terminated", 0),
    ("SIGTERM of a timeout written as a notice", SPOT, [failed(TIMED_OUT, 75)], (0,), "Job.TimedOut", 0),
    ("a host that died on On-Demand", ON_DEMAND, [failed(HOST_GONE), failed(EXITED, 75)], (), "Gang.MemberLost", 0),
    ("no Spot capacity, cancelled by the queue", SPOT, [failed(NO_ROOM), failed(NO_ROOM)], (), "Spot.NoCapacity", 0),
    ("no On-Demand capacity", ON_DEMAND, [failed(NO_ROOM)], (), "OnDemand.NoCapacity", 0),
    (
        "waited too long, ended by us",
        SPOT,
        [failed(WAITED_TOO_LONG), failed(WAITED_TOO_LONG)],
        (),
        "Spot.NoCapacity",
        0,
    ),
    ("half formed: one waited in vain", SPOT, [failed(EXITED, 76), failed(GANG_ENDED)], (), "Spot.NoCapacity", 0),
    # Batch starts the main node only when the instances of all nodes are there ("Job lifecycle for MNP jobs", Batch user guide)
    ("slow to start on On-Demand", ON_DEMAND, [failed(EXITED, 76), failed(EXITED, 75)], (), "Gang.MemberLost", 0),
    ("a node that was never described in time", ON_DEMAND, [failed(EXITED, 76), {}], (), "Gang.MemberLost", 0),
    ("a main node whose nodes nobody described", ON_DEMAND, [failed(EXITED, 76)], (), "Gang.MemberLost", 0),
    (
        "no room, and a main node that gave up",
        ON_DEMAND,
        [failed(EXITED, 76), failed(NO_ROOM)],
        (),
        "OnDemand.NoCapacity",
        1,
    ),
    ("slow to start on Spot, where another market is left", SPOT, [failed(EXITED, 76)] * 2, (), "Spot.NoCapacity", 0),
    ("crashed while the others waited for it", ON_DEMAND, [failed(EXITED, 76), failed(EXITED, 1)], (), "Job.Failed", 1),
    (
        "an image that is missing, while the others waited",
        ON_DEMAND,
        [failed(EXITED, 76), NO_IMAGE],
        (),
        "Job.ImageUnavailable",
        1,
    ),
    ("can never be placed", SPOT, [failed(NEVER_FITS)], (), "Job.NotPlaced", 0),
    ("bad configuration", SPOT, [failed(EXITED, 78), failed(EXITED, 76)], (), "Job.Misconfigured", 0),
    (
        "out of memory",
        SPOT,
        [failed(EXITED, 75), failed(EXITED, 137, "OutOfMemoryError: Container killed due to memory usage")],
        (),
        "Job.OutOfMemory",
        1,
    ),
    (
        "image missing",
        SPOT,
        [failed("Task failed to start", None, "CannotPullContainerError: not found"), failed(EXITED, 76)],
        (),
        "Job.ImageUnavailable",
        0,
    ),
    (
        "ran past its time",
        SPOT,
        [failed("Job attempt duration exceeded timeout", 137), failed(EXITED, 75)],
        (),
        "Job.TimedOut",
        0,
    ),
    (
        "an operator's terminate",
        SPOT,
        [failed("wrong day, sorry", 143), failed("wrong day, sorry", 143)],
        (),
        "Job.Terminated",
        0,
    ),
    ("the program failed, the others left with 75", SPOT, [failed(EXITED, 75), failed(EXITED, 1)], (), "Job.Failed", 1),
    ("data refused by a member", SPOT, [failed(EXITED, 65), failed(EXITED, 75)], (), "Data.Rejected", 0),
    ("a member killed, no host reclaimed", SPOT, [failed(EXITED, 75), failed(EXITED, 137)], (), "Gang.MemberLost", 1),
    ("all left with 75", ON_DEMAND, [failed(EXITED, 75), failed(EXITED, 75)], (), "Gang.MemberLost", 0),
    ("ended by us after one left", SPOT, [failed(EXITED, 75), failed(GANG_ENDED, 137)], (), "Gang.MemberLost", 0),
    ("a child failed while the main node succeeded", ON_DEMAND, [done(), failed(EXITED, 1)], (), "Job.Failed", 1),
    ("a node that Batch never described", ON_DEMAND, [failed(EXITED, 75), {}], (), "Gang.MemberLost", 0),
    ("reclaim and a refusal at once", SPOT, [failed(EXITED, 65), failed(HOST_GONE)], (), "Spot.Interrupted", 1),
    (
        "out of memory and no capacity at once",
        SPOT,
        [failed(NO_ROOM), failed(EXITED, 137, "OutOfMemoryError: x")],
        (),
        "Job.OutOfMemory",
        1,
    ),
    (
        "fenced off while another was reclaimed",
        SPOT,
        [failed(FENCED_OFF, 143), failed(HOST_GONE)],
        (),
        "Spot.Interrupted",
        1,
    ),
]


def test_a_multi_node_job_that_somebody_ended_was_not_interrupted() -> None:
    # Given nodes that took their SIGTERM for a notice and left by themselves, so that only the job tells who ended it
    nodes = [failed(EXITED, 75), failed(EXITED, 143)]

    failure = classify(MULTI_NODE | {"statusReason": "by me"}, nodes, market=ON_DEMAND, noticed=(0, 1))

    assert failure.error == "Job.Terminated"


@pytest.mark.parametrize(
    ("market", "members", "noticed", "error", "member"), [case[1:] for case in GANGS], ids=[case[0] for case in GANGS]
)
def test_a_gangs_end_has_one_name(
    market: Market, members: list[dict[str, Any]], noticed: tuple[int, ...], error: str, member: int
) -> None:
    failure = classify(PARENT if market is SPOT else MULTI_NODE, members, market=market, noticed=noticed)
    assert (failure.error, failure.member) == (error, member)
    assert failure.sentence.isprintable()
    assert "{" not in failure.sentence


@pytest.mark.parametrize(
    ("market", "said"),
    [
        (SPOT, "The gang did not form in time on Spot: member 0 gave up waiting; members that had not started: 1, 2"),
        (ON_DEMAND, "The gang did not form in time: member 0 gave up waiting; members that had not started: 1, 2. If "),
    ],
)
def test_a_gang_that_did_not_form_names_who_had_not_started(market: Market, said: str) -> None:
    members = [failed(EXITED, 76, startedAt=1), failed(GANG_ENDED), {}]
    assert classify(PARENT, members, market=market).sentence.startswith(said)


def test_a_gang_that_did_not_form_though_all_had_started_names_nobody() -> None:
    members = [failed(EXITED, 76, startedAt=1), failed(EXITED, 75, startedAt=9)]
    assert "had not started" not in classify(PARENT, members, market=ON_DEMAND).sentence


@pytest.mark.parametrize("market", [SPOT, ON_DEMAND, None])
def test_a_reason_that_batch_also_gives_while_it_starts_instances_says_so(market: Market | None) -> None:
    failure = classify(failed(NEVER_FITS), market=market)
    assert failure.error == ErrorName.JOB_NOT_PLACED
    assert "redrive once" in failure.sentence


def test_a_reason_that_no_instance_changes_does_not() -> None:
    failure = classify(failed(NEVER_FITS.replace("JOB_RESOURCE_REQUIREMENT", "COMPUTE_ENVIRONMENT_MAX_RESOURCE")))
    assert failure.error == ErrorName.JOB_MISCONFIGURED
    assert "redrive once" not in failure.sentence


CONTAINERS = [
    ("data refused", failed(EXITED, 65), "Data.Rejected"),
    ("bad configuration", failed(EXITED, 78), "Job.Misconfigured"),
    ("the program failed", failed(EXITED, 1), "Job.Failed"),
    ("killed by hand", failed(EXITED, 137), "Job.Failed"),
    ("reclaimed more often than Batch retries", failed(HOST_GONE), "Spot.Interrupted"),
    ("Fargate Spot reclaim", failed("Your Spot Task was interrupted."), "Spot.Interrupted"),
    ("out of memory", failed(EXITED, 137, "OutOfMemoryError: Container killed due to memory usage"), "Job.OutOfMemory"),
    (
        "image missing",
        failed("Task failed to start", None, "CannotPullContainerError: pull access denied"),
        "Job.ImageUnavailable",
    ),
    ("timed out", failed("Job attempt duration exceeded timeout"), "Job.TimedOut"),
    ("no capacity, and its queue tries both markets", failed(NO_ROOM), "OnDemand.NoCapacity"),
    ("can never be placed", failed(NEVER_FITS), "Job.NotPlaced"),
    ("a code that only a gang gives a meaning", failed(EXITED, 76), "Job.Failed"),
    ("try again, where nobody does", failed(EXITED, 75), "Job.Failed"),
    ("terminated by Step Functions", failed("Terminated by Step Functions: task was aborted"), "Job.Terminated"),
    (
        "exit code in the last attempt only",
        {
            "jobId": "j",
            "status": "FAILED",
            "container": {},
            "attempts": [{"statusReason": EXITED, "container": {"exitCode": 65}}],
        },
        "Data.Rejected",
    ),
]


@pytest.mark.parametrize(("job", "error"), [case[1:] for case in CONTAINERS], ids=[case[0] for case in CONTAINERS])
def test_a_container_jobs_end_has_one_name(job: dict[str, Any], error: str) -> None:
    assert classify(job).error == error


def test_a_failure_says_where_to_look() -> None:
    failure = classify(PARENT, [done(), failed(EXITED, 1)], market=SPOT)
    assert (failure.member, failure.exit_code, failure.log_stream) == (1, 1, "analysis/default/0f3c")
    assert "member 1" in failure.sentence


@pytest.mark.parametrize(
    ("market", "named"),
    [(SPOT, "no Spot capacity"), (ON_DEMAND, "no On-Demand capacity"), (None, "no On-Demand or Spot")],
)
def test_a_lack_of_capacity_names_the_markets_that_were_tried(market: Market | None, named: str) -> None:
    failure = classify(failed(NO_ROOM), market=market)
    assert named in failure.sentence
    assert "INSUFFICIENT_INSTANCE_CAPACITY" in failure.sentence


def test_a_failure_survives_the_way_through_step_functions() -> None:
    failure = classify(PARENT, [failed(HOST_GONE, 143)], market=SPOT)
    assert Failure.from_cause(failure.to_cause()) == failure


def test_a_cause_stays_within_what_step_functions_takes() -> None:
    endless = Failure(ErrorName.JOB_FAILED, "x" * 50_000, reason="y" * 50_000)
    assert len(endless.to_cause()) < 32_768


def test_the_job_in_a_failed_sync_tasks_cause_is_read_like_any_other() -> None:
    cause = f'{{"JobId": "j", "Status": "FAILED", "StatusReason": "{EXITED}", "Container": {{"ExitCode": 65}}, "Attempts": []}}'
    job = job_from_cause(cause)
    assert job is not None
    assert classify(job).error == ErrorName.DATA_REJECTED


@pytest.mark.parametrize("cause", ["", "plain words", "[]", '{"errorMessage": "x"}'])
def test_a_cause_without_a_job_names_none(cause: str) -> None:
    assert job_from_cause(cause) is None


CAUSE = {
    "JobId": "5f0c",
    "Status": "FAILED",
    "StatusReason": "r",
    "Container": {"ExitCode": 65, "Reason": "r", "LogStreamName": "s"},
    "Attempts": [{"StatusReason": "r", "Container": {"ExitCode": 65, "Reason": "r", "LogStreamName": "s"}}],
}


@pytest.mark.parametrize(
    "changes",
    [
        {"JobId": 5},
        {"JobId": None},
        {"StatusReason": 5},
        {"Container": "c"},
        {"Container": {"ExitCode": "65"}},
        {"Container": {"ExitCode": True}},
        {"Container": {"Reason": 5}},
        {"Container": {"LogStreamName": 5}},
        {"Attempts": "a"},
        {"Attempts": ["a"]},
        {"Attempts": [{"StatusReason": 5}]},
        {"Attempts": [{"Container": "c"}]},
        {"Attempts": [{}, {"Container": {"ExitCode": "65"}}]},
        {"Attempts": [{"Container": {"Reason": 5}}]},
        {"Attempts": [{"Container": {"LogStreamName": 5}}]},
    ],
)
def test_a_cause_with_values_that_batch_does_not_give_is_no_job(changes: dict[str, object]) -> None:
    assert job_from_cause(json.dumps(CAUSE | changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"StatusReason": None},
        {"Container": None},
        {"Container": {"ExitCode": None, "Reason": None, "LogStreamName": None}},
        {"Attempts": None},
        {"Attempts": [{"StatusReason": None, "Container": None}]},
    ],
)
def test_a_cause_may_leave_out_what_batch_does_not_know(changes: dict[str, object]) -> None:
    job = job_from_cause(json.dumps(CAUSE | changes))
    assert job is not None
    assert job["jobId"] == "5f0c"


def test_a_cause_s_keys_are_as_describe_jobs_spells_them_in_lists_too() -> None:
    job = job_from_cause(json.dumps(CAUSE))
    assert job is not None
    assert job["attempts"] == [
        {"statusReason": "r", "container": {"exitCode": 65, "reason": "r", "logStreamName": "s"}}
    ]
