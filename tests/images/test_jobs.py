"""The three images, and the example's, built and run as the job definitions say: a sample day through all of them.

Opt-in, with `make test-images`. `IMAGES_BASE` names an image to build on where the Dockerfiles' own bases cannot be pulled;
`tests/images/make_base.sh` makes one.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from analysis.conformance.members import serve_metadata
from spotline import layout
from spotline.exits import ExitCode
from spotline.manifests import AnalysisManifest, CleanManifest, ResultManifest
from tests.images.containers import build, docker, flags, need_docker, run
from tests.template.system import DEV, ROOT, System, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.timeout(3600)

DAY, ROWS = "20130209", 684
SAMPLE = ROOT / f"samples/data/flights/{DAY}/flights.csv"
RUN = f"flights-{DAY}-0123456789abcdef"
INGEST, MIDDLE, RESULTS, TABLE = "ingest", "intermediate", "results", "runs"
MEMBERS = 2
DOCKERFILES = {
    path.parent.name: path for folder in ("jobs", "examples") for path in (ROOT / folder).glob("*/Dockerfile")
}


@pytest.fixture(scope="module")
def system() -> System:
    return load(DEV)


@cache
def image(name: str) -> str:
    """The image of a job or an example, built once."""
    need_docker()
    return build(DOCKERFILES[name])


def container(system: System, name: str) -> dict[str, Any]:
    """What a job definition says of its containers."""
    properties = system.job_definition(name).properties
    if properties["Type"] == "multinode":
        (every,) = properties["NodeProperties"]["NodeRangeProperties"]
        return dict(every["Container"])
    return dict(properties["ContainerProperties"])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Buckets with a sample day and its contract, and the runs' table; what is yielded leads any SDK to them."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()  # moto's state is the process's, whichever server it is asked through
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3")
    for bucket in (INGEST, MIDDLE, RESULTS):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=INGEST, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(
        Bucket=INGEST, Key=layout.contract_key("flights"), Body=(ROOT / "contracts/flights.json").read_bytes()
    )
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    yield variables
    server.stop()


def job(aws: Mapping[str, str], job_id: str, body: Path = SAMPLE) -> dict[str, str]:
    """What the state machine and the job definitions give a container."""
    key = f"data/flights/{DAY}/flights.csv"
    s3 = boto3.client("s3")
    versions = s3.list_object_versions(Bucket=INGEST, Prefix=key).get("Versions", [])
    version = (
        versions[0]["VersionId"]
        if versions
        else s3.put_object(Bucket=INGEST, Key=key, Body=body.read_bytes())["VersionId"]
    )
    return {
        **aws,
        "AWS_BATCH_JOB_ID": job_id,
        "RUN_ID": RUN,
        "DATASET": "flights",
        "DAY": DAY,
        "SOURCE_BUCKET": INGEST,
        "SOURCE_KEY": key,
        "SOURCE_VERSION_ID": version,
        "EXECUTION_ARN": f"arn:aws:states:eu-central-1:123456789012:execution:spotline:{RUN}",
        "INTERMEDIATE_BUCKET": MIDDLE,
        "RESULTS_BUCKET": RESULTS,
        "RUNS_TABLE": TABLE,
        "LOG_LEVEL": "INFO",
    }


def array_child(aws: Mapping[str, str], index: int) -> dict[str, str]:
    place = {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(MEMBERS)}
    return {**job(aws, f"gang:{index}"), **place, "GENERATION": "1"}


def node(aws: Mapping[str, str], index: int) -> dict[str, str]:
    place = {
        "AWS_BATCH_JOB_NODE_INDEX": str(index),
        "AWS_BATCH_JOB_NUM_NODES": str(MEMBERS),
        "AWS_BATCH_JOB_MAIN_NODE_INDEX": "0",
    }
    main = {"AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": "127.0.0.1"} if index else {}
    return {**job(aws, f"gang#{index}"), **place, **main, "GENERATION": "1"}


@contextlib.contextmanager
def instance() -> Iterator[dict[str, str]]:
    """Metadata of an instance, and of a container in awsvpc mode, that say 127.0.0.1; yields the variables that lead there."""
    with serve_metadata() as service:
        service.items["local-ipv4"] = "127.0.0.1"
        service.items["/v4/task"] = json.dumps({"Networks": [{"IPv4Addresses": ["127.0.0.1"]}]})
        yield {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url,
            "ECS_CONTAINER_METADATA_URI_V4": f"{service.url}/v4/task",
        }


def read(bucket: str, key: str) -> bytes:
    return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_an_image_runs_as_nobody_and_can_write_to_tmp_only(name: str, system: System) -> None:
    definition = container(
        system, f"spotline-{name}" if name in ("preprocess", "postprocess") else "spotline-analysis-spot"
    )
    program = (
        "import os, pathlib\n"
        "assert os.getuid() and os.getgid(), 'root'\n"
        "pathlib.Path('/tmp/x').write_text('x')\n"
        "for folder in ('/', '/app', '/usr', '/var'):\n"
        "    try: pathlib.Path(folder, 'x').write_text('x')\n"
        "    except OSError: continue\n"
        "    raise SystemExit(f'{folder} is writable')\n"
    )
    built = image(name)
    docker("run", "--rm", *flags(built, definition), "--entrypoint", "python", built, "-c", program)


def test_the_analysis_image_holds_the_engine_built_for_gpus() -> None:
    program = "import xgboost; print(xgboost.build_info()['USE_CUDA'], xgboost.build_info()['USE_NCCL'])"
    stdout = docker("run", "--rm", "--network", "host", "--entrypoint", "python", image("analysis"), "-c", program)
    assert stdout.split() == ["True", "True"]


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("analysis", "spotline-analysis-spot"),
        ("analysis", "spotline-analysis-on-demand"),
        ("least_squares", "spotline-analysis-spot"),
    ],
)
def test_a_sample_day_goes_through_the_images(name: str, definition: str, aws: dict[str, str], system: System) -> None:
    images = [image(each) for each in ("preprocess", name, "postprocess")]
    place = node if definition.endswith("on-demand") else array_child

    ((code, said),) = run(images[0], container(system, "spotline-preprocess"), job(aws, "cleaning"))
    assert code == ExitCode.DONE, said
    clean = CleanManifest.from_json(read(MIDDLE, layout.preprocess_prefix(RUN) + layout.MANIFEST))
    assert (clean.rows_read, clean.analyse) == (ROWS, True)

    with instance() as metadata:
        members = [place(aws, index) | metadata for index in range(MEMBERS)]
        ended = run(images[1], container(system, definition), *members)
    assert [code for code, _ in ended] == [ExitCode.DONE] * MEMBERS, "\n".join(said for _, said in ended)
    analysis = AnalysisManifest.from_json(read(RESULTS, layout.analysis_prefix(RUN) + layout.MANIFEST))
    assert (analysis.members, sum(part.rows for part in analysis.parts)) == (MEMBERS, clean.rows_clean)

    ((code, said),) = run(images[2], container(system, "spotline-postprocess"), job(aws, "reporting"))
    assert code == ExitCode.DONE, said
    prefix = layout.postprocess_prefix(RUN)
    result = ResultManifest.from_json(read(RESULTS, prefix + layout.MANIFEST))
    assert json.loads(read(RESULTS, prefix + result.metrics))["metrics"]
    assert b"<svg" in read(RESULTS, prefix + result.report)


def test_a_file_of_another_kind_is_refused_with_65(aws: dict[str, str], system: System, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    environ = job(aws, "cleaning", tmp_path / "other.csv")
    ((code, said),) = run(image("preprocess"), container(system, "spotline-preprocess"), environ)
    assert code == ExitCode.DATA_REFUSED, said
