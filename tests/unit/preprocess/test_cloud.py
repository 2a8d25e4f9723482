"""A run in the cloud: pinned version, newest contract, one manifest, and what S3 can refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, IncompleteReadError

from preprocess import cloud, s3
from preprocess.command import main
from preprocess.refusals import DataRefused, Misconfigured, TryAgain
from spotline.manifests import CleanManifest
from tests.unit.preprocess.things import DATA, KEY, RUN, keys, put_contract, read

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_pinned_version_is_read_and_everything_lies_under_the_job(environment: dict[str, str]) -> None:
    boto3.client("s3").put_object(Bucket=environment["SOURCE_BUCKET"], Key=KEY, Body=b"n\n1\n")

    cloud.run(environment | {"AWS_BATCH_JOB_ID": "5f0c:1"})

    prefix = f"runs/{RUN}/preprocess/"
    assert keys(environment["INTERMEDIATE_BUCKET"]) == [
        f"runs/{RUN}/contract.json",
        f"{prefix}5f0c/clean/shard-0000.parquet",
        f"{prefix}5f0c/quality.json",
        f"{prefix}5f0c/rejected/part-0000.parquet",
        f"{prefix}manifest.json",
    ]
    manifest = CleanManifest.from_json(read(environment["INTERMEDIATE_BUCKET"], f"{prefix}manifest.json"))
    assert (manifest.rows_read, manifest.rows_clean) == (5100, 5000)
    assert manifest.shards[0].path == "5f0c/clean/shard-0000.parquet"
    assert manifest.contract == "../contract.json"
    assert manifest.source["version_id"] == environment["SOURCE_VERSION_ID"]
    head = boto3.client("s3").head_object(Bucket=environment["INTERMEDIATE_BUCKET"], Key=f"{prefix}manifest.json")
    assert head["Metadata"] == {"analyse": "no", "rows-clean": "5000"}


def test_a_refused_run_succeeds_once_the_tolerance_is_raised(environment: dict[str, str]) -> None:
    put_contract(environment["SOURCE_BUCKET"], share=0.001)
    with pytest.raises(DataRefused, match=r"the report is s3://.*/5f0c/quality.json"):
        cloud.run(environment)
    assert f"runs/{RUN}/preprocess/manifest.json" not in keys(environment["INTERMEDIATE_BUCKET"])

    put_contract(environment["SOURCE_BUCKET"], share=0.5)
    cloud.run(environment | {"AWS_BATCH_JOB_ID": "6a1d"})

    copy = json.loads(read(environment["INTERMEDIATE_BUCKET"], f"runs/{RUN}/contract.json"))
    assert copy["spotline"]["tolerance"]["maxRejectedShare"] == 0.5


def test_a_finished_run_is_left_as_it_is(environment: dict[str, str]) -> None:
    cloud.run(environment)
    before = read(environment["INTERMEDIATE_BUCKET"], f"runs/{RUN}/preprocess/manifest.json")
    put_contract(environment["SOURCE_BUCKET"], share=0.0)

    cloud.run(environment | {"AWS_BATCH_JOB_ID": "6a1d"})

    assert read(environment["INTERMEDIATE_BUCKET"], f"runs/{RUN}/preprocess/manifest.json") == before


def test_a_large_object_is_read_in_ranges_and_a_dropped_connection_goes_on(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_RANGE_BYTES", 1000)
    client = s3.connect()
    source = s3.S3Source(client, environment["SOURCE_BUCKET"], KEY, environment["SOURCE_VERSION_ID"])
    asked: list[str] = []
    get = client.get_object

    class Dropping:
        def __init__(self, body: Any) -> None:
            self._body = body

        def iter_chunks(self, size: int) -> Iterator[bytes]:
            yield self._body.read(300)
            raise IncompleteReadError(actual_bytes=300, expected_bytes=1000)

    def drop_sometimes(**request: Any) -> Any:
        asked.append(request["Range"])
        answer: Any = get(**request)
        if len(asked) % 3 == 0:
            answer["Body"] = Dropping(answer["Body"])
        return answer

    monkeypatch.setattr(client, "get_object", drop_sometimes)
    stream = source.open()

    found = b""
    while chunk := stream.read(777):
        found += chunk
    stream.close()

    assert found == DATA
    assert len(asked) > len(DATA) / 1000


def test_a_connection_that_brings_nothing_gives_up(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = s3.connect()
    source = s3.S3Source(client, environment["SOURCE_BUCKET"], KEY, environment["SOURCE_VERSION_ID"])

    class Dead:
        def iter_chunks(self, size: int) -> Iterator[bytes]:
            yield b""
            raise IncompleteReadError(actual_bytes=0, expected_bytes=size)

    monkeypatch.setattr(client, "get_object", lambda **request: {"Body": Dead()})

    with pytest.raises(TryAgain, match="cannot be read"):
        source.read_range(0, 10)


def test_an_object_replaced_in_a_bucket_without_versions_is_noticed(environment: dict[str, str]) -> None:
    client = s3.connect()
    client.put_object(Bucket=environment["INTERMEDIATE_BUCKET"], Key="x.csv", Body=DATA)
    source = s3.S3Source(client, environment["INTERMEDIATE_BUCKET"], "x.csv", "")
    client.put_object(Bucket=environment["INTERMEDIATE_BUCKET"], Key="x.csv", Body=b"n\n1\n")

    with pytest.raises(DataRefused, match="was replaced while it was read"):
        source.read_range(0, 10)


def test_files_go_up_in_parts_when_they_are_large(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)
    output = s3.S3Output(s3.connect(), environment["INTERMEDIATE_BUCKET"], "p/")
    body = bytes(range(256)) * (12 << 12)

    output.write("large", body)

    assert read(environment["INTERMEDIATE_BUCKET"], "p/large") == body
    head = boto3.client("s3").head_object(Bucket=environment["INTERMEDIATE_BUCKET"], Key="p/large")
    assert head["ETag"].strip('"').endswith("-3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SOURCE_BUCKET": "nowhere-at-all"}, "the bucket nowhere-at-all does not exist"),
        ({"INTERMEDIATE_BUCKET": "nowhere-at-all"}, "the bucket nowhere-at-all does not exist"),
        ({"DATASET": "others"}, "the dataset 'others' has no contract; put one there and redrive"),
        ({"SOURCE_KEY": "data/things/20130209/gone.csv"}, "gone.csv is not there"),
        ({"RUN_ID": ""}, "RUN_ID is empty"),
    ],
)
def test_what_is_not_there_is_a_bad_configuration(
    environment: dict[str, str], change: dict[str, str], message: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        cloud.run(environment | change)

    assert message in str(caught.value)


def test_a_missing_variable_is_named(environment: dict[str, str]) -> None:
    del environment["SOURCE_KEY"]

    with pytest.raises(Misconfigured, match="SOURCE_KEY is not set"):
        cloud.run(environment)


@pytest.mark.parametrize(
    ("code", "message"),
    [("AccessDenied", "access is denied to PutObject"), ("ExpiredToken", "the credentials are not valid")],
)
def test_a_denial_says_what_is_lacking(code: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message), s3.explained("s3://b/k", "written"):
        raise ClientError({"Error": {"Code": code}}, "PutObject")


def test_logs_are_json_with_the_run_on_every_line(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert main([]) == 0
    put_contract(environment["SOURCE_BUCKET"], share=0.0)
    monkeypatch.setenv("RUN_ID", f"{RUN}-r2")
    assert main([]) == 65

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert {line["run_id"] for line in lines} == {RUN, f"{RUN}-r2"}
    assert lines[-1]["level"] == "ERROR"
    assert lines[-1]["exit_code"] == 65
