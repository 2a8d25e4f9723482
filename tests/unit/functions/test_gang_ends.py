"""How a reconcile ends a gang: what it gives back, answers and records, and which manifest and notices it believes."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from looking import NOTICE_BYTES, failure_of, noticed_members, published_by
from spotline.executions import Execution
from spotline.failures import FENCED_OFF, GIVES_WAY, WAITED_TOO_LONG
from spotline.gangs import Close, Requeue
from spotline.layout import MANIFEST, analysis_prefix, notice_key
from spotline.manifests import AnalysisManifest
from spotline.objects import S3Objects
from spotline.runs import Market, MarketChoice, Priority
from tests.unit.functions.gangs_at_work import a_running_gang, open_gang, wait_behind
from tests.unit.protocol.calls import InternalServerError
from tests.unit.protocol.scenes import at_the_gang, gang_jobs, launch_all
from tests.unit.protocol.steps import ON_DEMAND
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


# How a gang ends


@pytest.mark.parametrize(("market", "minutes"), [(MarketChoice.SPOT_ONLY, 15), (MarketChoice.ON_DEMAND, 60)])
def test_a_job_that_waits_too_long_for_capacity_of_its_market_is_terminated_with_the_reason(
    market: MarketChoice, minutes: int
) -> None:
    world = World()
    world.ask_for("v1", market)
    [execution] = at_the_gang(world)
    launch_all(world)
    [job] = gang_jobs(world)
    world.clock.advance(timedelta(minutes=minutes))
    assert world.look.again(execution.name).done == []
    world.clock.advance(timedelta(seconds=1))
    assert world.look.again(execution.name).done == [f"{execution.name}#1: Terminate"]
    assert (job["status"], job["statusReason"]) == ("FAILED", WAITED_TOO_LONG)


def test_a_gang_that_a_newer_one_fenced_off_is_ended_with_the_reason() -> None:
    world, execution, job = a_running_gang()
    world.table.raise_generation(execution.name, execution_arn=execution.arn)
    assert world.look.again(execution.name).done[0] == f"{execution.name}#1: Terminate"
    assert (job["status"], job["statusReason"]) == ("FAILED", FENCED_OFF)


def test_all_that_was_done_is_reported() -> None:
    world, first, _ = a_running_gang(spot_max_gangs=2)
    [second] = wait_behind(world, "v2")
    for job in gang_jobs(world):
        end_with(world, job)
    done = world.look.again().done
    assert done[:4] == [f"{name}#1: {act}" for name in sorted([first.name, second.name]) for act in ("Fail", "Close")]


def test_a_gang_that_gave_way_is_launched_again_by_the_reconcile_that_sees_its_end_if_a_slot_is_free() -> None:
    world = World()
    world.ask_for("v1", MarketChoice.SPOT_ONLY, Priority.BACKFILL)
    [execution] = at_the_gang(world)
    launch_all(world)
    [job] = gang_jobs(world)
    world.start_job(job["jobId"])
    end_with(world, job, GIVES_WAY)
    seen = world.look.again()
    assert seen.done == [f"{execution.name}#1: Requeue", f"{execution.name}#2: submitted"]


def test_slot_and_hours_are_given_back_before_the_token_is_answered_and_the_record_is_closed_last() -> None:
    world = World()
    world.ask_for("v1", MarketChoice.ON_DEMAND)
    [execution] = at_the_gang(world)
    launch_all(world)
    [job] = gang_jobs(world)
    world.start_job(job["jobId"])
    world.clock.advance(timedelta(hours=1))
    world.finish_job(job["jobId"])
    at_answer: list[tuple[set[str], timedelta, bool]] = []
    succeed = world.steps.send_task_success

    def answer(**call: Any) -> None:
        gang = open_gang(world)
        spent = world.allowances.spent(world.clock.now)
        at_answer.append((world.allowances.slot_holders(Market.ON_DEMAND), spent, gang.job_id is not None))
        succeed(**call)

    world.steps.send_task_success = answer
    seen = world.look.again(execution.name)
    assert at_answer == [(set(), timedelta(hours=1), True)]
    assert list(world.table.open_gangs()) == []
    assert seen.done == [f"{execution.name}#1: Succeed", f"{execution.name}#1: Close"]
    assert seen.freed == {Market.ON_DEMAND}


def end_with(
    world: World, job: dict[str, Any], reason: str = "Essential container in task exited", code: int = 1
) -> None:
    world.batch.end(job["jobId"], "FAILED", reason=reason, code=code)


def finish(world: World, job: dict[str, Any]) -> None:
    world.finish_job(job["jobId"])


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (finish, "SUCCEEDED"),
        (end_with, "Job.Failed"),
        (lambda world, job: end_with(world, job, code=78), "Job.Misconfigured"),
        (lambda world, job: end_with(world, job, "Host EC2 (instance i-1) terminated."), "Spot.Interrupted"),
    ],
)
def test_a_closed_gangs_record_says_how_it_ended(end: Callable[[World, dict[str, Any]], None], outcome: str) -> None:
    world, execution, job = a_running_gang()
    end(world, job)
    world.look.again(execution.name)
    assert world.dynamodb.items[f"RUN#{execution.name}", "GANG#0001"]["outcome"] == outcome


def test_a_gang_that_is_closed_without_an_answer_has_ended_and_no_more_is_said() -> None:
    world, execution, _ = a_running_gang()
    world.look._act(open_gang(world), [Close()])
    assert world.dynamodb.items[f"RUN#{execution.name}", "GANG#0001"]["outcome"] == "ended"


def test_a_gang_that_waits_again_does_so_from_now_on() -> None:
    world, execution, _ = a_running_gang()
    world.clock.advance(timedelta(hours=1))
    world.look._act(open_gang(world), [Requeue(timedelta(minutes=30))])
    assert open_gang(world).requeued_at == world.clock.now
    assert world.allowances.slot_holders(Market.SPOT) == set()
    assert open_gang(world).generation == 2
    assert execution.waits_for == open_gang(world).task_token


def test_a_gang_that_only_waited_frees_no_slot_and_nobody_is_read_for_it() -> None:
    # Given a gang in the only slot, one behind it whose run was stopped, and another one behind that
    world, _, _ = a_running_gang()
    second, _ = wait_behind(world, "v2", "v3")
    world.stop(second)
    # When the stopped one is looked at
    seen = world.look.again(second.name)
    assert seen.done == [f"{second.name}#1: Fail", f"{second.name}#1: Close"]
    assert seen.freed == set()


def test_a_slot_that_an_event_frees_goes_to_whoever_is_next_in_that_market() -> None:
    world, execution, job = a_running_gang()
    [second] = wait_behind(world, "v2")
    world.finish_job(job["jobId"])
    seen = world.look.again(execution.name)
    assert seen.freed == {Market.SPOT}
    assert seen.launched == [Market.SPOT]
    assert [one["tags"]["spotline:run-id"] for one in gang_jobs(world)] == [execution.name, second.name]


def test_what_fails_while_slots_are_handed_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world, execution, job = a_running_gang()
    world.finish_job(job["jobId"])

    def fail(market: Market) -> set[str]:
        raise InternalServerError

    monkeypatch.setattr(world.allowances, "slot_holders", fail)
    assert [line.partition(":")[0] for line in world.look.again(execution.name).failed] == ["slots"]
    failed = world.look.again().failed
    assert [line.partition(":")[0] for line in failed] == ["SPOT slots", "ON_DEMAND slots"]


def test_what_fails_while_runs_are_sent_on_to_on_demand_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, _ = a_running_gang()
    wait_behind(world, "v2")
    world.clock.advance(timedelta(hours=3))

    def fail(now: datetime) -> timedelta:
        raise InternalServerError

    monkeypatch.setattr(world.allowances, "spent", fail)
    assert [line.partition(":")[0] for line in world.look.again().failed] == ["slots"]


def test_a_run_that_waited_too_long_for_spot_goes_on_to_on_demand() -> None:
    world, _, _ = a_running_gang()
    [second] = wait_behind(world, "v2")
    world.clock.advance(timedelta(hours=3))
    seen = world.look.again()
    assert f"{second.name}#1: goes on to On-Demand" in seen.done
    assert second.state == ON_DEMAND


def test_a_record_that_cannot_be_read_is_named_once() -> None:
    world, _, job = a_running_gang(spot_max_gangs=2)
    [bad] = wait_behind(world, "v2")
    world.dynamodb.items[f"RUN#{bad.name}", "GANG#0001"]["market"] = "BLACK"
    world.finish_job(job["jobId"])
    seen = world.look.again()
    by_run, by_listing = sorted(seen.failed)
    assert by_run.startswith(f"{bad.name}: ")
    assert by_listing.startswith(f"item RUN#{bad.name} GANG#0001: ")


# What a gang left


def manifest(generation: int) -> bytes:
    left = AnalysisManifest("clean", "digest", 2, 1, None, (), "model", "job", generation)
    return left.to_json()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (manifest(1), ("s3://results/{prefix}manifest.json", "")),
        (manifest(2), (None, "s3://results/{prefix}manifest.json is of generation 2")),
        (manifest(0), (None, "s3://results/{prefix}manifest.json is of generation 0")),
        (None, (None, "s3://results/{prefix}manifest.json does not exist")),
    ],
)
def test_only_the_manifest_of_this_very_gang_counts(body: bytes | None, expected: tuple[str | None, str]) -> None:
    world, execution, _ = a_running_gang()
    prefix = analysis_prefix(execution.name)
    if body is not None:
        world.s3.objects["results", f"{prefix}{MANIFEST}"] = body
    found, why = published_by(S3Objects("results", prefix, world.clients.s3), open_gang(world))
    assert (found, why) == (expected[0] and expected[0].format(prefix=prefix), expected[1].format(prefix=prefix))


def test_a_manifest_that_cannot_be_read_is_named() -> None:
    world, execution, _ = a_running_gang()
    prefix = analysis_prefix(execution.name)
    world.s3.objects["results", f"{prefix}{MANIFEST}"] = b"{"
    found, why = published_by(S3Objects("results", prefix, world.clients.s3), open_gang(world))
    assert found is None
    assert why.startswith(f"s3://results/{prefix}{MANIFEST}")


def test_a_gang_that_succeeded_with_another_ones_manifest_fails_and_says_so() -> None:
    world, execution, job = a_running_gang()
    world.batch.end(job["jobId"], "SUCCEEDED", code=0)
    world.s3.objects["results", f"{analysis_prefix(execution.name)}{MANIFEST}"] = manifest(7)
    world.look.again(execution.name)
    assert (execution.status, execution.error) == ("FAILED", "Job.Failed")
    assert "is of generation 7" in execution.cause


def test_the_task_gets_the_manifest_that_its_gang_left() -> None:
    world, execution, job = a_running_gang()
    answers: list[dict[str, Any]] = []
    succeed = world.steps.send_task_success

    def answer(**call: Any) -> None:
        answers.append(json.loads(call["output"]))
        succeed(**call)

    world.steps.send_task_success = answer
    world.finish_job(job["jobId"])
    world.look.again(execution.name)
    assert answers == [
        {
            "manifest": f"s3://results/{analysis_prefix(execution.name)}{MANIFEST}",
            "generation": 1,
            "market": "SPOT",
            "job_id": job["jobId"],
        }
    ]


def test_a_notice_that_cannot_be_read_is_named_in_the_log_and_the_others_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, execution, job = a_running_gang()
    prefix = analysis_prefix(execution.name)
    for member, body in enumerate([b"{", b'{"kind": "spot"}', b'{"kind": "sigterm"}', b"{}"]):
        world.s3.objects["results", prefix + notice_key(job["jobId"], member)] = body
    world.s3.objects["results", f"{prefix}{notice_key(job['jobId'], 0)}.bak"] = b'{"kind": "spot"}'
    assert noticed_members(S3Objects("results", prefix, world.clients.s3), job["jobId"]) == [1]
    named = [vars(line) for line in caplog.records]
    assert [line["message"] for line in named] == ["a notice cannot be read and does not count"] * 2
    assert {line["job_id"] for line in named} == {job["jobId"]}
    assert [notice_key(job["jobId"], 0) in line["reason"] for line in named] == [True, True]


def test_a_notice_that_is_too_large_is_not_even_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    world, execution, job = a_running_gang()
    prefix = analysis_prefix(execution.name)
    notice = b'{"kind": "spot"}'
    for member, size in ((0, NOTICE_BYTES), (1, NOTICE_BYTES + 1)):
        world.s3.objects["results", prefix + notice_key(job["jobId"], member)] = notice.ljust(size)
    get = world.s3.get_object
    downloaded: list[int] = []

    def note(**call: Any) -> Any:
        answer = get(**call)
        body = answer["Body"].read()

        def read() -> bytes:
            downloaded.append(len(body))
            return bytes(body)

        return {**answer, "Body": SimpleNamespace(read=read)}

    monkeypatch.setattr(world.s3, "get_object", note)
    assert noticed_members(S3Objects("results", prefix, world.clients.s3), job["jobId"]) == [0]
    assert downloaded == [NOTICE_BYTES]


def test_a_members_spot_notice_counts_before_what_batch_says() -> None:
    world, execution, job = a_running_gang()
    key = analysis_prefix(execution.name) + notice_key(job["jobId"], 1)
    world.s3.objects["results", key] = b'{"kind": "spot"}'
    end_with(world, job)
    world.look.again(execution.name)
    assert world.dynamodb.items[f"RUN#{execution.name}", "GANG#0001"]["outcome"] == "Spot.Interrupted"


def test_of_a_long_cause_that_nobody_typed_the_beginning_is_kept() -> None:
    assert failure_of(Execution("arn", "FAILED", error="E", cause="x" * 2001)) == ("E", "x" * 2000)
