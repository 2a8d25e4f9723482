"""A run's gangs as AWS would start them: an array job on Spot, then a multi-node job, on buckets of an S3 in this process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import urllib.request
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from analysis.conformance import data as cleaned
from analysis.conformance.members import MetadataService, serve_metadata
from spotline import layout
from spotline.exits import ExitCode
from spotline.manifests import AnalysisManifest
from tests.unit.analysis.gangs import FASTER, SABOTAGE, Gang, digests, gang

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

RUN = "flights-20130209-0123456789abcdef"
MIDDLE, RESULTS = "intermediate", "results"
PREFIX = layout.analysis_prefix(RUN)
MEMBERS, ROUNDS, SEGMENT = 2, 40, 10


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    cleaned.write_clean_data(folder, cleaned.build_table(4000), cleaned.build_contract(rounds=ROUNDS, segment=SEGMENT))
    return folder


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_REGION": "us-east-1", **keys}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")):
        yield
    server.stop()


@pytest.fixture
def buckets(aws: None, source: Path) -> S3Client:
    """What preprocess has left for the run."""
    s3 = boto3.client("s3")
    for bucket in (MIDDLE, RESULTS):
        s3.create_bucket(Bucket=bucket)
    for path in source.rglob("*.*"):
        name = path.relative_to(source).as_posix()
        key = layout.run_contract_key(RUN) if name == "contract.json" else layout.preprocess_prefix(RUN) + name
        s3.put_object(Bucket=MIDDLE, Key=key, Body=path.read_bytes())
    return s3


@pytest.fixture
def instances() -> Iterator[list[MetadataService]]:
    """An instance for each member."""
    with contextlib.ExitStack() as running:
        services = [running.enter_context(serve_metadata()) for _ in range(MEMBERS)]
        for service in services:
            service.items["local-ipv4"] = "127.0.0.1"
            service.items["/v4/task"] = json.dumps({"Networks": [{"IPv4Addresses": ["127.0.0.1"]}]})
        yield services


def common_variables(instance: MetadataService, generation: int) -> dict[str, str]:
    """The variables of every member, on either market."""
    return {
        **FASTER,
        "RUN_ID": RUN,
        "GENERATION": str(generation),
        "INTERMEDIATE_BUCKET": MIDDLE,
        "RESULTS_BUCKET": RESULTS,
        "NOTICE_POLL_SECONDS": "0.1",
        "WORKER_THREADS": "1",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url,
    }


def array_child(instance: MetadataService, index: int, generation: int) -> dict[str, str]:
    return {
        **common_variables(instance, generation),
        "AWS_BATCH_JOB_ID": f"array-{generation}:{index}",
        "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
        "AWS_BATCH_JOB_ARRAY_SIZE": str(MEMBERS),
    }


def node(instance: MetadataService, index: int, generation: int) -> dict[str, str]:
    main = {} if index == 0 else {"AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": "127.0.0.1"}
    return {
        **common_variables(instance, generation),
        **main,
        "AWS_BATCH_JOB_ID": f"nodes-{generation}#{index}",
        "AWS_BATCH_JOB_NODE_INDEX": str(index),
        "AWS_BATCH_JOB_NUM_NODES": str(MEMBERS),
        "AWS_BATCH_JOB_MAIN_NODE_INDEX": "0",
        "ECS_CONTAINER_METADATA_URI_V4": f"{instance.url}/v4/task",
    }


@contextlib.contextmanager
def started(environments: list[dict[str, str]]) -> Iterator[Gang]:
    members = Gang(environments)
    try:
        yield members
    finally:
        members.end()


def test_on_demand_ends_what_spot_began(
    buckets: S3Client, instances: list[MetadataService], source: Path, tmp_path: Path
) -> None:
    # Given an array on Spot whose member 1 gets a notice in mid-training
    slow = {"PYTHONPATH": SABOTAGE, "SABOTAGE": f"0:{SEGMENT + 5}:slow", "SABOTAGE_SECONDS": "5"}
    with started([array_child(instance, index, 1) | slow for index, instance in enumerate(instances)]) as spot:
        spot.wait_for("checkpoint", round=SEGMENT)
        instances[1].items["spot/instance-action"] = '{"action": "terminate", "time": "2026-11-20T12:00:00Z"}'
        assert spot.codes() == [ExitCode.TRY_AGAIN] * MEMBERS, spot.lines
    assert spot.of("checkpoint")[-1]["round"] == 2 * SEGMENT, "the segment that was under way is saved"

    # When a multi-node job goes on with it
    del instances[1].items["spot/instance-action"]
    with started([node(instance, index, 2) for index, instance in enumerate(instances)]) as on_demand:
        assert on_demand.codes() == [0] * MEMBERS, on_demand.lines

    # Then the notice is written down, the work goes on at the checkpoint, and the result is that of a quiet run
    body = buckets.get_object(Bucket=RESULTS, Key=PREFIX + layout.notice_key("array-1", 1))["Body"].read()
    assert json.loads(body)["kind"] == "spot"
    assert json.loads(body)["details"]["action"] == "terminate"
    body = buckets.get_object(Bucket=RESULTS, Key=PREFIX + layout.MANIFEST)["Body"].read()
    manifest = AnalysisManifest.from_json(body)
    assert (manifest.generation, manifest.job_id, manifest.resumed_from) == (2, "nodes-2", 2 * SEGMENT)
    with gang(source, tmp_path / "out", MEMBERS) as quiet:
        assert quiet.codes() == [0] * MEMBERS
    assert published(buckets, manifest) == digests(tmp_path / "out")


def published(s3: S3Client, manifest: AnalysisManifest) -> dict[str, str]:
    keys = [manifest.model, *(key for part in manifest.parts for key in (part.rows_path, part.sums_path))]
    bodies = {key: s3.get_object(Bucket=RESULTS, Key=PREFIX + key)["Body"].read() for key in keys}
    return {key.rpartition("/")[2]: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}


def test_a_missing_shard_in_a_bucket_is_named(buckets: S3Client, instances: list[MetadataService]) -> None:
    buckets.delete_object(Bucket=MIDDLE, Key=f"{layout.preprocess_prefix(RUN)}clean/shard-0001.parquet")
    with started([array_child(instance, index, 1) for index, instance in enumerate(instances)]) as failing:
        assert failing.codes() == [1] * MEMBERS, failing.lines
    assert "shard-0001.parquet is missing" in failing.of("leaving")[0]["reason"]


def test_without_the_runs_variables_every_missing_one_is_named(instances: list[MetadataService]) -> None:
    environ = array_child(instances[0], 0, 1)
    for name in ("RUN_ID", "GENERATION", "RESULTS_BUCKET"):
        del environ[name]
    with started([environ]) as failing:
        assert failing.codes() == [ExitCode.BAD_CONFIGURATION]
    assert "RUN_ID is not set; GENERATION is not set; RESULTS_BUCKET is not set" in failing.lines
