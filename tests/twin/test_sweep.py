"""`sweep` in the deployed system: what a lost event, an outage or a late supplier leaves is found; days gone by are filled back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from spotline.contracts import Delivery
from spotline.layout import parse_data_key
from spotline.runs import Source, run_id
from sweeping.lateness import due_days
from tests.twin.sweep_cloud import SweepCloud, sweep_cloud
from twin import faults
from twin.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.timeout(300), pytest.mark.ours]


@pytest.fixture(scope="module")
def cloud() -> Iterator[SweepCloud]:
    with sweep_cloud() as running:
        yield running
        # Whatever else went on meanwhile, however often it swept: see the test of the late day.
        assert len(running.told("is late")) <= 1


def name_of(cloud: SweepCloud, key: str, version: str) -> str:
    return run_id(Source(cloud.stack.outputs["IngestBucket"], key, version, 0), parse_data_key(key))


def test_a_sweep_finds_every_file_whose_event_was_lost() -> None:
    # Given files of which one event in ten is lost, and another one comes twice
    with sweep_cloud(drop_events=0.1, duplicate_events=0.1, seed=6) as cloud:
        landed: set[str] = set()
        missing: set[str] = set()
        for day in range(1, 9):
            for number in range(10):
                key = f"data/flights/201301{day:02d}/part-{number}.csv"
                landed.add(name_of(cloud, key, cloud.land(key)))
            missing = landed - set(cloud.settled())
            if missing:
                break
        assert missing
        # When the sweep's hour comes
        answer = cloud.invoke(kind="sweep")
        # Then those files, and no others, get their runs
        assert set(answer["started"]) == missing
        assert answer["left"] == {"ran": len(landed) - len(missing)}
        cloud.until(lambda: set(cloud.executions()) == landed, "a run for each file")


def test_a_late_day_is_told_once(cloud: SweepCloud) -> None:
    # Given a dataset whose files come twelve hours from now, and of the days that are due all but the last have theirs
    hour = (datetime.now(UTC) + timedelta(hours=12)).replace(second=0, microsecond=0)
    delivery = Delivery(hour.time())
    late, *punctual = [day for day, _ in due_days(delivery, datetime.now(UTC))]
    contract = {
        "fields": [{"name": "a", "type": "integer"}],
        "spotline": {"delivery": {"expectedBy": f"{hour:%H:%M}"}},
    }
    cloud.twin.client("s3").put_object(
        Bucket=cloud.stack.outputs["IngestBucket"], Key="contracts/punctual.json", Body=json.dumps(contract)
    )
    for day in punctual:
        cloud.land(f"data/punctual/{day}/f.csv")
    # When the schedule's hour comes, and again, and once more
    cloud.fire()
    cloud.until(lambda: bool(cloud.told("is late")), "the message")
    assert [cloud.invoke(kind="sweep")["late"] for _ in range(2)] == [
        [{"dataset": "punctual", "day": late, "expected_by": f"{late[:4]}-{late[4:6]}-{late[6:]} {hour:%H:%M} UTC"}]
    ] * 2
    # Then Slack has one message, of that day, and no second one by the time all other tests are done
    [message] = cloud.told("is late")
    assert f"punctual {late[:4]}-{late[4:6]}-{late[6:]} is late" in message


def test_no_file_is_lost_while_step_functions_throttles(cloud: SweepCloud) -> None:
    with faults.injected(Fault("states:StartExecution", 0.3), seed=6) as injector:
        keys = [f"data/throttled/20130209/part-{number}.csv" for number in range(12)]
        landed = {name_of(cloud, key, cloud.land(key)) for key in keys}
        cloud.until(lambda: landed <= set(cloud.executions()), "a run for each file")
    assert injector.struck


def test_of_two_versions_whose_events_were_lost_the_newer_one_runs(cloud: SweepCloud) -> None:
    key = "data/versions/20130209/f.csv"
    rules = cloud.twin.client("events")
    [rule] = [found["Name"] for found in rules.list_rules()["Rules"] if "FileLanded" in found["Name"]]
    rules.disable_rule(Name=rule)
    older, newer = (name_of(cloud, key, cloud.land(key, body)) for body in (b"a\n1\n", b"a\n2\n"))
    rules.enable_rule(Name=rule)

    answer = cloud.invoke(kind="sweep")

    assert newer in answer["started"]
    assert older not in cloud.executions()


def test_a_backfill_starts_nothing_twice_unless_it_is_forced_and_then_a_rerun(cloud: SweepCloud) -> None:
    # Given a file that has run
    key = "data/gone-by/20130209/f.csv"
    run = name_of(cloud, key, cloud.land(key))
    outside = "data/gone-by/20130211/f.csv"
    cloud.land(outside)
    cloud.until(lambda: cloud.executions().get(run) not in (None, "RUNNING"), "the file's own run")
    days = {"from": "20130201", "to": "20130210", "dataset": "gone-by"}
    # When its days are filled back, it is left alone
    answer = cloud.invoke(**days)
    assert (answer["seen"], answer["started"], answer["left"]) == (1, [], {"ran": 1})
    # By force it gets a rerun, at a backfill's priority and on Spot only
    assert cloud.invoke(**days, force=True, request="again")["started"] == [f"{run}-r1"]
    told = cloud.input_of(f"{run}-r1")
    assert (told["priority"], told["market"], told["request"]) == ("backfill", "spot-only", "again")
    cloud.until(lambda: cloud.executions()[f"{run}-r1"] != "RUNNING", "the rerun")
    jobs = cloud.twin.client("batch").list_jobs(
        jobQueue=cloud.stack.outputs["BackfillQueue"],
        filters=[{"name": "JOB_NAME", "values": [f"{run}-r1-preprocess"]}],
    )
    assert [job["jobName"] for job in jobs["jobSummaryList"]] == [f"{run}-r1-preprocess"]
    # The same request gives no second one, another request does
    assert cloud.invoke(**days, force=True, request="again")["left"] == {"started before": 1}
    assert cloud.invoke(**days, force=True)["started"] == [f"{run}-r2"]


def test_a_bad_request_is_answered_with_the_way_out(cloud: SweepCloud) -> None:
    answer = cloud.invoke(**{"from": "2013-02-01", "to": "20130210", "dataset": "flights"})
    assert answer["errorType"] == "BadRequest"
    assert answer["errorMessage"].startswith("from: '2013-02-01'; write a day as YYYYMMDD")


def test_a_failure_whose_event_was_lost_is_told_and_recorded_all_the_same(cloud: SweepCloud) -> None:
    # Given a run that waits for room, and nobody who hears how it ends
    with cloud.deaf_to_endings(), cloud.without_capacity():
        run = name_of(cloud, key := "data/flights/20130601/flights.csv", cloud.land(key))
        cloud.until(lambda: cloud.executions().get(run) == "RUNNING", "the run to begin")
        # When it is stopped, and the sweep's hour comes twice
        cloud.twin.client("stepfunctions").stop_execution(executionArn=cloud.arn_of(run))
        for _ in range(2):
            cloud.invoke(kind="sweep")
        # Then it is told once, and the run's record says so
        cloud.until(lambda: cloud.recorded(run) == "ABORTED", "the record")
        cloud.until(lambda: bool(cloud.told(run)), "the message")
    cloud.settled()
    assert len(cloud.told(run)) == 1
