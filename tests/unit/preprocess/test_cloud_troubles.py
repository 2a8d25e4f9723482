"""S3 on a bad day: connections that drop, files that come in pieces, buckets that vanish, keys that are denied, a job that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import boto3
import pytest

from preprocess import cloud, s3
from preprocess.command import main
from preprocess.refusals import DataRefused, Misconfigured
from spotline.manifests import CleanManifest
from tests.unit.preprocess.things import DATA, KEY, RUN, keys, put_contract, read

if TYPE_CHECKING:
    from tests.unit.preprocess.faulty import FaultyS3

PREFIX = f"runs/{RUN}/preprocess/"
PATIENCE_SECONDS = 120


def test_connections_that_drop_in_the_middle_cost_nothing(
    environment: dict[str, str], faulty: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_RANGE_BYTES", 5000)
    faulty.drop_after, faulty.drops = 1234, 4

    cloud.run(environment)

    manifest = CleanManifest.from_json(read(environment["INTERMEDIATE_BUCKET"], f"{PREFIX}manifest.json"))
    assert (manifest.rows_read, manifest.rows_clean) == (5100, 5000)
    assert faulty.drops == 0
    starts = sorted(int(wanted.removeprefix("bytes=").partition("-")[0]) for wanted in faulty.ranges)
    resumed = [start for start in starts if start % 5000]
    assert len(resumed) == 4
    assert all(
        start - 1234 in starts for start in resumed
    )  # each went on at the byte where it was, dropped once or again
    assert len(starts) == len(set(starts)) == -(-len(DATA) // 5000) + 4


def test_an_object_replaced_while_it_is_read_is_noticed(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_RANGE_BYTES", 5000)
    bucket = environment["INTERMEDIATE_BUCKET"]
    boto3.client("s3").put_object(Bucket=bucket, Key="x.csv", Body=DATA)
    stream = s3.S3Source(s3.connect(), bucket, "x.csv", "").open()
    begun = stream.read(5000)
    boto3.client("s3").put_object(Bucket=bucket, Key="x.csv", Body=DATA.replace(b"1", b"2"))

    with pytest.raises(DataRefused, match="was replaced while it was read"):
        stream.read(len(DATA))

    stream.close()
    assert begun == DATA[:5000]


@pytest.mark.parametrize("part_bytes", [5 << 20, 64 << 20])
def test_the_clean_rows_go_up_as_csv_when_the_contract_asks(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", part_bytes)
    put_contract(environment["SOURCE_BUCKET"], share=0.05, cleanedCsv=True)
    rows = b"".join(b"%012d\n" % number for number in range(900_000))
    client = boto3.client("s3")
    version = client.put_object(Bucket=environment["SOURCE_BUCKET"], Key=KEY, Body=b"n\n" + rows + b"x\n")["VersionId"]

    cloud.run(environment | {"SOURCE_VERSION_ID": version})

    bucket = environment["INTERMEDIATE_BUCKET"]
    manifest = CleanManifest.from_json(read(bucket, f"{PREFIX}manifest.json"))
    assert manifest.cleaned == "5f0c/cleaned.csv"
    lines = read(bucket, PREFIX + manifest.cleaned).splitlines()
    assert (lines[0], len(lines), int(lines[1]), int(lines[-1])) == (b"n", 900_001, 0, 899_999)
    parts = client.head_object(Bucket=bucket, Key=PREFIX + manifest.cleaned)["ETag"].strip('"').partition("-")[2]
    assert parts == ("2" if part_bytes == 5 << 20 else "")
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


def test_an_upload_that_cannot_end_is_taken_back(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)
    growing = s3.S3Output(s3.connect(), environment["INTERMEDIATE_BUCKET"], "p/").grow("cleaned.csv")
    growing.append(bytes(6 << 20))

    growing.abandon()

    assert keys(environment["INTERMEDIATE_BUCKET"]) == []
    assert "Uploads" not in boto3.client("s3").list_multipart_uploads(Bucket=environment["INTERMEDIATE_BUCKET"])


@pytest.mark.parametrize(
    "denied", ["/clean/shard-0000.parquet", "/quality.json", "preprocess/manifest.json", "contract.json"]
)
def test_a_denied_key_is_named_and_leaves_no_manifest(
    environment: dict[str, str],
    faulty: FaultyS3,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    denied: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    faulty.denied = {denied}

    assert main([]) == 78

    told = json.loads(capfd.readouterr().err.strip().splitlines()[-1])["message"]
    assert denied in told
    assert "cannot be written: access is denied to PutObject" in told
    assert f"{PREFIX}manifest.json" not in keys(environment["INTERMEDIATE_BUCKET"])

    faulty.denied = set()
    assert main([]) == 0


def test_a_bucket_that_vanishes_while_the_job_runs_is_named(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = s3.S3Output.write
    client = boto3.client("s3")
    bucket = environment["INTERMEDIATE_BUCKET"]

    def vanish_before(output: s3.S3Output, path: str, body: bytes) -> None:
        if path.startswith("clean/"):
            for key in keys(bucket):
                client.delete_object(Bucket=bucket, Key=key)
            client.delete_bucket(Bucket=bucket)
        write(output, path, body)

    monkeypatch.setattr(s3.S3Output, "write", vanish_before)

    with pytest.raises(Misconfigured, match=f"the bucket {bucket} does not exist; deploy the stack again"):
        cloud.run(environment)


PROGRAM = "import runpy; runpy.run_module('preprocess', run_name='__main__')"
# A process that may write no byte to any file; pipes and sockets are none.
WITHOUT_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); " + PROGRAM


def program(environment: dict[str, str], code: str = PROGRAM) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | environment, stderr=subprocess.PIPE)


def test_the_job_writes_nothing_to_disk(environment: dict[str, str]) -> None:
    with program(environment, WITHOUT_DISK) as process:
        _, told = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 0, told
    assert f"{PREFIX}manifest.json" in keys(environment["INTERMEDIATE_BUCKET"])


@pytest.mark.parametrize("shards_there", [0, 1])
def test_a_killed_job_leaves_no_manifest_and_the_next_attempt_succeeds(
    environment: dict[str, str], faulty: FaultyS3, shards_there: int
) -> None:
    bucket = environment["INTERMEDIATE_BUCKET"]
    rows = b"".join(b"%012d\n" % number for number in range(2_500_000))
    version = boto3.client("s3").put_object(Bucket=environment["SOURCE_BUCKET"], Key=KEY, Body=b"n\n" + rows)
    environment["SOURCE_VERSION_ID"] = version["VersionId"]
    faulty.held = {"/clean/shard-0001.parquet"}  # it cannot end before it is killed
    deadline = time.monotonic() + PATIENCE_SECONDS
    with program(environment) as process:
        while process.poll() is None and sum("/clean/" in key for key in keys(bucket)) < shards_there:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == -signal.SIGKILL
    assert f"{PREFIX}manifest.json" not in keys(bucket)

    faulty.held = set()
    cloud.run(environment | {"AWS_BATCH_JOB_ID": "6a1d"})
    manifest = CleanManifest.from_json(read(bucket, f"{PREFIX}manifest.json"))
    assert manifest.rows_clean == 2_500_000
    assert all(shard.path.startswith("6a1d/") for shard in manifest.shards)
