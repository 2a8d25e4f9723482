"""`sweep`: one contract, one object or one execution can only harm itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

import sweep
from sweeping import work
from tests.poison import POISONS
from tests.unit.functions.sweep_account import BACKFILL, Account

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = datetime.now(UTC) - timedelta(hours=1)
WAITING = {"fields": [{"name": "a"}], "spotline": {"delivery": {"expectedBy": f"{HOUR:%H:%M}"}}}


def put_contract(account: Account, dataset: str, body: bytes) -> None:
    account.s3.put_object(Bucket="ingest", Key=f"contracts/{dataset}.json", Body=body)


def test_a_contract_that_cannot_be_read_keeps_no_other_dataset_s_late_day_from_being_told(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    # Given poisoned contracts before the one that says when a file is expected, and a file without a run
    poisoned = [f"a{number}" for number in range(len(POISONS))]
    for dataset, body in zip(poisoned, POISONS.values(), strict=True):
        put_contract(account, dataset, body)
    put_contract(account, "flights", json.dumps(WAITING).encode())
    run = account.land("data/trains/20130209/f.csv")
    # When there is a sweep
    answer = account.sweep()
    # Then the late days are told, the run is started, and the log names each contract
    assert {day["dataset"] for day in account.functions.of("notify")} == {"flights"}
    assert answer["started"] == [run]
    [warned] = [vars(record)["contracts"] for record in caplog.records if "contracts" in vars(record)]
    assert sorted(line.partition(": ")[0] for line in warned) == sorted(f"contracts/{name}.json" for name in poisoned)


def failing(client: Any, method: str, harms: Callable[[dict[str, Any]], bool], code: str) -> Callable[..., Any]:
    real = getattr(client, method)

    def call(**arguments: Any) -> Any:
        if harms(arguments):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, method)
        return real(**arguments)

    return call


def break_service(
    monkeypatch: pytest.MonkeyPatch, service: str, method: str, harms: Callable[[dict[str, Any]], bool], code: str
) -> None:
    """Have one method of a service fail for some arguments."""
    connect: Any = boto3.client

    def connect_broken(name: str, **more: Any) -> Any:
        client = connect(name, **more)
        if name == service:
            setattr(client, method, failing(client, method, harms, code))
        return client

    monkeypatch.setattr(boto3, "client", connect_broken)


def test_a_contract_that_may_not_be_read_is_named_in_the_end(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    put_contract(account, "a-locked", json.dumps(WAITING).encode())
    put_contract(account, "flights", json.dumps(WAITING).encode())
    account.land("data/trains/20130209/f.csv")
    break_service(monkeypatch, "s3", "get_object", lambda call: "a-locked" in call["Key"], "AccessDenied")
    with pytest.raises(sweep.Incomplete, match=r"a-locked.*AccessDenied"):
        account.sweep()
    assert {day["dataset"] for day in account.functions.of("notify")} == {"flights"}
    assert len(account.executions()) == 1


def test_an_object_that_cannot_be_started_keeps_no_later_one_from_it(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given three files, of which the first cannot be started, whatever the reason is
    bad, *good = (account.land(f"data/flights/2013020{day}/f.csv") for day in (1, 2, 3))
    break_service(
        monkeypatch, "stepfunctions", "start_execution", lambda call: call["name"] == bad, "InvalidExecutionInput"
    )
    # When there is a sweep, then the others run, and it is named
    with pytest.raises(sweep.Incomplete, match=r"data/flights/20130201/f\.csv.*InvalidExecutionInput"):
        account.sweep()
    assert account.executions() == sorted(good)


def test_what_failed_in_an_earlier_turn_is_not_forgotten(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = (account.land(f"data/flights/2013020{day}/f.csv") for day in (1, 2))
    break_service(
        monkeypatch, "stepfunctions", "start_execution", lambda call: call["name"] == bad, "InvalidExecutionInput"
    )
    assert account.sweep(milliseconds=0)["failed"]
    [event] = account.functions.of("sweep")
    with pytest.raises(sweep.Incomplete, match=r"1 failed.*logs of the invocations before"):
        account.sweep(event)
    assert account.executions() == [good]


def test_an_outage_is_not_taken_for_the_objects_fault(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(work.OUTAGE + 5):
        account.land(f"data/flights/20130201/f{number:02d}.csv")
    asked: list[str] = []

    def note(call: dict[str, Any]) -> bool:
        asked.append(call["name"])
        return True

    break_service(monkeypatch, "stepfunctions", "start_execution", note, "ThrottlingException")
    with pytest.raises(work.Outage, match="10 objects in a row"):
        account.sweep()
    assert len(asked) == work.OUTAGE


@pytest.mark.parametrize("poison", ["null", "cut off", "deep lists", "an integer of 5,000 digits"])
def test_an_execution_with_an_input_of_somebody_else_s_keeps_no_other_file_from_a_backfill(
    account: Account, poison: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the execution of one file, which says what no function of ours writes, and another file without one
    first = account.land("data/flights/20130209/f.csv")
    account.sweep()
    second = account.land("data/flights/20130210/f.csv")
    connect: Any = boto3.client

    def connect_poisoned(name: str, **more: Any) -> Any:
        client = connect(name, **more)
        if name == "stepfunctions":
            describe = client.describe_execution

            def describe_poisoned(**arguments: Any) -> Any:
                return describe(**arguments) | {"input": POISONS[poison].decode()}

            client.describe_execution = describe_poisoned
        return client

    monkeypatch.setattr(boto3, "client", connect_poisoned)
    # When there is a backfill of both by force, then the one is started and the other, which runs, is left
    answer = account.sweep({**BACKFILL, "force": True})
    assert (answer["started"], answer["left"]) == ([second], {"running": 1})
    assert first in account.executions()
