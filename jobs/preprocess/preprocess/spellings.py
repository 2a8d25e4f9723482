"""Columns of few different spellings, each of which the law judges once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from preprocess.exact import Judge, number_texts
from preprocess.native import NUMBERS, UNKNOWN, SpellingTable, count_numbers, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from preprocess.cutting import Positions
    from preprocess.texts import Texts

    Numbers = npt.NDArray[Any]  # of bytes, or of words of 32 bits

FEW = 250
SELDOM = 0.01  # a share of the cells that the law can take in its stride


class Coded(NamedTuple):
    """A column that holds few different values.

    Attributes
    ----------
    numbers
        Each cell's value, by its number: in a byte where there are at most `NUMBERS` values.
    values
        The values, each of them once; None is the missing one.
    dtype
        Their type.
    """

    numbers: Numbers
    values: list[Any]
    dtype: pl.DataType

    def series(self) -> pl.Series:
        """The column as any other."""
        return self.packed().cast(self.dtype)

    def packed(self, counts: Mapping[Any, int] | None = None) -> pl.Series:
        """The same, but texts as an `Enum` of those that occur, in the alphabet's order; `counts` are its own, if they are at hand."""
        counts = self.counts() if counts is None else counts
        values = [value if value in counts else None for value in self.values]
        kind: pl.DataType = self.dtype
        if kind == pl.String:
            kind = pl.Enum(sorted(value for value in values if value is not None))
        if None not in counts and kind == pl.Boolean:
            return pl.Series(_look_up(self.numbers, np.array(values, bool)).view(bool))
        kinds = pl.Series(values, dtype=kind)
        if None not in counts and isinstance(kind, pl.Enum):
            return pl.Series(_look_up(self.numbers, kinds.to_physical().fill_null(0).to_numpy())).cat.to(kind)
        return kinds[pl.Series(self.numbers)]

    def keep(self, kept: pl.Series) -> Coded:
        """Some of the cells: those where there is a True."""
        return self._replace(numbers=pl.Series(self.numbers).filter(kept).to_numpy())

    def put(self, cells: Positions, which: npt.NDArray[Any], found: Sequence[Any]) -> Coded:
        """The column with other values in some cells: which of those found."""
        places = {value: number for number, value in enumerate(self.values)}
        for value in found:
            places.setdefault(value, len(places))
        numbers = self.numbers.astype(_number_type(len(places)))
        numbers[cells] = np.array([places[value] for value in found], np.uint32).take(which)
        return self._replace(numbers=numbers, values=list(places))

    def counts(self) -> dict[Any, int]:
        """How often each value occurs that does; the missing one too."""
        if self.numbers.dtype == np.uint8:
            counted = count_numbers(self.numbers)
        else:
            counted = np.bincount(self.numbers, minlength=len(self.values)).tolist()
        return {value: count for value, count in zip(self.values, counted, strict=False) if count}


def _number_type(values: int) -> type[np.uint8 | np.uint32]:
    return np.uint8 if values <= NUMBERS else np.uint32


def _look_up(numbers: Numbers, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The table's entry of each number."""
    if numbers.dtype != np.uint8 or table.dtype.itemsize > 1:
        return table.take(numbers)
    return translate(numbers, _widen(table.view(np.uint8)), np.zeros(NUMBERS, bool))[0].view(table.dtype)


def _widen(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A table with an entry for each number that a byte may be."""
    wide = np.zeros(NUMBERS, table.dtype)
    wide[: len(table)] = table
    return wide


class Spelled(NamedTuple):
    """A column's values, and the cells whose spelling breaks a rule or is not known: their values mean nothing."""

    values: Coded
    doubtful: Positions


class Spellings:
    """Reads the columns of one field; several threads may.

    Spellings that are known are found in a table, and what is not known is learned. Where there are too many for that, polars numbers
    the spellings of each block.

    Parameters
    ----------
    judge
        The law.
    dtype
        The type of its values.
    sample
        Raw cells from the beginning of the file.
    """

    def __init__(self, judge: Judge, dtype: pl.DataType, sample: pl.Series) -> None:
        self._judge = judge
        self._dtype = dtype
        self._known: _Known | None = None
        self._learn([], sample)

    def read(self, cells: Texts) -> Spelled:
        """Read a column of raw cells."""
        known = self._known
        while known is not None:
            numbers, unknown = known.table.find(cells)
            if unknown <= SELDOM * len(cells):
                return known.verdicts.of(numbers)
            known = self._learn(known.spellings, cells.take(numbers == UNKNOWN).series(""))
        spellings, which = number_texts(cells.series(""))
        return _Verdicts(self._judge, spellings, self._dtype).of(which)

    def _learn(self, known: list[str], cells: pl.Series) -> _Known | None:
        """A table of what is known and of the commonest spellings of more cells; None when that is no more than before."""
        common = cells.value_counts(sort=True)[cells.name].to_list()
        spellings = list(dict.fromkeys([*known, *common]))[:FEW]
        self._known = None
        if len(spellings) > len(known):
            verdicts = _Verdicts(self._judge, spellings, self._dtype)
            self._known = _Known(spellings, SpellingTable(spellings), verdicts)
        return self._known


class _Known(NamedTuple):
    """Spellings that are known."""

    spellings: list[str]
    table: SpellingTable
    verdicts: _Verdicts


class _Verdicts:
    """What the law says of some spellings, to be looked up by their numbers."""

    def __init__(self, judge: Judge, spellings: list[str], dtype: pl.DataType) -> None:
        verdicts = judge.judge(spellings)
        places = {value: number for number, value in enumerate(dict.fromkeys(verdict.value for verdict in verdicts))}
        self._values = list(places)
        # As long as any number of a spelling needs; what is not known is doubtful, and its value means nothing.
        size = max(len(verdicts), NUMBERS)
        self._numbers: npt.NDArray[Any] = np.zeros(size, _number_type(len(places)))
        self._numbers[: len(verdicts)] = [places[verdict.value] for verdict in verdicts]
        self._broken = np.ones(size, bool)
        self._broken[: len(verdicts)] = [bool(verdict.broken) for verdict in verdicts]
        self._dtype = dtype

    def of(self, numbers: npt.NDArray[Any]) -> Spelled:
        """The column whose cells have the spellings of these numbers."""
        if numbers.dtype == np.uint8 and self._numbers.dtype == np.uint8:
            values, doubtful = translate(numbers, self._numbers, self._broken)
            return Spelled(Coded(values, self._values, self._dtype), doubtful)
        doubtful = np.flatnonzero(self._broken.take(numbers))
        return Spelled(Coded(self._numbers.take(numbers), self._values, self._dtype), doubtful)
