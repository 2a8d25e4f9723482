"""How a day differs from the days before it: its columns, its rows and its model's quality. Pure."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from postprocess.columns import Distribution, distribution, stability_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class EarlierDay:
    """What the table holds of a day before: `metrics` as it was written then, and its columns."""

    day: str
    metrics: Mapping[str, Any]
    columns: Mapping[str, Distribution]


@dataclass(frozen=True)
class ColumnDrift:
    """How far a column lies from the days before: the median of its stability indices against each of them."""

    column: str
    index: float
    missing_before: float
    missing_now: float


def columns_of(quality: Mapping[str, Any], rows: int) -> dict[str, Distribution]:
    """The comparable columns of a quality report, in the contract's order."""
    found = {name: distribution(column, rows) for name, column in quality["columns"].items()}
    return {name: column for name, column in found.items() if column is not None}


def compare(now: Mapping[str, Distribution], before: Sequence[EarlierDay]) -> list[ColumnDrift]:
    """Every column that an earlier day has too, the furthest first.

    The median makes neither a weekday's own pattern nor one odd day before look like drift.
    """
    found = []
    for name, column in now.items():
        earlier = [day.columns[name] for day in before if name in day.columns]
        if earlier and not _names_the_day([*earlier, column]):
            index = statistics.median(stability_index(one, column) for one in earlier)
            missing = statistics.median(one.missing for one in earlier)
            found.append(ColumnDrift(name, index, missing, column.missing))
    return sorted(found, key=lambda drift: (-drift.index, drift.column))


def _names_the_day(columns: Sequence[Distribution]) -> bool:
    """Whether a column holds one value on each day and another one each day, as the number of the day in the month does."""
    values = [tuple(column.values or ()) for column in columns]
    return all(len(day) == 1 for day in values) and len(set(values)) == len(values)


def drift_document(now: Mapping[str, Distribution], before: Sequence[EarlierDay]) -> dict[str, Any] | None:
    """The part of the metrics document that compares days; None when there is no earlier day."""
    if not before:
        return None
    return {
        "days": [{"day": day.day, "metrics": day.metrics} for day in before],
        "columns": [asdict(drift) for drift in compare(now, before)],
    }
