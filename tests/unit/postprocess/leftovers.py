"""What the earlier jobs write, in the schemas of their manifests, small and with numbers that the tests expect."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spotline.manifests import AnalysisManifest, CleanManifest, Part, RejectedPart, Shard, digest

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = {
    "fields": [
        {"name": "id", "type": "string", "constraints": {"required": True}},
        {"name": "status", "type": "string"},
        {"name": "price", "type": "number", "constraints": {"minimum": 0}},
    ],
    "primaryKey": ["id"],
    "spotline": {"analysis": {"target": "price", "features": ["status"]}},
}
REASONS = pa.list_(pa.struct([("code", pa.string()), ("field", pa.string()), ("value", pa.string())]))


@dataclass(frozen=True)
class Scored:
    """One member's rows: actual (None where there is no target), prediction, split."""

    actual: tuple[float | None, ...]
    prediction: tuple[float, ...]
    split: tuple[str, ...]
    task: str = "regression"


def write_clean(
    folder: Path, *, clean: int = 6, rejected: int = 2, analyse: bool = True, raw: bytes = b"x,<b>,-1"
) -> Path:
    """Write preprocess' output; returns its folder."""
    (folder / "rejected").mkdir(parents=True)
    rows: dict[str, list[Any]] = {
        "record": list(range(1, rejected + 1)),
        "line": list(range(2, rejected + 2)),
        "offset": [10 * at for at in range(rejected)],
        "raw": [raw] * rejected,
        "reasons": [[{"code": "minimum", "field": "price", "value": "-1"}]] * rejected,
    }
    fields: list[tuple[str, pa.DataType]] = [
        ("record", pa.int64()),
        ("line", pa.int64()),
        ("offset", pa.int64()),
        ("raw", pa.binary()),
        ("reasons", REASONS),
    ]
    pq.write_table(pa.table(rows, schema=pa.schema(fields)), folder / "rejected/part-0000.parquet")
    contract = CONTRACT if analyse else {name: value for name, value in CONTRACT.items() if name != "spotline"}
    (folder / "contract.json").write_text(json.dumps(contract))
    reasons = [{"code": "minimum", "field": "price", "rows": rejected, "examples": []}] if rejected else []
    top = [{"value": "a", "count": clean}]
    columns = {"status": {"type": "string", "missing": 0, "distinct": 1, "min": "a", "max": "a", "top": top}}
    quality = {"schema": "spotline/quality/1", "rejected": reasons, "columns": columns}
    (folder / "quality.json").write_text(json.dumps(quality))
    manifest = CleanManifest(
        source={"path": "data.csv"},
        rows_read=clean + rejected,
        rows_clean=clean,
        rows_rejected=rejected,
        shards=(Shard("clean/shard-0000.parquet", clean, 1, "0" * 64),),
        rejected=(RejectedPart("rejected/part-0000.parquet", rejected),) if rejected else (),
        categories={"status": ["a", "b"]},
        contract="contract.json",
        quality="quality.json",
        analyse=analyse,
    )
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return folder


def write_analysis(folder: Path, clean: Path, members: list[Scored], **changes: Any) -> Path:
    """Write a gang's output for these members; returns its folder. `changes` go into the manifest."""
    (folder / "parts").mkdir(parents=True)
    parts = [_write_part(folder, index, member) for index, member in enumerate(members)]
    manifest = AnalysisManifest(
        clean=f"{clean}/manifest.json",
        clean_digest=digest((clean / "manifest.json").read_bytes()),
        members=len(members),
        rounds=10,
        resumed_from=None,
        parts=tuple(parts),
        model="model.ubj",
        job_id="job-1",
        generation=1,
        details={
            "importances": {"status": 0.75, "id": 0.25},
            "metric": "rmse",
            "history": [[1, 3.0, 3.5], [10, 2.0, 2.5]],
        },
    )
    (folder / "manifest.json").write_bytes(replace(manifest, **changes).to_json())
    return folder


def _write_part(folder: Path, index: int, member: Scored) -> Part:
    rows = len(member.actual)
    residual = [
        None if actual is None else actual - prediction
        for actual, prediction in zip(member.actual, member.prediction, strict=True)
    ]
    table = pa.table(
        {
            "shard": pa.array([0] * rows, pa.int32()),
            "row": pa.array(range(100 * index, 100 * index + rows), pa.int64()),
            "split": pa.array(member.split, pa.string()),
            "actual": pa.array(
                [None if value is None else bool(value) for value in member.actual]
                if member.task == "binary"
                else member.actual,
                pa.bool_() if member.task == "binary" else pa.float64(),
            ),
            "prediction": pa.array(member.prediction, pa.float64()),
            "residual": pa.array(residual, pa.float64()),
        }
    )
    rows_path, sums_path = f"parts/part-{index:04d}.parquet", f"parts/part-{index:04d}.json"
    pq.write_table(table, folder / rows_path)
    surprising = [
        {
            "shard": 0,
            "row": 100 * index + row,
            "key": {"id": f"k{index}{row}"},
            "split": member.split[row],
            "actual": member.actual[row],
            "prediction": member.prediction[row],
            "residual": residual[row],
            "reasons": [{"feature": "status", "value": "a", "contribution": 0.5}],
        }
        for row in range(rows)
        if residual[row]
    ]
    sums = {
        "schema": "spotline/part/1",
        "part": index,
        "task": member.task,
        "target": "price",
        "rows": {name: member.split.count(name) for name in ("train", "validation", "unlabelled")},
        "surprising": surprising,
    }
    (folder / sums_path).write_text(json.dumps(sums))
    return Part(rows_path, sums_path, rows)


def many_rows(seed: int = 7, rows: int = 4000) -> Scored:
    """Rows enough to draw every chart with."""
    generator = np.random.default_rng(seed)
    actual = generator.normal(10, 30, rows)
    prediction = actual * 0.9 + generator.normal(0, 8, rows)
    split = np.where(generator.random(rows) < 0.2, "validation", "train")
    return Scored(tuple(actual.tolist()), tuple(prediction.tolist()), tuple(split.tolist()))
