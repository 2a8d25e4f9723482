"""The job from its inputs to its manifest, on folders and on S3."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws

from postprocess import job
from postprocess.__main__ import main
from postprocess.report import render
from postprocess.table import DayKey, ResultTable, to_attribute
from spotline.exits import ExitCode
from spotline.layout import analysis_prefix, preprocess_prefix
from spotline.manifests import ResultManifest
from spotline.objects import LocalObjects
from tests.unit.postprocess.leftovers import Scored, write_analysis, write_clean
from tests.unit.postprocess.test_run_timeline import Batch, described

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

RUN = "flights-20130209-0123456789abcdef"
KEY = "data/flights/20130209/flights.csv"
SECONDS = 30  # far above what the timeouts of optional clients add up to, far below ten minutes
QUEUES = {
    "job_queues": "main,spot,on-demand",
    "spot_queues": "spot",
    "gang_instance_type": "g6.2xlarge",
}


def run(given: Path, output: Path) -> dict[str, Any]:
    assert main(["--input", str(given), "--output", str(output)]) == ExitCode.DONE
    document: dict[str, Any] = json.loads((output / "metrics.json").read_text())
    return document


def test_metrics_are_merged_from_all_parts(tmp_path: Path, analysis: Path) -> None:
    document = run(analysis, tmp_path / "out")

    assert document["metrics"]["rows"] == {"read": 8, "clean": 6, "rejected": 2, "rejected_share": 0.25}
    model = document["metrics"]["model"]
    assert (model["task"], model["target"], model["unlabelled"]) == ("regression", "price", 1)
    quality = document["metrics"]["quality"]
    assert quality["train"] == {"rows": 2, "rmse": 0.7905694150420949, "mae": 0.75, "r2": 0.375}
    assert (quality["validation"]["rows"], quality["validation"]["mae"]) == (3, 1.0)
    assert document["rejected"] == [{"code": "minimum", "field": "price", "rows": 2}]
    assert document["surprising"][0]["residual"] == 3.0
    assert document["gang"]["members"] == 2


def test_how_often_a_run_was_reclaimed_is_not_in_its_metrics(tmp_path: Path, clean: Path) -> None:
    members = [Scored((1.0, 2.0), (1.5, 2.0), ("train", "validation"))]
    calm = run(write_analysis(tmp_path / "calm", clean, members), tmp_path / "a")
    reclaimed = run(
        write_analysis(tmp_path / "reclaimed", clean, members, resumed_from=40, generation=4, job_id="job-4"),
        tmp_path / "b",
    )

    assert calm["metrics"] == reclaimed["metrics"]
    assert (calm["gang"]["resumed_from"], reclaimed["gang"]["resumed_from"]) == (None, 40)


def test_a_contract_without_a_target_gets_cleaning_alone(tmp_path: Path) -> None:
    document = run(write_clean(tmp_path / "clean", analyse=False), tmp_path / "out")

    assert document["metrics"]["model"] is None
    assert document["gang"] is None
    assert b"names no target" in (tmp_path / "out/report.html").read_bytes()


def test_the_manifest_names_what_was_read_and_written(tmp_path: Path, clean: Path, analysis: Path) -> None:
    run(analysis, tmp_path / "out")

    manifest = ResultManifest.from_json((tmp_path / "out/manifest.json").read_bytes())
    assert manifest.clean == f"{clean}/manifest.json"
    assert manifest.analysis == f"{analysis}/manifest.json"
    assert all((tmp_path / "out" / path).exists() for path in (manifest.metrics, manifest.report))


@pytest.mark.parametrize("survived", [0, 1, 2])
def test_killed_before_the_manifest_it_leaves_nothing_that_looks_finished(
    tmp_path: Path, analysis: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    writes: list[str] = []
    write = LocalObjects.write

    def dying(self: LocalObjects, key: str, body: bytes, **condition: Any) -> str:
        if len(writes) == survived:
            raise KeyboardInterrupt
        writes.append(key)
        return write(self, key, body, **condition)

    monkeypatch.setattr(LocalObjects, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        main(["--input", str(analysis), "--output", str(tmp_path / "out")])

    assert not (tmp_path / "out/manifest.json").exists()


def test_of_two_jobs_at_once_the_first_manifest_stands(
    tmp_path: Path, analysis: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def overtaken(*arguments: Any) -> bytes:
        (out / "manifest.json").write_text("written by the other job")
        return render(*arguments)

    monkeypatch.setattr(job, "render", overtaken)

    assert main(["--input", str(analysis), "--output", str(out)]) == ExitCode.TRY_AGAIN
    assert (out / "manifest.json").read_text() == "written by the other job"


def test_a_second_run_of_the_job_replaces_the_first_one_s_results(tmp_path: Path, analysis: Path) -> None:
    assert run(analysis, tmp_path / "out") == run(analysis, tmp_path / "out")


def test_inputs_that_disagree_are_bad_configuration_and_one_line(tmp_path: Path, clean: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "postprocess", "--input", str(clean), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == ExitCode.BAD_CONFIGURATION
    assert re.fullmatch(r"ERROR .*python -m analysis.*\n", done.stderr)


def test_without_arguments_and_environment_it_says_what_is_not_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RUN_ID", "RUNS_TABLE"):
        monkeypatch.delenv(name, raising=False)

    assert main([]) == ExitCode.BAD_CONFIGURATION
    assert "RUN_ID is not set" in json.loads(capsys.readouterr().err)["message"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        s3 = boto3.client("s3")
        for bucket in ("ingest", "intermediate", "results"):
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket="ingest", VersioningConfiguration={"Status": "Enabled"})
        boto3.client("dynamodb").create_table(
            TableName="runs",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield s3


def upload(s3: S3Client, folder: Path, bucket: str, prefix: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            s3.upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())


def settings_for(version: str) -> job.Settings:
    """The job's settings in the cloud, for a version of the file."""
    return job.Settings(
        run_id=RUN,
        dataset="flights",
        day="20130209",
        source_bucket="ingest",
        source_key=KEY,
        source_version_id=version,
        execution_arn=f"arn:aws:states:us-east-1:123456789012:execution:pipeline:{RUN}",
        intermediate_bucket="intermediate",
        results_bucket="results",
        runs_table="runs",
        aws_batch_job_id="job-7",
        ingest_bucket="ingest",
        **QUEUES,
    )


def test_in_the_cloud_results_and_table_agree(tmp_path: Path, clean: Path, analysis: Path, cloud: S3Client) -> None:
    version = cloud.put_object(Bucket="ingest", Key=KEY, Body=b"a")["VersionId"]
    upload(cloud, clean, "intermediate", preprocess_prefix(RUN))
    upload(cloud, analysis, "results", analysis_prefix(RUN))
    before = {
        "metrics": {"rows": {"read": 7, "rejected_share": 0.5}, "quality": None},
        "columns": {"status": {"missing": 1.0}},
    }
    yesterday = DayKey("flights", "20130208", "flights.csv")
    ResultTable("runs", boto3.client("dynamodb")).record("yesterday", {"result": {}}, yesterday, "1", before)
    gang = {"generation": 1, "market": "SPOT", "launched_at": "2013-02-10T06:00:00+00:00", "outcome": "SUCCEEDED"}
    key_of_gang = {"pk": {"S": f"RUN#{RUN}"}, "sk": {"S": "GANG#0001"}}
    item = {**key_of_gang, **{name: to_attribute(value) for name, value in gang.items()}}
    boto3.client("dynamodb").put_item(TableName="runs", Item=item)
    document, written = job.postprocess_run(settings_for(version))

    plain = TypeDeserializer().deserialize
    items = {
        (item["pk"]["S"], item["sk"]["S"]): {name: plain(value) for name, value in item.items()}
        for item in boto3.client("dynamodb").scan(TableName="runs")["Items"]
    }
    day, result = items["DAY#flights#20130209", "FILE#flights.csv"], items[f"RUN#{RUN}", "RUN"]["result"]
    assert written.value == "run-and-day"
    assert day["metrics"] == result["metrics"]
    assert day["metrics"]["quality"]["train"]["rmse"] == Decimal("0.7905694150420949")
    assert day["version_id"] == version
    assert result["report"] == f"s3://results/runs/{RUN}/postprocess/job-7/report.html"
    report = cloud.get_object(Bucket="results", Key=f"runs/{RUN}/postprocess/job-7/report.html")["Body"].read()
    assert b"flights 2013-02-09" in report
    stored = cloud.get_object(Bucket="results", Key=f"runs/{RUN}/postprocess/manifest.json")["Body"].read()
    assert ResultManifest.from_json(stored).metrics == "job-7/metrics.json"
    assert document["run"]["run_id"] == RUN
    assert [entry["day"] for entry in document["drift"]["days"]] == ["20130208"]
    assert result["drift"][0]["column"] == "status"
    assert document["timeline"][0]["market"] == "SPOT"


@pytest.fixture
def unanswered() -> Iterator[str]:
    """The address of something that accepts a connection and never answers, as a filtered route to a service does."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("service", ["batch", "s3"])
def test_a_service_that_only_the_cost_needs_costs_seconds_when_it_does_not_answer(
    service: str, tmp_path: Path, clean: Path, cloud: S3Client, unanswered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Any = boto3.client

    def client(name: str, **options: Any) -> Any:
        if name == "batch" and service != "batch":
            return Batch(described("p", "main", "preprocess", 0, 3600))
        if (
            name == service and options["config"].read_timeout < SECONDS
        ):  # the other client of S3 is for what the job needs
            options["endpoint_url"] = unanswered
        return connect(name, **options)

    monkeypatch.setattr(boto3, "client", client)
    version = cloud.put_object(Bucket="ingest", Key=KEY, Body=b"a")["VersionId"]
    upload(cloud, write_clean(tmp_path / "data", analyse=False), "intermediate", preprocess_prefix(RUN))

    started = time.monotonic()
    document, written = job.postprocess_run(settings_for(version))

    assert time.monotonic() - started < SECONDS
    assert (document["cost"], written.value) == (None, "run-and-day")
    report = cloud.get_object(Bucket="results", Key=f"runs/{RUN}/postprocess/job-7/report.html")["Body"].read()
    assert b"The cost is not available" in report
