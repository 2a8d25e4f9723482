"""How a day differs from the days before it: its columns, its rows and its model's quality. Pure.

What a column holds is kept as a distribution that is small enough to keep for every day.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The quantiles that the quality report gives of every number.
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

# Above it a column's values are mostly names of rows, and two days have nothing in common but chance.
_MOSTLY_DIFFERENT = 0.5
# Dates and moments move from day to day by nature.
_COMPARABLE = ("string", "integer", "number", "boolean", "year")
# A share of zero would make the index infinite: half a row of a day of 5,000.
_LEAST = 1e-4


@dataclass(frozen=True)
class Distribution:
    """How a column's values are distributed on one day.

    Attributes
    ----------
    missing
        The share of rows without a value.
    values
        Shares of the commonest values among all rows, by their text; None for a number with more values than are counted.
    quantiles
        The numbers at `SHARES` among the rows that have one; None for what is no number.
    """

    missing: float
    values: Mapping[str, float] | None = None
    quantiles: tuple[float, ...] | None = None

    def to_item(self) -> dict[str, Any]:
        """As it is kept in the day's item."""
        kept: dict[str, Any] = {"missing": self.missing}
        if self.values is not None:
            kept["commonest"] = [[text, share] for text, share in self.values.items()]  # a text may be empty: no name
        if self.quantiles is not None:
            kept["quantiles"] = list(self.quantiles)
        return kept


@dataclass(frozen=True)
class EarlierDay:
    """What the table holds of an earlier day: `metrics` as it was written then, and its columns."""

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


def read_columns(quality: Mapping[str, Any], rows: int) -> dict[str, Distribution]:
    """The comparable columns of a quality report, in the contract's order."""
    found = {name: read_distribution(column, rows) for name, column in quality["columns"].items()}
    return {name: column for name, column in found.items() if column is not None}


def compare_days(now: Mapping[str, Distribution], before: Sequence[EarlierDay]) -> list[ColumnDrift]:
    """Every column that an earlier day has too, the furthest first.

    The median makes neither a weekday's own pattern nor one odd day before look like drift.
    """
    found = []
    for name, column in now.items():
        earlier = [day.columns[name] for day in before if name in day.columns]
        if earlier and not _is_a_name_of_the_day([*earlier, column]):
            index = statistics.median(compute_stability_index(one, column) for one in earlier)
            missing = statistics.median(one.missing for one in earlier)
            found.append(ColumnDrift(name, index, missing, column.missing))
    return sorted(found, key=lambda drift: (-drift.index, drift.column))


def _is_a_name_of_the_day(columns: Sequence[Distribution]) -> bool:
    """Whether a column holds one value on each day and another one each day, as the number of the day in the month does."""
    values = [tuple(column.values or ()) for column in columns]
    return all(len(day) == 1 for day in values) and len(set(values)) == len(values)


def build_drift(now: Mapping[str, Distribution], before: Sequence[EarlierDay]) -> dict[str, Any] | None:
    """The part of the metrics document that compares days; None when there is no earlier day."""
    if not before:
        return None
    return {
        "days": [{"day": day.day, "metrics": day.metrics} for day in before],
        "columns": [asdict(drift) for drift in compare_days(now, before)],
    }


def read_distribution(column: Mapping[str, Any], rows: int) -> Distribution | None:
    """Read a column of the quality report; None for one that days cannot be compared by.

    Parameters
    ----------
    column
        `type`, `missing`, `distinct`, `top` and, for numbers, `quantiles`.
    rows
        Clean rows.
    """
    if column["type"] not in _COMPARABLE or not rows:
        return None
    present = rows - column["missing"]
    whole = len(column["top"]) >= column["distinct"]
    quantiles = tuple(float(value) for value in column.get("quantiles", {}).values()) or None
    if quantiles is None and not whole and column["distinct"] > _MOSTLY_DIFFERENT * present:
        return None
    values = {str(entry["value"]): entry["count"] / rows for entry in column["top"]}
    return Distribution(column["missing"] / rows, values if whole or quantiles is None else None, quantiles)


def compute_stability_index(before: Distribution, now: Distribution) -> float:
    """The population stability index: how far `now` lies from `before`.

    Rows are sorted into the same bins on both days: missing, and the commonest values of either day with all others together,
    or the ranges between the quantiles of the day before. The index is the sum of (now - before) * ln(now / before). By
    convention below 0.1 means alike and above 0.25 means another population (Siddiqi, Credit Risk Scorecards, 2006).
    """
    first, second = _compute_bins(before, now)
    first, second = np.maximum(first, _LEAST), np.maximum(second, _LEAST)
    return float(math.fsum((second - first) * np.log(second / first)))


def _compute_bins(before: Distribution, now: Distribution) -> tuple[np.ndarray, np.ndarray]:
    if before.values is not None and now.values is not None:
        names = sorted({*before.values, *now.values})
        return _share_by_value(before, now, names), _share_by_value(now, before, names)
    if before.quantiles is not None and now.quantiles is not None:
        edges = np.unique(before.quantiles)
        return _share_between(before, edges), _share_between(now, edges)
    return _share_by_value(before, now, []), _share_by_value(now, before, [])


def _share_between(day: Distribution, edges: np.ndarray) -> np.ndarray:
    """The shares of rows that are missing and between these edges, read off the line through the day's quantiles."""
    assert day.quantiles is not None  # noqa: S101  the caller has checked
    points, last = np.unique(np.array(day.quantiles)[::-1], return_index=True)
    # Of quantiles that share a value the highest counts: so many rows lie at or below it. The difference of two of the largest floats
    # would overflow; a quarter of each does not, and changes no share.
    below = np.interp(edges / 4, points / 4, np.array(SHARES)[::-1][last], left=0.0, right=1.0)
    ranges = np.diff(np.concatenate([[0.0], below, [1.0]]))
    return np.concatenate([[day.missing], (1 - day.missing) * ranges])


def _share_by_value(day: Distribution, other: Distribution, names: list[str]) -> np.ndarray:
    """The shares of rows that are missing, of each of these values, and of any value else."""
    shares = [_find_share(day, other, name) for name in names]
    return np.array([day.missing, *shares, max(0.0, 1 - day.missing - math.fsum(shares))])


def _find_share(day: Distribution, other: Distribution, name: str) -> float:
    """A value's share. One that is not among the commonest can be as common as the least of them: so it counts as that common."""
    values = day.values or {}
    if name in values or not values:
        return values.get(name, 0.0)
    if math.fsum(values.values()) + day.missing > 1 - 1e-9:
        return 0.0
    return min(*values.values(), (other.values or {})[name])
