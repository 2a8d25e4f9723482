"""A cloud for the job: moto's S3, and a proxy before it that can be unwell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.unit.preprocess.faulty import FaultyS3
from tests.unit.preprocess.things import DATA, KEY, RUN, put_contract

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, str]:
    """A cloud with one file and its contract, and the environment of the job that cleans it."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"b{abs(hash(request.node.nodeid)) % 10**12}"
    client = boto3.client("s3")
    for bucket in (f"{name}-in", f"{name}-mid"):
        client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=f"{name}-in", VersioningConfiguration={"Status": "Enabled"})
    version = client.put_object(Bucket=f"{name}-in", Key=KEY, Body=DATA)["VersionId"]
    put_contract(f"{name}-in", share=0.05)
    return {
        "RUN_ID": RUN,
        "DATASET": "things",
        "DAY": "20130209",
        "SOURCE_BUCKET": f"{name}-in",
        "SOURCE_KEY": KEY,
        "SOURCE_VERSION_ID": version,
        "INTERMEDIATE_BUCKET": f"{name}-mid",
        "AWS_BATCH_JOB_ID": "5f0c",
    }


@pytest.fixture
def faulty(environment: dict[str, str], server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """The same cloud, behind a proxy that can be unwell."""
    with FaultyS3(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy
