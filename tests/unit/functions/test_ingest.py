"""`ingest` against moto's Step Functions; the message to `notify` is caught by a function that only remembers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import ingest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

PASS = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})


@dataclass
class Context:
    function_name: str = "ingest"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:ingest"
    aws_request_id: str = "52fdfc07"


class Edge:
    """What the function reaches: a state machine, and the messages that it asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = boto3.client("stepfunctions")
        role = "arn:aws:iam::123456789012:role/pipeline"
        self.machine = self.steps.create_state_machine(name="pipeline", definition=PASS, roleArn=role)[
            "stateMachineArn"
        ]
        self.told: list[dict[str, Any]] = []
        monkeypatch.setenv("STATE_MACHINE_ARN", self.machine)
        monkeypatch.setenv("NOTIFY_FUNCTION", "notify")
        monkeypatch.setenv("MAX_OBJECT_BYTES", "1000")
        monkeypatch.setattr(ingest, "ask_to_tell", lambda _client, _function, message: self.told.append(message))

    def executions(self) -> list[str]:
        return [found["name"] for found in self.steps.list_executions(stateMachineArn=self.machine)["executions"]]


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Edge(monkeypatch)


def created(key: str, version: str = "v1", size: int = 9) -> dict[str, Any]:
    landed = {"key": key, "size": size, "etag": "d41d8cd9", "version-id": version, "sequencer": "00"}
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "ingest"}, "object": landed},
    }


def landing(event: dict[str, Any]) -> dict[str, str]:
    answer: dict[str, str] = ingest.handler(event, cast("LambdaContext", Context()))
    return answer


def test_one_object_version_is_one_execution_however_often_the_event_comes(edge: Edge) -> None:
    event = created("data/flights/20130209/flights.csv")
    outcomes = [landing(event)["outcome"] for _ in range(3)]
    assert outcomes[0] == "started"
    assert len(edge.executions()) == 1


def test_each_version_has_a_run_of_its_own(edge: Edge) -> None:
    for version in ("v1", "v2"):
        landing(created("data/flights/20130209/flights.csv", version))
    assert len(set(edge.executions())) == 2


def test_each_file_of_a_day_and_of_each_dataset_has_a_run_of_its_own(edge: Edge) -> None:
    keys = [
        "data/flights/20130209/a.csv",
        "data/flights/20130209/b.csv.gz",
        "data/trains/20130209/a.csv",
        "data/20130209/a.csv",
        "data/flights/20130210/a.csv",
    ]
    for key in keys:
        landing(created(key))
    names = sorted(name.rpartition("-")[0] for name in edge.executions())
    assert names == ["default-20130209", "flights-20130209", "flights-20130209", "flights-20130210", "trains-20130209"]


@pytest.mark.parametrize(("size", "outcome"), [(1000, "started"), (1001, "refused"), (0, "started")])
def test_the_size_limit_is_the_largest_that_is_taken(edge: Edge, size: int, outcome: str) -> None:
    assert landing(created("data/flights/20130209/flights.csv", size=size))["outcome"] == outcome


def test_what_came_of_a_file_is_counted(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("data/flights/20130209/a.csv", "data/x", "other"):
        landing(created(key))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = [name for line in lines if "_aws" in line for name in line if name.startswith("Files")]
    assert counted == ["FilesStarted", "FilesRefused", "FilesIgnored"]


@pytest.mark.parametrize("name", ["a+b%41.csv", "with space.csv", "météo.csv", "x" * 998 + ".csv"])
def test_the_key_reaches_the_run_as_it_is(edge: Edge, name: str) -> None:
    landing(created(f"data/flights/20130209/{name}"))
    [execution] = edge.steps.list_executions(stateMachineArn=edge.machine)["executions"]
    run = json.loads(edge.steps.describe_execution(executionArn=execution["executionArn"])["input"])
    assert run["source"]["key"] == f"data/flights/20130209/{name}"


@pytest.mark.parametrize("key", ["contracts/flights.json", "data/flights/20130209/", "readme.txt"])
def test_what_is_not_ours_is_ignored(edge: Edge, key: str) -> None:
    assert landing(created(key)) == {"outcome": "ignored"}
    assert (edge.executions(), edge.told) == ([], [])


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (created("data/flights/2013-02-09/flights.csv"), "is not a day"),
        (created("data/flights/20130209/flights.xlsx"), "is not a .csv"),
        (created("data/flights/20130209/flights.csv", size=1001), "MaxObjectBytes"),
    ],
)
def test_what_is_ours_and_wrong_is_told(edge: Edge, event: dict[str, Any], reason: str) -> None:
    assert landing(event) == {"outcome": "refused"}
    [message] = edge.told
    assert message["kind"] == "rejected-file"
    assert reason in message["reason"]
    assert edge.executions() == []


def test_a_run_takes_the_share_that_its_datasets_contract_names(edge: Edge) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="ingest")
    s3.put_object(Bucket="ingest", Key="contracts/flights.json", Body=json.dumps({"spotline": {"share": "risk"}}))
    assert [share_of(edge, dataset) for dataset in ("flights", "trains")] == ["risk", "trains"]


def test_a_contract_that_changes_between_two_deliveries_of_an_event_starts_nothing_twice(edge: Edge) -> None:
    event = created("data/flights/20130209/flights.csv")
    assert landing(event)["outcome"] == "started"
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="ingest")
    s3.put_object(Bucket="ingest", Key="contracts/flights.json", Body=json.dumps({"spotline": {"share": "risk"}}))
    assert landing(event)["outcome"] == "already started"
    assert len(edge.executions()) == 1


def share_of(edge: Edge, dataset: str) -> str:
    run = landing(created(f"data/{dataset}/20130209/file.csv"))["run_id"]
    execution = edge.machine.replace(":stateMachine:", ":execution:") + f":{run}"
    share: str = json.loads(edge.steps.describe_execution(executionArn=execution)["input"])["share"]
    return share


@pytest.mark.filterwarnings("error::UserWarning")
def test_an_outage_is_an_exception_so_that_lambda_tries_again(edge: Edge) -> None:
    edge.steps.delete_state_machine(stateMachineArn=edge.machine)
    with pytest.raises(ClientError):
        landing(created("data/flights/20130209/flights.csv"))
