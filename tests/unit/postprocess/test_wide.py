"""2,000 columns through the whole pipeline, with empty values and long ones: cleaned, trained on, reported, recorded, compared."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from postprocess import job
from spotline.layout import analysis_prefix, preprocess_prefix
from tests.unit.postprocess.test_job import (
    KEY,
    RUN,
    cloud,  # noqa: F401  a fixture
    settings_for,
    upload,
)
from tests.unit.postprocess.test_table_items import MOST, size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

COLUMNS, ROWS = 2000, 300
REPORT_BYTES = 1_000_000


def fields() -> list[dict[str, Any]]:
    kinds: tuple[dict[str, Any], ...] = (
        {"type": "string", "missingValues": ["NA"]},
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
    )
    between = [{"name": f"sensor {at:04d} of the plant", **kinds[at % 4]} for at in range(COLUMNS - 2)]
    return [{"name": "id", "type": "string"}, *between, {"name": "price", "type": "number"}]


def write_file(folder: Path) -> None:
    chance = random.Random(7)
    texts = ["", "a" * 4000, "NA", *(f"value {n}" for n in range(20))]
    made: dict[str, Callable[[], object]] = {
        "string": lambda: chance.choice(texts),
        "integer": lambda: chance.randrange(100),
        "number": lambda: round(chance.random(), 6),
        "boolean": lambda: chance.choice(("true", "false")),
    }
    contract = {
        "fields": fields(),
        "primaryKey": ["id"],
        "spotline": {"analysis": {"target": "price", "rounds": 3}},
    }
    (folder / "contract.json").write_text(json.dumps(contract))
    with (folder / "wide.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field["name"] for field in fields()])
        for row in range(ROWS):
            writer.writerow([f"row {row}", *(made[field["type"]]() for field in fields()[1:])])


def work(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.timeout(600)
def test_2000_columns_go_through_the_whole_pipeline(tmp_path: Path, cloud: S3Client) -> None:  # noqa: F811
    # Given a wide file that was cleaned and analysed
    write_file(tmp_path)
    clean, analysis = tmp_path / "clean", tmp_path / "analysis"
    work(
        "preprocess",
        "--input",
        str(tmp_path / "wide.csv"),
        "--contract",
        str(tmp_path / "contract.json"),
        "--output",
        str(clean),
    )
    work("analysis", "--input", str(clean), "--output", str(analysis), "--members", "1")
    upload(cloud, clean, "intermediate", preprocess_prefix(RUN))
    cloud.upload_file(str(tmp_path / "contract.json"), "intermediate", f"runs/{RUN}/contract.json")
    upload(cloud, analysis, "results", analysis_prefix(RUN))
    version = cloud.put_object(Bucket="ingest", Key=KEY, Body=b"a")["VersionId"]
    # When it is reported, and the same data comes again the next day
    first = settings_for(version)
    job.postprocess_run(first)
    document, _ = job.postprocess_run(replace(first, day="20130210", aws_batch_job_id="job-8"))
    # Then all columns that days can be compared by are compared, and nothing has moved
    compared = {entry["column"]: entry["index"] for entry in document["drift"]["columns"]}
    assert len(compared) == sum(field["type"] in ("string", "integer", "number", "boolean") for field in fields()[1:])
    assert max(compared.values()) == 0.0
    # And every item is far from DynamoDB's limit, and the report from what a browser takes long for
    for item in boto3.client("dynamodb").scan(TableName="runs")["Items"]:
        assert size({"M": item}) < MOST / 2
    report = cloud.get_object(Bucket="results", Key=f"runs/{RUN}/postprocess/job-8/report.html")["Body"].read()
    assert b"more columns are not shown" in report
    assert len(report) < REPORT_BYTES
