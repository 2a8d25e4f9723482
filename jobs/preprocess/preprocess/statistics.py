"""Statistics of the clean columns, gathered block by block and merged in the blocks' order.

Counts, limits, means and deviations are those of all rows. So are distinct and top values of a column with at most `FEW` different values;
with more, the number of distinct values is estimated (K minimum values, about 2%) and top values and quantiles come from a sample of
every n-th row. Files of up to `SAMPLE_ROWS` rows are their own sample. Memory does not grow with the file.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from preprocess.columns import dtype
from preprocess.spread import Spread, measure
from spotline.contracts import FieldType

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from preprocess.spellings import Coded
    from spotline.contracts import Field

FEW = 4096
SAMPLE_ROWS = 50_000
INEXACT = 2**53  # from here on, a float stands for several integers

_COUNT = "\0count"  # no field is called so
_NARROW = 1 << 16  # integers within this range are counted without a table of hashes
_SMALLEST = 2048  # hashes kept: the relative error of an estimate is about 1 / sqrt of it
_TOP = 10
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_WITH_MEAN = (FieldType.INTEGER, FieldType.NUMBER)
_WITH_QUANTILES = (*_WITH_MEAN, FieldType.YEAR, FieldType.DATE, FieldType.DATETIME, FieldType.YEARMONTH)

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class ColumnSummary:
    """One column of one block.

    `counts` are None when the column has had too many values to count; `inexact` counts numbers of `INEXACT` and more.
    """

    missing: int
    minimum: Any
    maximum: Any
    spread: Spread
    inexact: int
    counts: dict[Any, int] | None
    hashes: Hashes


@dataclass(frozen=True)
class Summary:
    """One block's clean rows."""

    rows: int
    columns: Mapping[str, ColumnSummary]
    sample: pl.DataFrame


@dataclass
class _Column:
    field: Field
    missing: int = 0
    minimum: Any = None
    maximum: Any = None
    count: int = 0
    spread: Spread = dataclasses.field(default_factory=Spread)
    inexact: int = 0
    counts: dict[Any, int] | None = dataclasses.field(default_factory=dict)
    hashes: Hashes = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint64))


class Statistics:
    """The statistics of one file.

    Parameters
    ----------
    fields
        The contract's.
    stride
        One row in so many goes into the sample.
    many
        Names of columns that are known to have many values: theirs are not counted.
    """

    def __init__(self, fields: Sequence[Field], stride: int, many: Collection[str] = ()) -> None:
        self.rows = 0
        self._stride = stride
        self._columns = {column.name: _Column(column) for column in fields}
        for name in many:
            self._columns[name].counts = None
        self._schema = pl.Schema({column.name: dtype(column) for column in fields})
        self._samples: list[pl.DataFrame] = []

    def summarise(self, rows: pl.DataFrame, coded: Mapping[str, Coded]) -> Summary:
        """Summarise a block's clean rows, given those columns with few values once more; any thread may."""
        counts = {}
        for name, column in self._columns.items():
            if name in coded:
                counts[name] = coded[name].counts()
            elif column.counts is not None:
                counts[name] = _counted(rows[name])
        few = {name: found for name, found in counts.items() if len(found) <= FEW or name in coded}
        asked = {
            (name, what): ask
            for name, column in self._columns.items()
            if name not in coded
            for what, ask in _asks(column, counted=name in few).items()
        }
        numbered = [ask.alias(f"{number}") for number, ask in enumerate(asked.values())]
        found = rows.lazy().select(numbered).collect(engine="in-memory") if numbered else ()
        answers = dict(zip(asked, found, strict=True))
        columns = {name: _summary(column.field, rows, answers, few.get(name)) for name, column in self._columns.items()}
        sample = self._sampled(rows)
        return Summary(rows.height, columns, sample)

    def _sampled(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Every n-th row, with texts that are not packed and do not keep the block's own text from being forgotten."""
        sample = rows[np.arange(0, rows.height, self._stride)]
        texts = {name: sample[name].to_list() for name, kind in self._schema.items() if kind == pl.String}
        return sample.with_columns(pl.Series(name, found, pl.String) for name, found in texts.items())

    def add(self, summary: Summary) -> None:
        """Merge the next block; one thread does, in the blocks' order."""
        self.rows += summary.rows
        self._samples.append(summary.sample)
        for name, part in summary.columns.items():
            _merge(self._columns[name], part, summary.rows)

    def categories(self, features: Sequence[str]) -> dict[str, list[str]]:
        """The vocabulary of each string feature that has at most `FEW` values: the contract's order, or the alphabet's."""
        found = {}
        for name in features:
            column = self._columns[name]
            if column.field.type is not FieldType.STRING:
                continue
            if column.field.constraints.enum is not None:
                found[name] = [str(value) for value in column.field.constraints.enum]
            elif column.counts is not None:
                found[name] = sorted(column.counts)
        return found

    def report(self) -> dict[str, dict[str, Any]]:
        """What the quality report says of each column."""
        sample = pl.concat(self._samples) if self._samples else None
        return {name: self._describe(column, sample) for name, column in self._columns.items()}

    def _describe(self, column: _Column, sample: pl.DataFrame | None) -> dict[str, Any]:
        kind = column.field.type
        described: dict[str, Any] = {"type": str(kind), "missing": column.missing, "distinct": _distinct(column)}
        if column.counts is None:
            described["distinct_is_estimated"] = True
        if not column.count:
            return described
        described |= {"min": plain(column.minimum), "max": plain(column.maximum)}
        if kind in _WITH_MEAN:
            described |= {"mean": column.spread.mean, "standard_deviation": column.spread.deviation}
        if column.inexact:
            described["inexact_integers"] = column.inexact
        cells = None if sample is None else sample[column.field.name].drop_nulls().sort()
        if kind in _WITH_QUANTILES and cells is not None and len(cells):
            described["quantiles"] = {str(share): plain(cells[_nearest(share, len(cells))]) for share in _QUANTILES}
            if self._stride > 1:
                described["quantiles_are_estimated"] = True
        described |= self._top(column, cells)
        return described

    def _top(self, column: _Column, cells: pl.Series | None) -> dict[str, Any]:
        if column.counts is not None:
            ranked = heapq.nsmallest(_TOP, column.counts.items(), key=lambda item: (-item[1], item[0]))
        elif cells is not None:
            counted = cells.value_counts(sort=False, name=_COUNT)
            ranked = counted.top_k(_TOP, by=[_COUNT, cells.name], reverse=[False, True]).rows()
        else:
            return {}
        scale = 1 if column.counts is not None else self._stride
        top = [{"value": plain(value), "count": count * scale} for value, count in ranked]
        return {"top": top, "top_is_estimated": True} if scale > 1 else {"top": top}


def _counted(cells: pl.Series) -> dict[Any, int]:
    """How often each value occurs; the missing one too."""
    if cells.dtype.is_integer():
        low, high = cells.min(), cells.max()
        if isinstance(low, int) and isinstance(high, int) and high - low < _NARROW:
            found = np.bincount(cells.drop_nulls().to_numpy() - low)
            values = np.flatnonzero(found)
            counted = dict(zip((values + low).tolist(), found[values].tolist(), strict=True))
            return counted | ({None: cells.null_count()} if cells.null_count() else {})
    kinds, counts = cells.value_counts(sort=False, name=_COUNT)
    return dict(zip(kinds.to_list(), counts.to_list(), strict=True))


def _asks(column: _Column, *, counted: bool) -> dict[str, pl.Expr]:
    """What there is to ask of the cells of one column."""
    cells = pl.col(column.field.name)
    asks: dict[str, pl.Expr] = {}
    if column.field.type in _WITH_MEAN:
        asks |= {"mean": cells.mean(), "variance": cells.var(ddof=0)}
    if not counted:
        hashes = cells.drop_nulls().hash()
        kept = column.hashes
        if len(kept) == _SMALLEST:
            hashes = hashes.filter(hashes < pl.lit(kept[-1], pl.UInt64))
        asks |= {
            "missing": cells.null_count(),
            "minimum": cells.min(),
            "maximum": cells.max(),
            "hashes": hashes.implode(),
        }
    return asks


def _summary(
    field: Field, rows: pl.DataFrame, answers: Mapping[tuple[str, str], pl.Series], counts: dict[Any, int] | None
) -> ColumnSummary:
    """Put together what is known of one column."""
    name = field.name
    missing = counts.pop(None, 0) if counts is not None else answers[name, "missing"].item()
    if counts is not None:
        minimum, maximum = min(counts, default=None), max(counts, default=None)
        hashes = np.zeros(0, np.uint64)
    else:
        minimum, maximum = answers[name, "minimum"].item(), answers[name, "maximum"].item()
        hashes = _smallest(answers[name, "hashes"].item().to_numpy())
    spread, inexact = Spread(), 0
    if minimum is not None and (name, "mean") in answers:
        spread = measure(rows[name], answers[name, "mean"].item(), answers[name, "variance"].item())
    if field.type is FieldType.NUMBER and minimum is not None and max(-minimum, maximum) >= INEXACT:
        inexact = int((rows[name].abs() >= INEXACT).sum())
    return ColumnSummary(missing, minimum, maximum, spread, inexact, counts, hashes)


def _merge(column: _Column, part: ColumnSummary, rows: int) -> None:
    column.missing += part.missing
    column.spread = column.spread.merge(part.spread)
    column.inexact += part.inexact
    count = rows - part.missing
    if count:
        column.minimum = part.minimum if column.minimum is None else min(column.minimum, part.minimum)
        column.maximum = part.maximum if column.maximum is None else max(column.maximum, part.maximum)
        column.count += count
    if column.counts is not None and part.counts is not None:
        for value, occurrences in part.counts.items():
            column.counts[value] = column.counts.get(value, 0) + occurrences
    if column.counts is not None and (part.counts is None or len(column.counts) > FEW):
        column.hashes = _hashes(column)
        column.counts = None
    if column.counts is None:
        more = part.hashes if part.counts is None else _hash_values(column, list(part.counts))
        column.hashes = _smallest(np.concatenate([column.hashes, more]))


def _nearest(share: float, count: int) -> int:
    """The place of a quantile among sorted values: polars' own quantile fails at the end of the calendar."""
    return math.floor((count - 1) * share + 0.5)


def _hashes(column: _Column) -> Hashes:
    return _smallest(_hash_values(column, list(column.counts or ())))


def _hash_values(column: _Column, values: list[Any]) -> Hashes:
    return pl.Series(column.field.name, values, dtype=dtype(column.field)).hash().to_numpy()


def _smallest(hashes: Hashes) -> Hashes:
    """The smallest different hashes, in order."""
    ordered = np.sort(hashes)
    different = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=different[1:])
    return ordered[different][:_SMALLEST]


def _distinct(column: _Column) -> int:
    if column.counts is not None:
        return len(column.counts)
    if len(column.hashes) < _SMALLEST:
        return len(column.hashes)
    return round((_SMALLEST - 1) / (float(column.hashes[-1]) / 2**64))


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    return value if value is None or isinstance(value, str | int | float) else value.isoformat()
