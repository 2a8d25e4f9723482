"""`sweep`'s handler, on an account in memory: what it asks for, answers and raises, and how its invocations follow each other."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

import sweep
from spotline.starting import SHARES_CONFIG
from tests.unit.functions.memory import EXECUTIONS, SETTINGS, Memory
from tests.unit.functions.sweep_account import Context

BACKFILL = {"from": "20130201", "to": "20130228", "dataset": "flights"}
SWEEP = {"kind": "sweep"}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    for name, value in asdict(SETTINGS).items():
        monkeypatch.setenv(name.upper(), str(value))
    return Memory(monkeypatch)


def handle(event: dict[str, Any], milliseconds: int = 900_000, **context: Any) -> dict[str, Any]:
    answer: dict[str, Any] = sweep.handler(event, Context(milliseconds, **context))  # type: ignore[arg-type]
    return answer


def land_days(memory: Memory, count: int) -> list[str]:
    """A file a day; answers their runs, newest day first."""
    return [memory.land(f"data/flights/201302{day:02d}/f.csv") for day in range(count, 0, -1)]


DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Call")


def deny(*_: Any, **__: Any) -> Any:
    raise DENIED


# A sweep


def test_a_sweep_starts_what_has_no_run_and_answers_what_came_of_it(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, second = land_days(memory, 2)
    memory.s3.put("data/flights/20130202/large.csv", b"x" * 1001)
    memory.land("data/flights/20130202/old.csv", days_ago=3.1)
    answer = handle(SWEEP)
    assert answer == {
        "kind": "sweep",
        "seen": 4,
        "started": [first, second],
        "left": {},
        "refused": answer["refused"],
        "continues": False,
        "failed": [],
        "late": [],
    }
    assert len(answer["refused"]) == 1
    assert memory.invoked == []
    [logged] = [vars(line) for line in caplog.records if line.message == "done"]
    assert {name: logged[name] for name in answer} == answer


def test_files_count_as_new_for_as_many_days_as_the_parameter_says(memory: Memory) -> None:
    run = memory.land("data/flights/20130202/f.csv", days_ago=2.9)
    memory.land("data/flights/20130201/f.csv", days_ago=3.1)
    assert handle(SWEEP)["started"] == [run]


def test_runs_take_the_share_that_their_contract_names(memory: Memory) -> None:
    memory.s3.put("contracts/flights.json", b'{"spotline": {"share": "risk"}}')
    [run] = land_days(memory, 1)
    handle(SWEEP)
    assert json.loads(memory.steps.executions[run]["input"])["share"] == "risk"


def test_every_call_is_repeated_and_contracts_are_not_waited_for_long(memory: Memory) -> None:
    land_days(memory, 2)
    handle(SWEEP, 0)
    assert memory.configs == {
        "s3": [sweep.CONFIG, sweep.CONFIG, SHARES_CONFIG],
        "lambda": [sweep.CONFIG] * 3,
        "stepfunctions": [sweep.CONFIG] * 2,
        "dynamodb": [sweep.CONFIG],
    }


# Late days and bad ends


def expect_daily(memory: Memory, dataset: str = "trains") -> None:
    """A contract whose file was due an hour ago, and a day before that."""
    hour = datetime.now(UTC) - timedelta(hours=1)
    contract = {"fields": [{"name": "a"}], "spotline": {"delivery": {"expectedBy": f"{hour:%H:%M}"}}}
    memory.s3.put(f"contracts/{dataset}.json", json.dumps(contract).encode())


def test_each_late_day_is_answered_and_notify_is_asked_for_a_message(memory: Memory) -> None:
    expect_daily(memory)
    late = handle(SWEEP)["late"]
    assert [day["dataset"] for day in late] == ["trains", "trains"]
    assert set(late[0]) == {"dataset", "day", "expected_by"}
    assert memory.invoked == [("notify", {"kind": "late-day", **day}) for day in late]


def test_a_contract_that_cannot_be_read_is_named_in_the_log(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    handle(SWEEP)
    assert [line.message for line in caplog.records if line.levelname == "WARNING"] == []
    memory.s3.put("contracts/broken.json", b"{")
    expect_daily(memory)
    assert len(handle(SWEEP)["late"]) == 2
    [logged] = [vars(line) for line in caplog.records if line.levelname == "WARNING"]
    assert logged["message"] == "contracts cannot be read, nobody waits for their files"
    assert [line.partition(": ")[0] for line in logged["contracts"]] == ["contracts/broken.json"]


def test_a_bad_end_is_brought_to_notify_and_reconcile(memory: Memory) -> None:
    stopped, forgotten = land_days(memory, 2)
    handle(SWEEP)
    memory.steps.stop(stopped, "FAILED")
    memory.steps.stop(forgotten, "FAILED", hours_ago=4)
    handle(SWEEP)
    assert [name for name, _ in memory.invoked] == ["notify", "reconcile"]
    [(_, told), (_, looked)] = memory.invoked
    assert told == looked
    assert told["detail"] == {
        "executionArn": f"{EXECUTIONS}:{stopped}",
        "name": stopped,
        "status": "FAILED",
        "redriveCount": 0,
    }


def fail_for(memory: Memory, function: str, of: str) -> None:
    """Lambda does not take the message about `of` to one function."""
    invoke = memory._invoke

    def refuse(**call: Any) -> None:
        if call["FunctionName"] == function and of.encode() in call["Payload"]:
            raise DENIED
        invoke(**call)

    memory._invoke = refuse  # type: ignore[method-assign]


def test_a_message_that_cannot_be_asked_for_keeps_nobody_from_the_others(memory: Memory) -> None:
    [stopped, other] = land_days(memory, 2)
    handle(SWEEP)
    for name in (stopped, other):
        memory.steps.stop(name)
    expect_daily(memory)
    day = f"{datetime.now(UTC) - timedelta(hours=1):%Y%m%d}"
    fail_for(memory, "notify", day)
    with pytest.raises(sweep.Incomplete) as incomplete:
        handle(SWEEP)
    assert f"trains {day}: ClientError" in str(incomplete.value)
    assert [payload["day"] for payload in memory.messages("notify") if "day" in payload] != [day]
    assert len(memory.messages("notify")) == 3
    # And one function's message is not the other's
    memory.invoked.clear()
    fail_for(memory, "notify", stopped)
    with pytest.raises(sweep.Incomplete, match=f"{stopped}: ClientError"):
        handle(SWEEP)
    assert len(memory.messages("reconcile")) == 2


def test_late_days_and_ends_that_cannot_be_looked_for_keep_no_file_from_its_run(memory: Memory) -> None:
    [run] = land_days(memory, 1)
    memory.steps.list_executions = deny  # type: ignore[method-assign]
    page = memory.s3._page_objects

    def deny_contracts(**call: Any) -> Any:
        return deny() if call["Prefix"] == "contracts/" else page(**call)

    memory.s3._page_objects = deny_contracts  # type: ignore[method-assign]
    with pytest.raises(sweep.Incomplete) as incomplete:
        handle(SWEEP)
    assert str(incomplete.value) == (
        f"2 failed and everything else was done. late days: ClientError: {DENIED}; bad endings: ClientError: {DENIED}"
    )
    assert list(memory.steps.executions) == [run]


def test_a_message_of_failure_names_five_and_counts_all(memory: Memory) -> None:
    names = [f"{letter}" for letter in "abcdefg"]
    for name in names:
        expect_daily(memory, name)
    memory.s3.get_object = deny  # type: ignore[method-assign]
    with pytest.raises(sweep.Incomplete) as incomplete:
        handle(SWEEP)
    said = str(incomplete.value)
    assert said.startswith("7 failed and everything else was done. late days of a: ")
    assert [f"late days of {name}:" in said for name in names] == [True] * 5 + [False] * 2


# Going on


def test_a_sweep_that_is_out_of_time_asks_for_the_next_invocation(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, *others = land_days(memory, 3)
    answer = handle(SWEEP, 29_999)
    assert (answer["started"], answer["continues"]) == ([first], True)
    [(function, event)] = memory.invoked
    ticket = memory.dynamodb.items["SWEEP", "LEASE"]["lease_ticket"]
    assert function == "sweep"
    assert event == {
        "kind": "sweep",
        "continue": {"after": "data/flights/20130203/f.csv", "turns": 1, "failed": 0, "ticket": ticket},
    }
    assert "out of time" in [line.message for line in caplog.records]
    assert "done" not in [line.message for line in caplog.records]
    # The next one goes on, and looks for no late days or bad ends again
    memory.invoked.clear()
    expect_daily(memory)
    memory.steps.stop(first)
    answer = handle(event)
    assert (sorted(answer["started"]), answer["late"], answer["continues"]) == (sorted(others), [], False)
    assert memory.invoked == []


@pytest.mark.parametrize(
    ("worked", "left", "turns", "stops"),
    [
        (0, 30_000, 0, False),
        (0, 29_999, 0, True),
        (40, 900_000, 0, False),
        (41, 900_000, 0, True),  # the `aws` tool waits a minute for its answer
        (41, 900_000, 1, False),
        (800, 30_000, 1, False),
        (800, 29_999, 1, True),
    ],
)
def test_when_an_invocation_stops(
    memory: Memory, worked: float, left: int, turns: int, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_days(memory, 2)
    times = iter([100.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times, 100.0 + worked))
    answer = handle({"kind": "sweep", "continue": {"turns": turns}}, left)
    assert answer["continues"] is stops
    assert len(answer["started"]) == (1 if stops else 2)


def test_what_failed_before_is_counted_in_the_end(memory: Memory) -> None:
    first, second, third = (memory.land(f"data/flights/{day}/f.csv") for day in ("20130203", "20130201", "20130202"))
    start = memory.steps.start_execution

    def refuse(**call: Any) -> Any:
        return deny() if call["name"] in (first, second) else start(**call)

    memory.steps.start_execution = refuse  # type: ignore[method-assign]
    assert len(handle(SWEEP, 0)["failed"]) == 1
    [event] = memory.messages("sweep")
    assert event["continue"]["failed"] == 1
    assert len(handle(event, 0)["failed"]) == 1
    event = memory.messages("sweep")[1]
    assert (event["continue"]["failed"], event["continue"]["turns"]) == (2, 2)
    with pytest.raises(sweep.Incomplete) as incomplete:
        handle(event)
    assert str(incomplete.value) == (
        "2 failed and everything else was done. The logs of the invocations before name them"
    )
    assert list(memory.steps.executions) == [third]


def test_an_invocation_that_fails_for_good_leaves_the_lease(memory: Memory) -> None:
    land_days(memory, 2)
    memory.s3.list_object_versions = deny  # type: ignore[method-assign]
    with pytest.raises(ClientError):
        handle(SWEEP)
    assert memory.dynamodb.items["SWEEP", "LEASE"]["lease_until"] == 0


def test_a_sweep_at_work_has_the_files_to_itself_for_as_long_as_lambda_lets_it(
    memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    land_days(memory, 2)
    expect_daily(memory)
    # Given a sweep, in the midst of which another one is invoked
    answers: list[dict[str, Any]] = []
    start = memory.steps.start_execution

    def start_slowly(**call: Any) -> Any:
        if not answers:
            answers.append({})
            answers[0] = handle(SWEEP)
            until = memory.dynamodb.items["SWEEP", "LEASE"]["lease_until"]
            assert 955 < until - datetime.now(UTC).timestamp() <= 960
        return start(**call)

    memory.steps.start_execution = start_slowly  # type: ignore[method-assign]
    assert len(handle(SWEEP)["started"]) == 2
    # Then that one says so, and did no more than to look for late days
    [busy] = answers
    assert (busy["busy"], busy["seen"], busy["started"], busy["continues"]) == (True, 0, [], False)
    assert [day["dataset"] for day in busy["late"]] == ["trains", "trains"]
    assert "another sweep is at work, which finds the files that this one would find" in [
        line.message for line in caplog.records
    ]


# The end of going on


def test_after_twelve_invocations_it_stops_and_says_how_to_go_on(memory: Memory) -> None:
    land_days(memory, 3)
    memory.dynamodb.items["SWEEP", "LEASE"] = {"pk": "SWEEP", "sk": "LEASE"}
    with pytest.raises(sweep.Unfinished) as unfinished:
        handle({**SWEEP, "continue": {"turns": 11}}, 0)
    assert str(unfinished.value) == (
        "12 invocations were not enough; the last one stopped after 'data/flights/20130203/f.csv'. What was started is started."
        " Invoke a backfill again, from that key's day on; a sweep goes on there at its next hour"
    )
    assert memory.messages("sweep") == []
    # The next hour goes on there
    item = memory.dynamodb.items["SWEEP", "LEASE"]
    assert (item["swept_days"], item["lease_until"]) == ("20130203-20130203", 0)
    assert handle(SWEEP)["seen"] == 2


def test_the_last_invocation_but_one_still_asks_for_the_last(memory: Memory) -> None:
    land_days(memory, 2)
    assert handle({**SWEEP, "continue": {"turns": 10}}, 0)["continues"]
    assert memory.messages("sweep")[0]["continue"]["turns"] == 11


def test_a_backfill_of_too_much_ends_alike(memory: Memory) -> None:
    land_days(memory, 2)
    with pytest.raises(sweep.Unfinished, match=r"stopped after 'data/flights/20130201/f\.csv'"):
        handle({**BACKFILL, "continue": {"turns": 11}}, 0)
    assert memory.dynamodb.items == {}


def test_an_invocation_that_cannot_ask_for_the_next_one_leaves_its_place(memory: Memory) -> None:
    land_days(memory, 3)
    memory._invoke = deny  # type: ignore[method-assign]
    with pytest.raises(ClientError):
        handle({**SWEEP, "continue": {"turns": 1}}, 0)
    item = memory.dynamodb.items["SWEEP", "LEASE"]
    assert (item["swept_days"], item["swept_key"]) == ("20130203-20130203", "data/flights/20130203/f.csv")
    assert item["lease_until"] == 0
    with pytest.raises(ClientError):
        handle(BACKFILL, 0)


# A backfill


def test_a_backfill_answers_its_request_and_takes_no_lease(memory: Memory) -> None:
    second, first = land_days(memory, 2)
    memory.land("data/flights/20130301/f.csv")
    expect_daily(memory)
    answer = handle(BACKFILL)
    assert (answer["kind"], answer["request"], answer["started"]) == (
        "backfill",
        Context().aws_request_id,
        [first, second],
    )
    assert (answer["late"], memory.dynamodb.items, memory.invoked) == ([], {}, [])
    assert handle(BACKFILL)["left"] == {"running": 2}


def test_a_backfill_goes_on_behind_its_last_key(memory: Memory) -> None:
    second, first = land_days(memory, 2)
    assert handle({**BACKFILL, "force": True}, 0)["started"] == [first]
    [event] = memory.messages("sweep")
    assert event == {
        "kind": "backfill",
        **BACKFILL,
        "force": True,
        "request": Context().aws_request_id,
        "continue": {"after": "data/flights/20130201/f.csv", "turns": 1, "failed": 0, "ticket": ""},
    }
    assert handle(event, aws_request_id="another")["started"] == [second]


def test_a_forced_backfill_knows_the_reruns_that_left_files(memory: Memory) -> None:
    [run] = land_days(memory, 1)
    memory.s3.put(f"runs/{run}/postprocess/manifest.json", b"{}", "results")
    memory.s3.put(f"runs/{run}-r1/analysis/manifest.json", b"{}", "results")
    assert handle(BACKFILL)["left"] == {"ran": 1}
    assert handle({**BACKFILL, "force": True})["started"] == [f"{run}-r2"]
