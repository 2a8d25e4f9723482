"""Whose share of the queues a run takes: what its dataset's contract says, read once, and its dataset's own whatever goes wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from spotline.runs import Run, Source, share_identifier
from spotline.starting import Shares, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

KEY = "contracts/flights-eu.json"
SOURCE = Source("ingest", "data/flights-eu/20130209/flights.csv", "v1", 9)
OWN = share_identifier("flights-eu")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="ingest")
        yield client


def put(s3: S3Client, contract: object) -> None:
    s3.put_object(
        Bucket="ingest", Key=KEY, Body=contract if isinstance(contract, bytes) else json.dumps(contract).encode()
    )


def started(s3: S3Client) -> Run:
    return run_of(SOURCE, 1000, Shares(s3, "ingest"))


def test_a_contract_names_the_share_of_its_datasets_runs(s3: S3Client) -> None:
    put(s3, {"fields": [], "spotline": {"share": "Risk1"}})
    assert started(s3).share == "Risk1"
    assert json.loads(started(s3).to_input())["share"] == "Risk1"


@pytest.mark.parametrize(
    "contract",
    [
        None,
        b"",
        b"\xff",
        b"[" * 100_000,
        [],
        {"fields": []},
        {"spotline": None},
        {"spotline": []},
        {"spotline": {}},
        {"spotline": {"share": None}},
        {"spotline": {"share": 7}},
        {"spotline": {"share": ""}},
        {"spotline": {"share": "risk*"}},
        {"spotline": {"share": "risk-team"}},
        {"spotline": {"share": "x" * 256}},
    ],
)
def test_whatever_is_wrong_with_a_contract_its_runs_take_the_datasets_own_share(s3: S3Client, contract: object) -> None:
    if contract is not None:
        put(s3, contract)
    assert started(s3).share == OWN


@pytest.mark.parametrize(
    "trouble",
    [
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject"),
        EndpointConnectionError(endpoint_url="https://s3"),
    ],
)
def test_a_store_that_does_not_answer_keeps_no_run_from_starting(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(**_: object) -> None:
        raise trouble

    monkeypatch.setattr(s3, "get_object", fail)
    assert started(s3).share == OWN


def test_a_contract_is_read_once_for_all_of_its_datasets_files(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, {"spotline": {"share": "risk"}})
    reads: list[Any] = []
    read = s3.get_object

    def count(**asked: Any) -> Any:
        reads.append(asked)
        return read(**asked)

    monkeypatch.setattr(s3, "get_object", count)
    shares = Shares(s3, "ingest")
    assert {run_of(SOURCE, 1000, shares).share for _ in range(100)} == {"risk"}
    assert len(reads) == 1


def test_a_run_that_names_no_share_has_the_input_that_it_always_had() -> None:
    run = run_of(SOURCE, 1000)
    assert run.to_input() == (
        '{"dataset":"flights-eu","day":"20130209","keep":false,"market":"spot-first","priority":"daily","request":"",'
        f'"run_id":"{run.run_id}","share":"flightsDeu","source":{{"bucket":"ingest",'
        '"key":"data/flights-eu/20130209/flights.csv","size":9,"version_id":"v1"}}'
    )
