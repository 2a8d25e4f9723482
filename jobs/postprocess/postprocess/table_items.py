"""The attributes of a result in the table, far below an item's 400 KB: larger values are objects beside the report.

Columns, and the values in them, are as many and as long as the data has them ("DynamoDB item sizes and formats" and "Constraints",
DynamoDB developer guide: an item has at most 400 KB, names included, and no name in it is empty).
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postprocess.drift import Distribution, EarlierDay
from spotline.documents import MIB, DocumentError, build, parse_object
from spotline.objects import ObjectMissing, open_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spotline.objects import Objects

logger = logging.getLogger("postprocess")

COLUMNS = "columns.json"
COLUMNS_BYTES = 64 * MIB
MOST_BYTES = 96 * 1024
"""How large one attribute may be, as JSON in ASCII, which takes no less room than DynamoDB counts."""
_LONGEST = 200


def build_columns_attribute(columns: Mapping[str, Distribution], output: Objects, own: str) -> dict[str, Any]:
    """The attribute of a day's item that holds its columns, `columns`; or their address, `columns_at`, when they are too large."""
    kept = {name: column.to_item() for name, column in columns.items()}
    body = json.dumps(kept).encode()
    if len(body) <= MOST_BYTES:
        return {"columns": kept}
    output.write(f"{own}{COLUMNS}", body)
    return {"columns_at": output.location(f"{own}{COLUMNS}")}


def build_surprising_attribute(rows: Sequence[Mapping[str, Any]], metrics_at: str) -> dict[str, Any]:
    """The attribute of a run's result that holds its most surprising rows, long texts cut; else the address of the object that holds them."""
    kept = _shorten(rows)
    return {"surprising": kept} if len(json.dumps(kept)) <= MOST_BYTES else {"surprising_at": metrics_at}


def read_earlier_days(items: Sequence[Mapping[str, Any]]) -> list[EarlierDay]:
    """The days before. A day whose item cannot be read is left out: a run's results are worth more than a comparison."""
    days = []
    for item in items:
        try:
            days.append(_read_day(item))
        except (DocumentError, ObjectMissing) as error:
            logger.warning("an earlier day cannot be read and is not compared: %s", error)
    return days


@dataclass(frozen=True)
class _Rows:
    read: float
    rejected_share: float


@dataclass(frozen=True)
class _Metrics:
    """What a comparison reads of a day's metrics."""

    rows: _Rows
    quality: dict[str, dict[str, Any] | None] | None = None


@dataclass(frozen=True)
class _Column:
    """`commonest` holds pairs of a text and its share. Items that are older than that attribute have a map, `values`, instead."""

    missing: float
    values: dict[str, float] | None = None
    commonest: tuple[tuple[str, float], ...] | None = None
    quantiles: tuple[float, ...] | None = None

    def to_distribution(self) -> Distribution:
        values = self.values if self.commonest is None else dict(self.commonest)
        return Distribution(self.missing, values, self.quantiles)


@dataclass(frozen=True)
class _Day:
    day: str
    metrics: dict[str, Any]
    columns: dict[str, _Column] | None = None
    columns_at: str | None = None


def _read_day(item: Mapping[str, Any]) -> EarlierDay:
    name = f"item {item.get('pk')} {item.get('sk')}"
    day = build(_Day, dict(item), name, ignore_unknown=True)
    build(_Metrics, day.metrics, name, ignore_unknown=True)
    columns = day.columns or {}
    if day.columns_at is not None:
        folder, key = open_object(day.columns_at)
        document = parse_object(folder.read(key, COLUMNS_BYTES).body, day.columns_at, COLUMNS_BYTES)
        columns = {column: build(_Column, kept, day.columns_at) for column, kept in document.items()}
    return EarlierDay(day.day, day.metrics, {column: kept.to_distribution() for column, kept in columns.items()})


def _shorten(value: Any) -> Any:
    """A JSON value with its long texts cut."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    if isinstance(value, dict):
        return {name: _shorten(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shorten(item) for item in value]
    return value
