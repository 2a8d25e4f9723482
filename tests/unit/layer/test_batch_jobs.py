"""What is asked of Batch, and what is read of its answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from spotline.batch_jobs import (
    LISTED_OF_CONTAINERS,
    LISTED_OF_GANGS,
    describe_gang,
    describe_our_jobs,
    job_of_gang,
    jobs_of_run,
    list_unfinished_jobs,
    terminate_older_gangs,
    unfinished_jobs_of_run,
)
from spotline.gangs import Gang
from spotline.runs import Market
from spotline.strays import ListedJob, OurJob, Stage
from tests.unit.modelled import Modelled

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

NOW = datetime(2013, 2, 9, tzinfo=UTC)
GANG = Gang("run", 3, Market.SPOT, "token", "arn", NOW)
UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


class Batch:
    """Jobs in memory, and what was asked about them."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = {job["jobId"]: job for job in jobs}
        self.described: list[int] = []
        self.listed: list[tuple[str, str]] = []
        self.terminated: list[tuple[str, str]] = []

    def describe_jobs(self, jobs: list[str]) -> dict[str, Any]:
        self.described.append(len(jobs))
        return {"jobs": [self.jobs[job_id] for job_id in jobs if job_id in self.jobs]}

    def terminate_job(self, jobId: str, reason: str) -> None:  # noqa: N803
        self.terminated.append((jobId, reason))

    def get_paginator(self, name: str) -> Any:
        assert name == "list_jobs"
        return SimpleNamespace(paginate=self._list)

    def _list(
        self,
        jobQueue: str,  # noqa: N803
        filters: Any = None,
        jobStatus: str = "",  # noqa: N803
    ) -> list[dict[str, Any]]:
        if jobStatus:
            self.listed.append((jobQueue, jobStatus))
            found = [job for job in self.jobs.values() if (job["jobQueue"], job["status"]) == (jobQueue, jobStatus)]
            return [{"jobSummaryList": found[:1]}, {"jobSummaryList": found[1:]}]
        [only] = filters
        assert only["name"] == "JOB_NAME"
        [pattern] = only["values"]
        wanted = re.compile(re.escape(pattern).replace(r"\*", ".*"))
        found = [job for job in self.jobs.values() if job["jobQueue"] == jobQueue and wanted.fullmatch(job["jobName"])]
        return [{"jobSummaryList": found[:1]}, {"jobSummaryList": found[1:]}]


def job(job_id: str, name: str = "run-g3", **more: Any) -> dict[str, Any]:
    tags = {"spotline:run-id": "run", "spotline:stage": "analysis", "spotline:execution-arn": "arn"}
    base = {"jobId": job_id, "jobName": name, "jobQueue": "spot", "status": "RUNNING", "createdAt": 1000, "tags": tags}
    return base | more


def client(batch: Batch) -> BatchClient:
    return cast("BatchClient", Modelled("batch", batch))


@pytest.mark.parametrize(
    ("size", "asked"), [(1, [1, 1]), (100, [1, 100]), (101, [1, 100, 1]), (250, [1, 100, 100, 50])]
)
def test_at_most_a_hundred_jobs_are_described_at_once(size: int, asked: list[int]) -> None:
    members = [{"jobId": f"a:{index}", "status": "RUNNING"} for index in range(size)]
    batch = Batch(job("a", arrayProperties={"size": size}), *members)
    _, found = describe_gang(client(batch), "a")
    assert batch.described == asked
    assert found == members


def test_members_come_in_their_order_and_a_gap_stays_one() -> None:
    nodes = [{"jobId": "m#2", "status": "RUNNING"}, {"jobId": "m#0", "status": "RUNNING"}]
    batch = Batch(job("m", nodeProperties={"numNodes": 4}), *nodes)
    described, found = describe_gang(client(batch), "m")
    assert described is batch.jobs["m"]
    assert found == [nodes[1], {}, nodes[0]]


def test_a_job_of_one_container_has_no_members_and_an_unknown_one_is_none() -> None:
    batch = Batch(job("p", arrayProperties={}, nodeProperties={}))
    assert describe_gang(client(batch), "p") == (batch.jobs["p"], [])
    assert describe_gang(client(batch), "gone") == (None, [])


def test_a_run_s_jobs_are_those_with_its_tag_in_the_order_of_their_submission() -> None:
    batch = Batch(
        job("late", "run-g2", createdAt=3000),
        job("b", "run-preprocess", createdAt=1000, jobQueue="main"),
        job("a", "run-g1", createdAt=1000),
        job("foreign", "run-x", tags={"spotline:run-id": "other"}),
        job("untagged", "run-y", tags=None),
        job("elsewhere", "run-z", jobQueue="not asked"),
    )
    found = jobs_of_run(client(batch), ("spot", "main"), "run")
    assert [one["jobId"] for one, _ in found] == ["a", "b", "late"]


def test_a_run_s_gangs_come_with_their_members() -> None:
    members = [{"jobId": f"gang:{index}", "jobQueue": "", "jobName": "", "status": "RUNNING"} for index in range(2)]
    batch = Batch(job("gang", arrayProperties={"size": 2}), job("one", "run-preprocess"), *members)
    found = jobs_of_run(client(batch), ("spot",), "run")
    assert [(one["jobId"], of_gang) for one, of_gang in found] == [("gang", members), ("one", [])]


def test_of_two_jobs_of_one_gang_the_oldest_is_its_job() -> None:
    batch = Batch(
        job("y", createdAt=2000), job("z", createdAt=1000), job("x", createdAt=1000), job("w", "run-g33", createdAt=1)
    )
    assert job_of_gang(client(batch), GANG, "spot") == "x"
    assert job_of_gang(client(batch), GANG, "on-demand") is None


@pytest.mark.parametrize("status", [*UNFINISHED, "SUCCEEDED", "FAILED"])
def test_only_unfinished_jobs_of_older_generations_are_terminated(status: str) -> None:
    batch = Batch(
        job("older", "run-g2", status=status),
        job("own", "run-g3", status=status),
        job("newer", "run-g4", status=status),
        job("other", "run-gx", status=status),
    )
    ended = terminate_older_gangs(client(batch), ("spot", "on-demand"), GANG, "why")
    assert ended == (["older"] if status in UNFINISHED else [])
    assert batch.terminated == [(job_id, "why") for job_id in ended]


def test_unfinished_jobs_of_a_run_are_read_with_what_their_tags_say() -> None:
    tags = {
        "spotline:run-id": "run",
        "spotline:stage": "analysis",
        "spotline:execution-arn": "arn",
        "spotline:generation": "7",
    }
    waiting: dict[str, Any] = {"status": "RUNNABLE", "createdAt": 5000, "attempts": [{"stoppedAt": 9000}, {}]}
    batch = Batch(
        job("a", tags=tags, **waiting),
        job("b", status="PENDING", arrayProperties={"statusSummary": {"RUNNABLE": 1}}),
        job("c", status="PENDING", arrayProperties={"statusSummary": {"RUNNABLE": 0}}),
        job("done", status="SUCCEEDED"),
        job("foreign", tags={**tags, "spotline:run-id": "other"}),
    )
    a, b, c = unfinished_jobs_of_run(client(batch), ("spot",), "run")
    assert (a.job_id, a.generation, a.queue, a.execution_arn) == ("a", 7, "spot", "arn")
    assert a.created_at == datetime.fromtimestamp(5, UTC)
    assert a.waiting_since == datetime.fromtimestamp(9, UTC)
    assert (b.generation, b.waiting_since) == (0, datetime.fromtimestamp(1, UTC))
    assert c.waiting_since is None


def test_a_job_of_ours_is_all_that_its_tags_and_times_say() -> None:
    tags = {
        "spotline:run-id": "run",
        "spotline:stage": "postprocess",
        "spotline:execution-arn": "arn",
        "spotline:redrives": "3",
    }
    [found] = describe_our_jobs(client(Batch(job("a", tags=tags, createdAt=5000, jobQueue="main"))), ["a"])
    assert found == OurJob(
        job_id="a",
        run_id="run",
        stage=Stage.POSTPROCESS,
        execution_arn="arn",
        created_at=datetime.fromtimestamp(5, UTC),
        queue="main",
        redrives=3,
    )


@pytest.mark.parametrize(
    ("attempts", "waiting_since"),
    [([], 5), ([{}], 5), ([{"stoppedAt": 7000}, {"stoppedAt": 9000}], 9), ([{"stoppedAt": 4000}], 5)],
    ids=["not tried yet", "its first try runs", "tried twice", "clocks differ"],
)
def test_a_job_waits_from_its_submission_or_the_end_of_its_last_attempt(
    attempts: list[dict[str, int]], waiting_since: int
) -> None:
    batch = Batch(job("a", status="RUNNABLE", createdAt=5000, attempts=attempts))
    [found] = describe_our_jobs(client(batch), ["a"])
    assert found.waiting_since == datetime.fromtimestamp(waiting_since, UTC)


@pytest.mark.parametrize(
    ("name", "run_id", "stage"),
    [
        ("flights-20130209-1-preprocess", "flights-20130209-1", Stage.PREPROCESS),
        ("flights-20130209-1-postprocess", "flights-20130209-1", Stage.POSTPROCESS),
        ("flights-20130209-1-r2-g12", "flights-20130209-1-r2", Stage.ANALYSIS),
    ],
)
def test_a_listed_job_says_by_its_name_what_it_is_of(name: str, run_id: str, stage: Stage) -> None:
    batch = Batch(job("a", name, createdAt=1500, status="RUNNABLE", jobQueue="q", tags=None))
    assert list_unfinished_jobs(client(batch), {"q": ["RUNNABLE"]}) == [
        ListedJob("a", run_id, stage, datetime.fromtimestamp(1.5, UTC), "q", "RUNNABLE")
    ]


@pytest.mark.parametrize("name", ["somebody-elses", "run-g", "run-gx", "preprocess", "run-preprocess-2"])
def test_a_listed_job_of_another_name_is_none_of_ours(name: str) -> None:
    assert list_unfinished_jobs(client(Batch(job("a", name))), {"spot": ["RUNNING"]}) == []


def test_each_queue_is_listed_by_its_statuses_in_their_order() -> None:
    batch = Batch(
        job("a", status="RUNNING"),
        job("b", status="RUNNING"),
        job("c", status="SUBMITTED"),
        job("d", "run-preprocess", jobQueue="main"),
        job("e", status="SUCCEEDED"),
    )
    found = list_unfinished_jobs(client(batch), {"spot": LISTED_OF_GANGS, "main": LISTED_OF_CONTAINERS})
    assert sorted(one.job_id for one in found) == ["a", "b", "c", "d"]
    containers = ["RUNNABLE", "STARTING", "RUNNING"]
    assert batch.listed == [*(("spot", status) for status in UNFINISHED), *(("main", one) for one in containers)]


def test_a_job_that_moves_on_while_it_is_listed_is_found_once() -> None:
    class Moving(Batch):
        def _list(self, **arguments: Any) -> list[dict[str, Any]]:  # type: ignore[override]
            pages = super()._list(**arguments)
            answer = [{"jobSummaryList": [dict(one) for one in page["jobSummaryList"]]} for page in pages]
            self.jobs["a"]["status"] = "RUNNING"
            return answer

    batch = Moving(job("a", status="STARTING"))
    [found] = list_unfinished_jobs(client(batch), {"spot": ("STARTING", "RUNNING")})
    assert found.status == "RUNNING"


def test_a_job_without_our_tags_is_none_of_ours() -> None:
    foreign = [
        job("a", tags=None),
        job("b", tags={"spotline:stage": "dance"}),
        job("c", tags={"spotline:run-id": "run"}),
        job("d", tags={**job("d")["tags"], "spotline:redrives": "many"}),
    ]
    assert describe_our_jobs(client(Batch(*foreign)), ["a", "b", "c", "d"]) == []
