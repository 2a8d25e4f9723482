"""Starting a run, and asking for a message: what Step Functions and Lambda are asked, and what their answers mean."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from spotline import starting
from spotline.contracts.document import MOST_BYTES
from spotline.executions import CLOCKS_DIFFER
from spotline.runs import Run, Source
from spotline.starting import Refused, Shares, ask_to_tell, run_of, start_run

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
MACHINE = "arn:aws:states:us-east-1:1:stateMachine:pipeline"
FLIGHTS = Source("ingest", "data/flights/20130209/flights.csv", "v1", 9)


class Stopped(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        assert tz is UTC, "a time without a zone cannot be compared with AWS's"
        return NOW


class AlreadyExists(Exception):
    pass


def steps(answer: Callable[[], dict[str, Any]], calls: list[dict[str, Any]] | None = None) -> Any:
    def start_execution(**call: Any) -> dict[str, Any]:
        if calls is not None:
            calls.append(call)
        return answer()

    return SimpleNamespace(
        start_execution=start_execution, exceptions=SimpleNamespace(ExecutionAlreadyExists=AlreadyExists)
    )


# Starting


@pytest.mark.parametrize(
    ("started", "first"),
    [
        (NOW, True),
        (NOW + timedelta(seconds=1), True),
        (NOW - CLOCKS_DIFFER, True),  # the clocks of two services are never quite the same
        (NOW - CLOCKS_DIFFER - timedelta(milliseconds=1), False),
        (NOW - timedelta(days=1), False),
    ],
)
def test_whether_a_call_was_the_first_is_seen_by_when_the_execution_started(
    started: datetime, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "datetime", Stopped)
    run = run_of(FLIGHTS, 1000)
    calls: list[dict[str, Any]] = []
    assert start_run(steps(lambda: {"startDate": started}, calls), MACHINE, run) is first
    assert calls == [{"stateMachineArn": MACHINE, "name": run.run_id, "input": run.to_input()}]


def test_a_name_that_is_taken_was_started_before() -> None:
    def refuse() -> dict[str, Any]:
        raise AlreadyExists

    assert start_run(steps(refuse), MACHINE, run_of(FLIGHTS, 1000)) is False


def test_every_other_error_is_the_callers() -> None:
    def fail() -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "StartExecution")

    with pytest.raises(ClientError):
        start_run(steps(fail), MACHINE, run_of(FLIGHTS, 1000))


# Making a run of an object version


def test_a_run_says_which_version_of_which_file_of_which_day_it_is_of() -> None:
    run = run_of(FLIGHTS, 9)
    assert run == Run(run_id=run.run_id, dataset="flights", day="20130209", source=FLIGHTS)
    assert run.run_id.startswith("flights-20130209-")


def test_a_refusal_of_a_large_file_names_its_size_and_the_parameter() -> None:
    with pytest.raises(Refused) as refused:
        run_of(Source("ingest", "data/flights/20130209/\u00e9.csv", "v1", 1001), 1000)
    assert str(refused.value) == (
        "'data/flights/20130209/\u00e9.csv' has 1001 bytes, more than the 1000 that the stack's parameter MaxObjectBytes allows"
    )
    long = Source("ingest", f"data/flights/20130209/{'x' * 900}.csv", "v1", 1001)
    with pytest.raises(Refused, match=r"^'data/flights/20130209/x+\.\.\.x+\.csv' has 1001 bytes"):
        run_of(long, 1000)


def test_a_refusal_of_a_malformed_key_says_what_the_layout_says() -> None:
    with pytest.raises(Refused, match="is not data/<dataset>/YYYYMMDD/<file>"):
        run_of(Source("ingest", "data/f.csv", "v1", 9), 1000)


# The share of its dataset's contract


class NoSuchKey(Exception):
    pass


class Contracts:
    """The bucket's contracts: S3 in memory, which counts what is read."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self, **contracts: bytes | Exception) -> None:
        self.contracts = contracts
        self.read: list[tuple[str, str]] = []

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  as the API names them
        self.read.append((Bucket, Key))
        body = self.contracts.get(Key.removeprefix("contracts/").removesuffix(".json"), NoSuchKey())
        if isinstance(body, Exception):
            raise body
        if len(body) > MOST_BYTES:
            return {"Body": None, "ContentLength": len(body), "ETag": "1"}  # nobody downloads it
        return {"Body": io.BytesIO(body), "ContentLength": len(body), "ETag": "1"}

    @property
    def shares(self) -> Shares:
        return Shares(cast("Any", self), "ingest")


def naming(share: object) -> bytes:
    return json.dumps({"spotline": {"share": share}}).encode()


def test_a_run_takes_the_share_that_its_own_datasets_contract_names() -> None:
    shares = Contracts(flights=naming("risk"), trains=naming("rails")).shares
    trains = Source("ingest", "data/trains/20130209/t.csv", "v1", 9)
    assert [run_of(source, 1000, shares).share for source in (FLIGHTS, trains)] == ["risk", "rails"]


def test_each_contract_is_read_once() -> None:
    contracts = Contracts(flights=naming("risk"))
    shares = contracts.shares
    assert [shares.of(name) for name in ("flights", "trains", "flights", "trains")] == ["risk", "", "risk", ""]
    assert contracts.read == [("ingest", "contracts/flights.json"), ("ingest", "contracts/trains.json")]


@pytest.mark.parametrize(
    "contract",
    [
        naming(None),
        naming(7),
        naming(""),
        naming("risk-team"),
        naming("risk*"),
        b'{"spotline": []}',
        b'{"spotline": {}}',
        b"{}",
    ],
)
def test_a_contract_that_names_no_share_that_batch_takes_names_none(
    contract: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert Contracts(flights=contract).shares.of("flights") == ""
    assert caplog.records == []


def test_a_missing_contract_is_nothing_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    assert Contracts().shares.of("flights") == ""
    assert caplog.records == []


def padded(size: int) -> bytes:
    """A contract of so many bytes that names a share."""
    return naming("risk").ljust(size)


def test_a_contract_may_be_as_large_as_preprocess_takes_it() -> None:
    assert Contracts(flights=padded(MOST_BYTES)).shares.of("flights") == "risk"
    assert Contracts(flights=padded(MOST_BYTES + 1)).shares.of("flights") == ""


@pytest.mark.parametrize(
    ("contract", "reason"),
    [
        (b"{", "s3://ingest/contracts/flights.json"),
        (b"[]", "s3://ingest/contracts/flights.json"),
        (padded(MOST_BYTES + 1), "s3://ingest/contracts/flights.json"),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject"), "AccessDenied"),
    ],
)
def test_a_contract_whose_share_cannot_be_read_is_named_in_the_log(
    contract: bytes | Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Contracts(flights=contract).shares.of("flights") == ""
    [line] = caplog.records
    assert (line.levelname, line.message) == (
        "WARNING",
        "the contract's share cannot be read, the dataset's own is taken",
    )
    assert reason in vars(line)["reason"]


# Asking for a message


def test_a_message_is_handed_over_as_json_and_not_waited_for() -> None:
    calls: list[dict[str, Any]] = []
    client = SimpleNamespace(invoke=lambda **call: calls.append(call))
    ask_to_tell(cast("Any", client), "notify", {"kind": "late-day", "dataset": "fl\u00fcge"})
    [call] = calls
    assert json.loads(call.pop("Payload")) == {"kind": "late-day", "dataset": "fl\u00fcge"}
    assert call == {"FunctionName": "notify", "InvocationType": "Event"}
