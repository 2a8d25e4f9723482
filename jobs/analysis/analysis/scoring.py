"""Scoring: every row's prediction and residual, the most surprising rows' reasons, and the part's sums."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

from analysis.encoding import Kind
from analysis.engine import describe_features
from analysis.spool import ACTUAL, HELD_OUT, KEY, ROW, SHARD, Spool
from analysis.sums import sum_binary, sum_regression

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.encoding import Feature

SCHEMA = "spotline/part/1"
EXPLAINED = 20
REASONS = 5
TRAIN, VALIDATION, UNLABELLED = "train", "validation", "unlabelled"
REASON_TYPE = pa.list_(pa.struct([("feature", pa.string()), ("contribution", pa.float64())]))


@dataclass(frozen=True)
class Part:
    """A scored part: its rows in a temporary Parquet file, and its sums."""

    rows_file: Path
    sums: bytes
    rows: int


@dataclass(frozen=True)
class _Surprise:
    """One of the rows that the model was most wrong about."""

    position: int
    residual: float
    reasons: list[tuple[Feature, float, float]]
    """Feature, its encoded value, its contribution."""


def score(
    spool: Spool,
    model: xgb.Booster,
    *,
    part: int,
    target: str,
    binary: bool,
    validates: bool,
    on_batch: Callable[[], None],
) -> Part:
    """Score a worker's rows. Equal rows and models give equal bytes.

    Parameters
    ----------
    validates
        Whether held-out rows really were held out, or the data was too small for that.
    """
    predictions = _predict(spool, model, on_batch)
    actual = _read_column(spool, ACTUAL, np.float64)
    held_out = _read_column(spool, HELD_OUT, np.bool_) & validates
    surprises = _find_surprises(spool, model, actual - predictions, on_batch)
    labelled = ~np.isnan(actual)
    compute_sums = sum_binary if binary else sum_regression
    chosen = {TRAIN: labelled & ~held_out, VALIDATION: labelled & held_out}
    path = Path(tempfile.mkdtemp(prefix="spotline-")) / "rows.parquet"
    surprising = _write_rows(path, spool, predictions, held_out, surprises, binary, on_batch)
    document = {
        "schema": SCHEMA,
        "part": part,
        "task": "binary" if binary else "regression",
        "target": target,
        "rows": {**{name: int(rows.sum()) for name, rows in chosen.items()}, UNLABELLED: int((~labelled).sum())},
        "sums": {name: compute_sums(actual[rows], predictions[rows]) for name, rows in chosen.items()},
        "surprising": surprising,
    }
    return Part(path, json.dumps(document, default=str).encode() + b"\n", spool.rows)


def _predict(spool: Spool, model: xgb.Booster, on_batch: Callable[[], None]) -> np.ndarray:
    predictions = np.empty(spool.rows, np.float64)
    start = 0
    for batch in spool:
        predictions[start : start + batch.num_rows] = model.inplace_predict(spool.to_array(batch))
        start += batch.num_rows
        on_batch()
    return predictions


def _read_column(spool: Spool, which: int, dtype: type[np.generic]) -> np.ndarray:
    columns = [spool.get_extra(batch, which).to_numpy(zero_copy_only=False) for batch in spool]
    return np.concatenate(columns) if columns else np.empty(0, dtype)


def _find_surprises(
    spool: Spool, model: xgb.Booster, residuals: np.ndarray, on_batch: Callable[[], None]
) -> dict[int, _Surprise]:
    """The rows with the largest residuals, ties by order, each with what moved its prediction most; largest first."""
    magnitudes = np.where(np.isnan(residuals), -1.0, np.abs(residuals))
    order = np.lexsort((np.arange(magnitudes.size), -magnitudes))[:EXPLAINED]
    order = order[magnitudes[order] > 0]
    # Making a DMatrix is a collective call (all workers agree on the columns): one without a row to explain makes it, too.
    numbers = _read_rows_at(spool, np.sort(order))
    on_batch()
    matrix = xgb.DMatrix(numbers, **describe_features(spool.features), enable_categorical=True, nthread=1)
    contributions = dict(zip(np.sort(order).tolist(), model.predict(matrix, pred_contribs=True), strict=True))
    values = dict(zip(np.sort(order).tolist(), numbers, strict=True))
    return {
        int(position): _Surprise(
            int(position),
            float(residuals[position]),
            _rank_reasons(spool.features, values[int(position)], contributions[int(position)]),
        )
        for position in order
    }


def _rank_reasons(
    features: Sequence[Feature], values: np.ndarray, contributions: np.ndarray
) -> list[tuple[Feature, float, float]]:
    without_bias = contributions[:-1]
    order = np.lexsort((np.arange(without_bias.size), -np.abs(without_bias)))[:REASONS]
    return [(features[i], float(values[i]), float(without_bias[i])) for i in order if without_bias[i] != 0]


def _read_rows_at(spool: Spool, positions: np.ndarray) -> np.ndarray:
    """The encoded features of these rows (ascending), float32 of shape (len(positions), features)."""
    found = []
    start = 0
    for batch in spool:
        inside = positions[(positions >= start) & (positions < start + batch.num_rows)] - start
        if inside.size:
            found.append(spool.to_array(batch.take(pa.array(inside))))
        start += batch.num_rows
    empty = np.empty((0, len(spool.features)), np.float32)
    return np.concatenate([empty, *found])


def _write_rows(
    path: Path,
    spool: Spool,
    predictions: np.ndarray,
    held_out: np.ndarray,
    surprises: dict[int, _Surprise],
    binary: bool,
    on_batch: Callable[[], None],
) -> list[dict[str, Any]]:
    """Write every row; returns the surprising ones as the part's sums describe them, largest residual first."""
    described: dict[int, dict[str, Any]] = {}
    schema = _build_rows_schema(spool, binary)
    start = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in spool:
            stop = start + batch.num_rows
            actual = spool.get_extra(batch, ACTUAL).to_numpy(zero_copy_only=False)
            missing = np.isnan(actual)
            split = np.where(missing, UNLABELLED, np.where(held_out[start:stop], VALIDATION, TRAIN))
            inside = sorted(position for position in surprises if start <= position < stop)
            columns = {
                "shard": spool.get_extra(batch, SHARD),
                "row": spool.get_extra(batch, ROW),
                "key": spool.get_extra(batch, KEY),
                "split": pa.array(split, pa.string()),
                "actual": pa.array(actual.astype(bool) if binary else actual, mask=missing),
                "prediction": pa.array(predictions[start:stop]),
                "residual": pa.array(actual - predictions[start:stop], mask=missing),
                "reasons": _build_reasons_column(batch.num_rows, {p - start: surprises[p] for p in inside}),
            }
            rows = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
            writer.write_batch(rows)
            for position in inside:
                row = rows.slice(position - start, 1).to_pylist()[0]
                described[position] = {
                    **row,
                    "reasons": [_describe_reason(*reason) for reason in surprises[position].reasons],
                }
            start = stop
            on_batch()
    return [described[position] for position in surprises]


def _build_rows_schema(spool: Spool, binary: bool) -> pa.Schema:
    key = spool.key_type
    fields = [
        ("shard", pa.int32()),
        ("row", pa.int64()),
        ("key", key),
        ("split", pa.string()),
        ("actual", pa.bool_() if binary else pa.float64()),
        ("prediction", pa.float64()),
        ("residual", pa.float64()),
        ("reasons", REASON_TYPE),
    ]
    return pa.schema([field for field in fields if field[0] != "key" or key.num_fields])


def _build_reasons_column(rows: int, surprises: dict[int, _Surprise]) -> pa.Array[Any]:
    if not surprises:
        return pa.nulls(rows, REASON_TYPE)
    values: list[list[dict[str, Any]] | None] = [None] * rows
    for row, surprise in surprises.items():
        values[row] = [
            {"feature": feature.name, "contribution": contribution} for feature, _, contribution in surprise.reasons
        ]
    return pa.array(values, REASON_TYPE)


def _describe_reason(feature: Feature, value: float, contribution: float) -> dict[str, Any]:
    shown: Any = None if np.isnan(value) else value
    if shown is not None and feature.kind is Kind.CATEGORY:
        shown = feature.vocabulary[int(value)]
    elif shown is not None and feature.kind is Kind.BOOLEAN:
        shown = bool(value)
    return {"feature": feature.name, "value": shown, "contribution": contribution}
