"""`sweep` against moto: what it finds, starts, tells, and how it goes on where its time runs out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import sweep
from announce.outcomes import ExecutionEnded
from announce.outcomes import read_request as read_outcome
from reconcile import run_named_by
from sweeping.endings import LOOK_BACK, bad_endings
from tests.unit.functions.sweep_account import BACKFILL, Account, Context

# Sweeps


def test_what_landed_without_a_run_gets_the_one_that_ingest_would_have_started(account: Account) -> None:
    run = account.land("data/flights/20130209/flights.csv")
    assert account.sweep()["started"] == [run]
    told = account.input_of(run)
    assert (told["market"], told["priority"], told["request"], told["share"]) == ("spot-first", "daily", "", "flights")
    assert told["source"]["size"] == 9


def test_a_sweep_and_a_backfill_take_the_share_that_the_contract_names(account: Account) -> None:
    account.s3.put_object(
        Bucket="ingest", Key="contracts/flights.json", Body=json.dumps({"spotline": {"share": "risk"}})
    )
    swept = account.land("data/flights/20130209/flights.csv")
    assert account.sweep()["started"] == [swept]
    account.land("data/flights/20130210/flights.csv")
    [filled] = account.sweep(BACKFILL)["started"]
    assert {account.input_of(run)["share"] for run in (swept, filled)} == {"risk"}


def test_a_version_that_was_replaced_or_deleted_gets_none(account: Account) -> None:
    account.land("data/flights/20130209/flights.csv")
    newer = account.land("data/flights/20130209/flights.csv")
    account.land("data/flights/20130210/flights.csv")
    account.s3.delete_object(Bucket="ingest", Key="data/flights/20130210/flights.csv")
    assert account.sweep()["started"] == [newer]


def test_what_landed_before_it_looks_back_is_left_alone(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.land("data/flights/20130209/flights.csv")
    monkeypatch.setenv("LOOK_BACK_DAYS", "0")
    assert account.sweep() | {"late": []} == {
        "kind": "sweep",
        "seen": 1,
        "started": [],
        "left": {},
        "refused": [],
        "continues": False,
        "failed": [],
        "late": [],
    }


def test_what_no_run_can_be_made_of_is_named_and_told_nobody_every_hour(account: Account) -> None:
    account.land("data/flights/2013-02-09/flights.csv")
    account.land("data/flights/20130209/large.csv", size=1001)
    fine = account.land("data/flights/20130209/zzz.csv")
    answer = account.sweep()
    assert [("is not a day" in said, "MaxObjectBytes" in said) for said in answer["refused"]] == [
        (False, True),
        (True, False),
    ]
    assert answer["started"] == [fine]
    assert account.functions.asked == []


def test_a_late_day_is_asked_to_be_told_and_a_contract_that_is_broken_keeps_no_other_from_it(account: Account) -> None:
    hour = (datetime.now(UTC) - timedelta(hours=1)).strftime("%H:%M")
    contract = {"fields": [{"name": "a"}], "spotline": {"delivery": {"expectedBy": hour}}}
    account.s3.put_object(Bucket="ingest", Key="contracts/broken.json", Body=b"{")
    account.s3.put_object(
        Bucket="ingest", Key="contracts/nobody-waits.json", Body=json.dumps({"fields": [{"name": "a"}]})
    )
    account.s3.put_object(Bucket="ingest", Key="contracts/flights.json", Body=json.dumps(contract))
    late = account.sweep()["late"]
    assert {day["dataset"] for day in late} == {"flights"}
    assert account.functions.of("notify") == [{"kind": "late-day", **day} for day in late]


def test_a_file_of_the_day_makes_it_punctual_but_a_folder_does_not(account: Account) -> None:
    hour = datetime.now(UTC) - timedelta(hours=1)
    contract = {"fields": [{"name": "a"}], "spotline": {"delivery": {"expectedBy": f"{hour:%H:%M}"}}}
    account.s3.put_object(Bucket="ingest", Key="contracts/default.json", Body=json.dumps(contract))
    last, before = (f"{hour - timedelta(days=back):%Y%m%d}" for back in (0, 1))
    account.s3.put_object(Bucket="ingest", Key=f"data/default/{last}/", Body=b"")
    account.land(f"data/{before}/f.csv")
    assert [day["day"] for day in account.sweep()["late"]] == [last]


def test_bad_endings_are_brought_once_more_to_whoever_is_told_of_them(account: Account) -> None:
    # Given a run that was stopped and one that runs
    stopped = account.land("data/flights/20130209/flights.csv")
    account.land("data/flights/20130210/flights.csv")
    account.sweep()
    account.stop(stopped)
    # When the sweep's hour comes again
    account.sweep()
    # Then both functions that the lost event was meant for are asked about the one, in its words
    [told], [looked] = account.functions.of("notify"), account.functions.of("reconcile")
    arn = f"{account.machine.replace(':stateMachine:', ':execution:')}:{stopped}"
    assert told == looked
    assert read_outcome(told) == ExecutionEnded(arn, "ABORTED", 0)
    assert run_named_by(looked) == stopped


def test_bad_endings_of_long_ago_are_left_alone(account: Account) -> None:
    run = account.land("data/flights/20130209/flights.csv")
    account.sweep()
    account.stop(run)
    later = datetime.now(UTC) + LOOK_BACK
    assert list(bad_endings(account.steps, account.machine, later)) == []
    assert len(list(bad_endings(account.steps, account.machine, later - timedelta(minutes=1)))) == 1


# Going on


def test_it_goes_on_where_its_time_ran_out_and_every_turn_gets_something_done(account: Account) -> None:
    runs = {account.land(f"data/flights/201302{day:02d}/f.csv") for day in range(1, 6)}
    event: dict[str, Any] = {"kind": "sweep"}
    turns = 0
    while event:
        account.functions.asked.clear()
        answer = account.sweep(event, milliseconds=0)
        turns += 1
        assert answer["seen"] == 1
        assert answer["continues"] == bool(account.functions.of("sweep"))
        [event] = account.functions.of("sweep") or [{}]
    assert turns == len(runs)
    assert account.executions() == sorted(runs)


def test_a_backfill_goes_on_as_the_same_request(account: Account) -> None:
    for day in (9, 10):
        account.land(f"data/flights/201302{day:02d}/f.csv")
    answer = account.sweep({**BACKFILL, "force": True}, milliseconds=0)
    [event] = account.functions.of("sweep")
    assert event["request"] == answer["request"] == Context().aws_request_id
    again = account.sweep(event, aws_request_id="another")
    assert (again["seen"], again["request"], again["continues"]) == (1, answer["request"], False)


def test_it_cannot_go_on_for_ever(account: Account) -> None:
    for day in (9, 10):
        account.land(f"data/flights/201302{day:02d}/f.csv")
    event = {"kind": "sweep", "continue": {"after": "data/a", "turns": sweep.MAX_TURNS - 1}}
    with pytest.raises(sweep.Unfinished, match="from that key's day on"):
        account.sweep(event, milliseconds=0)
    assert account.functions.of("sweep") == []
    # And the next hour goes on there, the one after it with the newest days
    assert (account.sweep()["seen"], account.sweep()["seen"]) == (1, 2)


def test_only_the_first_turn_looks_for_late_days(account: Account) -> None:
    contract = {"fields": [{"name": "a"}], "spotline": {"delivery": {"expectedBy": "00:00"}}}
    account.s3.put_object(Bucket="ingest", Key="contracts/flights.json", Body=json.dumps(contract))
    assert account.sweep({"kind": "sweep", "continue": {"after": "data/a", "turns": 1}})["late"] == []


# Backfills


def test_a_backfill_starts_what_never_ran_within_its_days_on_spot_and_behind_the_day(account: Account) -> None:
    for day in ("20130131", "20130301"):
        account.land(f"data/flights/{day}/f.csv")
    account.land("data/other/20130209/f.csv")
    first, last = (account.land(f"data/flights/{day}/f.csv") for day in ("20130201", "20130228"))
    assert account.sweep(BACKFILL)["started"] == [first, last]
    told = account.input_of(first)
    assert (told["market"], told["priority"], told["request"]) == ("spot-only", "backfill", "")
    assert account.sweep(BACKFILL)["left"] == {"running": 2}


def test_the_default_dataset_s_files_lie_in_two_places(account: Account) -> None:
    runs = [account.land(key) for key in ("data/20130209/f.csv", "data/default/20130209/f.csv")]
    account.land("data/flights/20130209/f.csv")
    assert account.sweep({**BACKFILL, "dataset": "default"})["started"] == runs


def test_a_run_whose_execution_is_forgotten_is_known_by_its_results(account: Account) -> None:
    run = account.land("data/flights/20130209/f.csv")
    account.s3.put_object(Bucket="results", Key=f"runs/{run}/postprocess/manifest.json", Body=b"{}")
    assert account.sweep(BACKFILL)["left"] == {"ran": 1}
    # By force it is rerun, under a number of which nothing is left
    account.s3.put_object(Bucket="results", Key=f"runs/{run}-r1/analysis/manifest.json", Body=b"{}")
    assert account.sweep({**BACKFILL, "force": True})["started"] == [f"{run}-r2"]


def test_what_still_runs_is_not_run_again_even_by_force(account: Account) -> None:
    run = account.land("data/flights/20130209/f.csv")
    account.sweep()
    forced = {**BACKFILL, "force": True}
    assert account.sweep(forced)["left"] == {"running": 1}
    account.stop(run)
    assert account.sweep(forced)["started"] == [f"{run}-r1"]
    assert account.sweep(forced, aws_request_id="another")["left"] == {"running": 1}


def test_one_request_gives_one_rerun_however_often_it_is_delivered(account: Account) -> None:
    run = account.land("data/flights/20130209/f.csv")
    account.sweep()
    account.stop(run)
    forced = {**BACKFILL, "force": True}
    assert account.sweep(forced)["started"] == [f"{run}-r1"]
    account.stop(f"{run}-r1")
    assert account.sweep(forced)["left"] == {"started before": 1}
    assert account.sweep({**forced, "request": "tuesday"})["started"] == [f"{run}-r2"]
    assert account.executions() == [run, f"{run}-r1", f"{run}-r2"]


def test_a_forced_first_run_is_not_repeated_by_its_own_request(account: Account) -> None:
    run = account.land("data/flights/20130209/f.csv")
    forced = {**BACKFILL, "force": True}
    assert account.sweep(forced)["started"] == [run]
    account.stop(run)
    assert account.sweep(forced)["left"] == {"started before": 1}
