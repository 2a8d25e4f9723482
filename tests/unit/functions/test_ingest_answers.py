"""`ingest`, without an account: which version an event names, whom it asks, and what its log says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

import ingest
from spotline.documents import DocumentError
from spotline.runs import Source
from spotline.starting import SHARES_CONFIG

KNOWN = ingest.Settings("arn:aws:states:us-east-1:1:stateMachine:pipeline", "notify", 1000)
KEY = "data/flights/20130209/a+b%41.csv"


def event_of(key: Any = KEY, **landed: Any) -> dict[str, Any]:
    return {"detail": {"bucket": {"name": "in"}, "object": {"key": key, "size": 9, "version-id": "v1"} | landed}}


class AlreadyExists(Exception):
    pass


class Edge:
    """What the function reaches, each client with the configuration that it was made with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.configs: dict[str, Any] = {}
        self.calls: list[dict[str, Any]] = []
        self.runs: set[str] = set()
        monkeypatch.setattr(boto3, "client", self.connect)

    def connect(self, service: str, config: Any = None) -> Any:
        self.configs[service] = config
        return {
            "s3": SimpleNamespace(get_object=self.find_no_contract, exceptions=SimpleNamespace(NoSuchKey=KeyError)),
            "lambda": SimpleNamespace(invoke=lambda **call: self.calls.append(call)),
            "stepfunctions": SimpleNamespace(
                start_execution=self.start, exceptions=SimpleNamespace(ExecutionAlreadyExists=AlreadyExists)
            ),
        }[service]

    def find_no_contract(self, **call: Any) -> Any:
        assert call == {"Bucket": "in", "Key": "contracts/flights.json"}
        raise KeyError

    def start(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        if call["name"] in self.runs:
            raise AlreadyExists
        self.runs.add(call["name"])
        return {"startDate": datetime.now(UTC)}


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Edge:
    return Edge(monkeypatch)


# Which version landed


@pytest.mark.parametrize(
    ("event", "source"),
    [
        (event_of(), Source("in", KEY, "v1", 9)),
        (event_of(size=0), Source("in", KEY, "v1", 0)),
        # An object put before the bucket was versioned, and one of which the event says no size
        ({"detail": {"bucket": {"name": "in"}, "object": {"key": KEY}}}, Source("in", KEY, "null", 0)),
        (event_of("météo ☃.csv"), Source("in", "météo ☃.csv", "v1", 9)),
    ],
)
def test_an_event_names_the_version_that_landed(event: dict[str, Any], source: Source) -> None:
    assert ingest.source_of(event) == source


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({}, "the event: detail: expected a JSON object, found null"),
        ({"detail": 7}, "the event: detail: expected a JSON object, found 7"),
        ({"detail": {}}, "the event: object: expected a JSON object, found null"),
        ({"detail": {"object": []}}, "the event: object: expected a JSON object, found []"),
        ({"detail": {"object": {}, "bucket": "in"}}, 'the event: bucket: expected a JSON object, found "in"'),
        (event_of(None), "the event: key: "),
        (event_of(7), "the event: key: "),
        (event_of(size="9"), "the event: size: "),
        (event_of(**{"version-id": None}), "the event: version_id: "),
        (event_of("\ud800"), "the event"),
        ({"detail": {"bucket": {}, "object": {"key": KEY}}}, "the event: bucket: "),
    ],
)
def test_an_event_of_another_shape_is_refused_by_the_name_of_what_is_wrong(
    event: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        ingest.source_of(event)
    assert str(refused.value).startswith(complaint)


@pytest.mark.parametrize("event", [None, [], "text", 7])
def test_what_is_no_object_is_no_event(event: Any) -> None:
    with pytest.raises(DocumentError, match=r"^the event"):
        ingest.source_of(event)


# What follows


def test_a_file_is_started_once_and_the_log_says_which_version(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first, second = (ingest.answer_landing(event_of(), KNOWN) for _ in range(2))
    [run_id] = edge.runs
    assert first == {"outcome": "started", "run_id": run_id}
    assert second == {"outcome": "already started", "run_id": run_id}
    assert [call["stateMachineArn"] for call in edge.calls] == [KNOWN.state_machine_arn] * 2
    logged = [vars(line) for line in caplog.records]
    assert [line["message"] for line in logged] == ["started", "already started"]
    assert {(line["key"], line["version_id"]) for line in logged} == {(KEY, "v1")}
    assert ingest.logger.get_current_keys()["run_id"] == run_id


def test_what_is_not_data_is_ignored_and_nobody_is_asked(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    key = "other/" + "x" * 1990 + "\n.csv"
    assert ingest.answer_landing(event_of(key), KNOWN) == {"outcome": "ignored"}
    assert (edge.configs, edge.calls) == ({}, [])
    [logged] = [vars(line) for line in caplog.records]
    assert (logged["message"], logged["levelname"]) == ("ignored: not under data/", "INFO")
    assert logged["key"] == key[:1000] + "..." + key[-1000:].replace("\n", "\\n")


def test_a_refused_file_is_logged_and_notify_is_asked_for_a_message(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    assert ingest.answer_landing(event_of("data/a\nb"), KNOWN) == {"outcome": "refused"}
    [call] = edge.calls
    message = json.loads(call["Payload"])
    assert call["FunctionName"] == "notify"
    reason = message.pop("reason")
    assert message == {"kind": "rejected-file", "bucket": "in", "key": "data/a\nb"}
    [logged] = [vars(line) for line in caplog.records]
    assert (logged["message"], logged["levelname"]) == ("refused", "WARNING")
    assert (logged["key"], logged["reason"]) == ("data/a\\nb", reason)
    assert reason.startswith("'data/a\\nb' holds the character")


def test_a_long_key_is_logged_with_as_much_as_helps(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    key = "data/" + "x" * 1996
    ingest.answer_landing(event_of(key), KNOWN)
    assert vars(caplog.records[0])["key"] == key[:1000] + "..." + key[-1000:]


def test_calls_are_repeated_and_the_contract_is_not_waited_for_long(edge: Edge) -> None:
    ingest.answer_landing(event_of(), KNOWN)
    ingest.answer_landing(event_of("data/x"), KNOWN)
    assert edge.configs == {"s3": SHARES_CONFIG, "lambda": ingest.CONFIG, "stepfunctions": ingest.CONFIG}


# What is counted


class Context:
    function_name = "ingest"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ingest"
    aws_request_id = "52fdfc07"


@pytest.mark.parametrize(
    ("key", "before", "counted"),
    [
        (KEY, False, "FilesStarted"),
        (KEY, True, "FilesStartedBefore"),
        ("data/x", False, "FilesRefused"),
        ("other", False, "FilesIgnored"),
    ],
)
def test_each_outcome_is_counted_once(
    edge: Edge,
    key: str,
    before: bool,
    counted: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("state_machine_arn", "notify_function", "max_object_bytes"):
        monkeypatch.setenv(name.upper(), str(getattr(KNOWN, name)))
    if before:
        ingest.answer_landing(event_of(key), KNOWN)
    answer = ingest.handler(event_of(key), Context())  # type: ignore[arg-type]
    assert ingest.COUNTED[answer["outcome"]] == counted
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert line[counted] == [1.0]
    [declared] = line["_aws"]["CloudWatchMetrics"]
    assert declared["Metrics"] == [{"Name": counted, "Unit": "Count"}]
