"""The job from end to end: read, merge, write; the manifest last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postprocess.drift import build_drift, read_columns
from postprocess.inputs import Inputs, read_inputs, read_local_inputs, read_rejected_rows
from postprocess.metrics import RunContext, RunIdentity, build_metrics
from postprocess.parts import read_predictions
from postprocess.report import render
from postprocess.source_order import VersionGone, find_source_order, list_versions
from postprocess.table import DayKey, ResultTable, Written
from postprocess.table_items import build_columns_attribute, build_surprising_attribute, read_earlier_days
from postprocess.timeline import read_timeline_and_cost
from spotline.cost_settings import CostSettings
from spotline.layout import (
    MANIFEST,
    analysis_prefix,
    parent_job_id,
    parse_data_key,
    postprocess_prefix,
    preprocess_prefix,
)
from spotline.manifests import ResultManifest
from spotline.objects import ObjectMissing, Objects, WriteRefused, open_objects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

METRICS, REPORT = "metrics.json", "report.html"
# What a run's record keeps of long lists: enough for a message, far from an item's 400 KB.
FEW = 3
DAYS_COMPARED = 7


@dataclass(frozen=True)
class Settings(CostSettings):
    """The job's environment variables on AWS."""

    run_id: str
    dataset: str
    day: str
    source_bucket: str
    source_key: str
    source_version_id: str
    execution_arn: str
    intermediate_bucket: str
    runs_table: str
    aws_batch_job_id: str


class PublishedMeanwhile(Exception):
    """Another job of this run wrote its manifest while this one worked: its results stand."""


def postprocess_folder(given: Path, output: Path) -> dict[str, Any]:
    """Postprocess on local paths; returns the metrics document."""
    inputs = read_local_inputs(given)
    source = inputs.cleaned.manifest.source
    run = RunIdentity(file=str(source.get("path") or source.get("key")))
    document, _ = _publish(run, inputs, RunContext(), open_objects(str(output)), "")
    return document


def postprocess_run(settings: Settings) -> tuple[dict[str, Any], Written]:
    """Postprocess a run in the cloud; returns the metrics document, and what was written of it to the table."""
    import boto3  # noqa: PLC0415  jobs on local paths never pay for the import
    from botocore.config import Config  # noqa: PLC0415

    config = Config(retries={"mode": "standard", "max_attempts": 8})
    table = ResultTable(settings.runs_table, boto3.client("dynamodb", config=config))
    s3 = boto3.client("s3", config=config)
    inputs = read_inputs(
        f"s3://{settings.intermediate_bucket}/{preprocess_prefix(settings.run_id)}",
        f"s3://{settings.results_bucket}/{analysis_prefix(settings.run_id)}",
    )
    run = RunIdentity(
        file=settings.source_key,
        run_id=settings.run_id,
        dataset=settings.dataset,
        day=settings.day,
        version_id=settings.source_version_id,
        execution_arn=settings.execution_arn,
    )
    day = DayKey(settings.dataset, settings.day, parse_data_key(settings.source_key).file)
    columns = read_columns(inputs.cleaned.quality, inputs.cleaned.manifest.rows_clean)
    generation = inputs.analysed.manifest.generation if inputs.analysed else 0
    gangs = table.read_gangs(settings.run_id, generation)
    # For what a report can do without, the run's jobs and the prices: an endpoint that is missing, or a service that does not answer,
    # costs a call at most 3 x 5 s and two back-offs of at most 3 s. botocore's own 60 s, eight times, would cost ten minutes.
    optional = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})
    batch, prices = boto3.client("batch", config=optional), boto3.client("s3", config=optional)
    timeline, cost = read_timeline_and_cost(batch, prices, settings, settings.run_id, gangs)
    drift = build_drift(columns, read_earlier_days(table.read_days_before(day, DAYS_COMPARED)))
    output = open_objects(f"s3://{settings.results_bucket}/{postprocess_prefix(settings.run_id)}")
    context = RunContext(drift, timeline, cost)
    own = f"{parent_job_id(settings.aws_batch_job_id)}/"
    columns_attribute = build_columns_attribute(columns, output, own)
    document, manifest = _publish(run, inputs, context, output, own)
    day_attributes = {
        "version_id": settings.source_version_id,
        "metrics": document["metrics"],
        **columns_attribute,
        "report": output.location(manifest.report),
    }
    recorded = {"result": _build_result(document, manifest, output), **({"cost": cost} if cost else {})}
    return document, table.record(settings.run_id, recorded, day, _find_order(s3, settings), day_attributes)


def _find_order(client: S3Client, settings: Settings) -> str | None:
    """The version's place among all versions of the file; None when it is gone."""
    versions = list_versions(client, settings.source_bucket, settings.source_key)
    try:
        return find_source_order(versions, settings.source_version_id)
    except VersionGone:
        return None


def _publish(
    run: RunIdentity, inputs: Inputs, context: RunContext, output: Objects, own: str
) -> tuple[dict[str, Any], ResultManifest]:
    """Write metrics and report under `own`, then the manifest that names them, unless another job did meanwhile."""
    before = _read_etag(output)
    predictions = read_predictions(inputs.analysed) if inputs.analysed else None
    document = build_metrics(run, inputs, predictions, context)
    output.write(
        f"{own}{METRICS}", json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    )
    report = render(document, inputs.cleaned.quality, predictions, read_rejected_rows(inputs.cleaned))
    output.write(f"{own}{REPORT}", report)
    manifest = ResultManifest(
        clean=inputs.cleaned.location,
        analysis=inputs.analysed.location if inputs.analysed else None,
        metrics=f"{own}{METRICS}",
        report=f"{own}{REPORT}",
    )
    try:
        output.write(MANIFEST, manifest.to_json(), if_etag=before)
    except WriteRefused as cause:
        raise PublishedMeanwhile(f"{output.location(MANIFEST)} was written by another job of this run") from cause
    return document, manifest


def _read_etag(output: Objects) -> str | None:
    try:
        return output.read(MANIFEST).etag
    except ObjectMissing:
        return None


def _build_result(document: Mapping[str, Any], manifest: ResultManifest, output: Objects) -> dict[str, Any]:
    """What the run's record holds of its result."""
    drift = document["drift"]
    return {
        "metrics": document["metrics"],
        "gang": document["gang"],
        **build_surprising_attribute(document["surprising"][:FEW], output.location(manifest.metrics)),
        "drift": drift["columns"][:FEW] if drift else [],
        "manifest": output.location(MANIFEST),
        "report": output.location(manifest.report),
    }
