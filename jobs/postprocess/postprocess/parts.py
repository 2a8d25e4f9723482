"""What the members of a gang wrote, merged: every scored row, the most surprising ones, and how much each feature contributes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from postprocess.inputs import InputsDisagree
from spotline.documents import MIB, build, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from postprocess.inputs import Analysed
    from postprocess.scores import Numbers
    from spotline.manifests import Part

SUMS_BYTES = 64 * MIB
PART_SCHEMA = "spotline/part/1"
VALIDATION = "validation"
MOST_SURPRISING = 20


class Task(StrEnum):
    """What the model predicts: a number, or the probability of class 1."""

    REGRESSION = "regression"
    BINARY = "binary"


@dataclass(frozen=True)
class Reason:
    """How far one feature's value moved one row's prediction, in the units of the model's margin (SHAP)."""

    feature: str
    value: Any
    contribution: float


@dataclass(frozen=True)
class SurprisingRow:
    """A row that the model got wrong by much: its shard and row there (from 0), and its primary key if the contract has one."""

    shard: int
    row: int
    key: dict[str, Any]
    actual: float
    prediction: float
    residual: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class _Sums:
    """What is read of the document that a member writes beside its rows."""

    task: Task
    rows: dict[str, int]
    surprising: tuple[SurprisingRow, ...]


@dataclass(frozen=True)
class Feature:
    """How much a feature contributes: its share of the loss that all splits of the model saved (total gain)."""

    feature: str
    share: float


@dataclass(frozen=True)
class Predictions:
    """The rows that have a target, scored. Rows without one are predicted by the gang and not scored here.

    `validation` marks the rows that the model was not trained on. All three arrays have one length.
    """

    task: Task
    actual: Numbers
    prediction: Numbers
    validation: npt.NDArray[np.bool_]
    unlabelled: int
    surprising: tuple[SurprisingRow, ...]
    importance: tuple[Feature, ...]

    @property
    def evaluation(self) -> npt.NDArray[np.bool_]:
        """The rows that the model is evaluated on: those it was not trained on, or all when there are none."""
        return self.validation if self.validation.any() else np.ones_like(self.validation)


def read_predictions(analysed: Analysed) -> Predictions:
    """Read every part that the manifest names.

    Raises
    ------
    InputsDisagree
        When a part is missing, of another schema or of another length than the manifest says.
    """
    manifest = analysed.manifest
    parts = [_read_sums(analysed, part) for part in manifest.parts]
    rows = [_read_rows(analysed, part) for part in manifest.parts]
    tasks = {sums.task for sums in parts}
    if len(tasks) != 1:
        raise InputsDisagree(f"the parts of {analysed.location} come from different tasks")
    return Predictions(
        task=tasks.pop(),
        actual=np.concatenate([part.actual for part in rows]),
        prediction=np.concatenate([part.prediction for part in rows]),
        validation=np.concatenate([part.validation for part in rows]),
        unlabelled=sum(part.unlabelled for part in rows),
        surprising=find_most_surprising(row for sums in parts for row in sums.surprising),
        importance=rank_features(manifest.details.get("importances", {})),
    )


def find_most_surprising(rows: Iterable[SurprisingRow], most: int = MOST_SURPRISING) -> tuple[SurprisingRow, ...]:
    """The rows with the largest residuals of all parts, largest first; equal ones in the order of the data."""
    return tuple(sorted(rows, key=lambda row: (-abs(row.residual), row.shard, row.row))[:most])


def rank_features(shares: Mapping[str, float]) -> tuple[Feature, ...]:
    """Features by their share, the largest first, equal ones by name; features that no split uses are left out."""
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Feature(name, share) for name, share in ordered if share > 0)


def _read_sums(analysed: Analysed, part: Part) -> _Sums:
    location = analysed.folder.location(part.sums_path)
    document = parse_object(analysed.folder.read(part.sums_path, SUMS_BYTES).body, location, SUMS_BYTES, PART_SCHEMA)
    rows = document.get("surprising")
    for row in (row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)):
        row["key"] = row.get("key") or {}  # a contract need not have a primary key
        if isinstance(row.get("actual"), bool):
            row["actual"] = int(row["actual"])
    sums = build(_Sums, document, location, ignore_unknown=True)
    if sum(sums.rows.values()) != part.rows:
        raise InputsDisagree(f"{location} does not sum {part.rows} rows, as its manifest says")
    return sums


@dataclass(frozen=True)
class _Rows:
    """One part's rows that have a target; 17 bytes a row, so that a hundred million fit into the job."""

    actual: Numbers
    prediction: Numbers
    validation: npt.NDArray[np.bool_]
    unlabelled: int


def _read_rows(analysed: Analysed, part: Part) -> _Rows:
    rows = pq.ParquetFile(io.BytesIO(analysed.folder.read(part.rows_path).body)).read(["split", "actual", "prediction"])
    if rows.num_rows != part.rows:
        location = analysed.folder.location(part.rows_path)
        raise InputsDisagree(f"{location} has {rows.num_rows} rows, its manifest says {part.rows}")
    labelled = rows.filter(pc.is_valid(rows["actual"]))
    return _Rows(
        actual=_to_doubles(labelled["actual"]),
        prediction=_to_doubles(labelled["prediction"]),
        validation=_compare_with(labelled["split"], VALIDATION),
        unlabelled=rows.num_rows - labelled.num_rows,
    )


def _to_doubles(column: pa.ChunkedArray[Any]) -> Numbers:
    values: Numbers = column.cast(pa.float64()).to_numpy()
    return values


def _compare_with(column: pa.ChunkedArray[Any], text: str) -> npt.NDArray[np.bool_]:
    equal: Any = pc.equal(column, pa.scalar(text))
    values: npt.NDArray[np.bool_] = equal.to_numpy()
    return values
