"""Columns of few different spellings, each of which the law judges once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from preprocess.texts import SHORT, texts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from preprocess.cutting import Positions
    from preprocess.exact import Judge
    from preprocess.texts import Texts, Words

FEW = 250
SELDOM = 0.01  # a share of the cells that the law can take in its stride

_TABLE_BITS = 14
_HASHES = 64  # to try; one that tells all of `FEW` spellings apart is found in a few tries


class Coded(NamedTuple):
    """A column that holds few different values.

    Attributes
    ----------
    numbers
        Each cell's value, by its number.
    values
        The values, each of them once; None is the missing one.
    dtype
        Their type.
    """

    numbers: npt.NDArray[np.uint32]
    values: list[Any]
    dtype: pl.DataType

    def series(self) -> pl.Series:
        """The column as any other."""
        return self.packed().cast(self.dtype)

    def packed(self) -> pl.Series:
        """The same, but texts as an `Enum` of those that occur, in the alphabet's order."""
        counts = self.counts()
        values = [value if value in counts else None for value in self.values]
        kind: pl.DataType = self.dtype
        if kind == pl.String:
            kind = pl.Enum(sorted(value for value in values if value is not None))
        if None not in counts and kind == pl.Boolean:
            return pl.Series(np.array(values, bool).take(self.numbers))
        kinds = pl.Series(values, dtype=kind)
        if None not in counts and isinstance(kind, pl.Enum):
            return pl.Series(kinds.to_physical().fill_null(0).to_numpy().take(self.numbers)).cat.to(kind)
        return kinds[pl.Series(self.numbers)]

    def keep(self, kept: npt.NDArray[np.bool_]) -> Coded:
        """Some of the cells."""
        return self._replace(numbers=self.numbers.compress(kept))

    def put(self, cells: Positions, found: Sequence[Any]) -> Coded:
        """The column with other values in some cells."""
        places = {value: number for number, value in enumerate(self.values)}
        for value in found:
            places.setdefault(value, len(places))
        numbers = self.numbers.copy()
        numbers[cells] = [places[value] for value in found]
        return self._replace(numbers=numbers, values=list(places))

    def counts(self) -> dict[Any, int]:
        """How often each value occurs that does; the missing one too."""
        counted = np.bincount(self.numbers, minlength=len(self.values)).tolist()
        return {value: count for value, count in zip(self.values, counted, strict=True) if count}


class Spelled(NamedTuple):
    """A column's values, and the cells whose spelling breaks a rule or is not known: their values mean nothing."""

    values: Coded
    doubtful: Positions


class Spellings:
    """Reads the columns of one field; several threads may.

    Short spellings that are known are found in a table of hashes, and what is not known is learned. Where that does not help, because
    there are too many of them or they are long, polars numbers the spellings of each block.

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
        self._table: _Table | None = None
        self._learn([], sample)

    def read(self, cells: pl.Series) -> Spelled:
        """Read a column of raw cells."""
        table = self._table
        texts = texts_of(cells) if table is not None else None
        while table is not None and texts is not None:
            numbers, found = table.find(texts)
            missed = np.flatnonzero(~found)
            if len(missed) <= SELDOM * len(cells):
                return table.verdicts.of(numbers, found)
            table = self._learn(table.spellings, cells.gather(missed))
        numbered = cells.cast(pl.Categorical(pl.Categories.random()))  # those of a file might grow without end
        kinds: pl.Categorical = numbered.dtype  # type: ignore[assignment]
        verdicts = _Verdicts(self._judge, kinds.categories.to_series().to_list(), self._dtype)
        return verdicts.of(numbered.to_physical().to_numpy())

    def _learn(self, known: list[str], cells: pl.Series) -> _Table | None:
        """A table of what is known and of the commonest short spellings of more cells; None when that is no more than before."""
        common = cells.value_counts(sort=True)[cells.name].to_list()
        short = [text for text in dict.fromkeys([*known, *common]) if len(text.encode()) <= SHORT][:FEW]
        self._table = _Table(short, self._judge, self._dtype) if len(short) > len(known) else None
        return self._table


class _Verdicts:
    """What the law says of some spellings, to be looked up by their numbers."""

    def __init__(self, judge: Judge, spellings: list[str], dtype: pl.DataType) -> None:
        verdicts = judge.judge(spellings)
        places = {value: number for number, value in enumerate(dict.fromkeys(verdict.value for verdict in verdicts))}
        self._values = list(places)
        self._numbers = np.array([places[verdict.value] for verdict in verdicts], np.uint32)
        self._broken = np.array([bool(verdict.broken) for verdict in verdicts], bool)
        self._dtype = dtype

    def of(self, numbers: npt.NDArray[Any], found: npt.NDArray[np.bool_] | None = None) -> Spelled:
        """The column whose cells have the spellings of these numbers, as far as they are `found`."""
        doubt = self._broken.take(numbers)
        if found is not None:
            doubt |= ~found
        return Spelled(Coded(self._numbers.take(numbers), self._values, self._dtype), np.flatnonzero(doubt))


class _Table:
    """Short spellings by a hash of their bytes that tells them all apart."""

    def __init__(self, spellings: list[str], judge: Judge, dtype: pl.DataType) -> None:
        self.spellings = spellings
        self.verdicts = _Verdicts(judge, spellings, dtype)
        self._texts = texts_of(pl.Series(spellings, dtype=pl.String))
        multipliers = np.random.default_rng(0).integers(0, 2**64, (_HASHES, 2), np.uint64) | np.uint64(1)
        for self._multipliers in multipliers:
            places = self._places(self._texts)
            if len(np.unique(places)) == len(places):
                break
        self._numbers = np.zeros(1 << _TABLE_BITS, np.uint8)
        self._numbers[places] = np.arange(len(spellings), dtype=np.uint8)

    def find(self, texts: Texts) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """The number of each cell's spelling, and whether it is that one."""
        numbers = self._numbers.take(self._places(texts))
        found = self._texts.low.take(numbers) == texts.low
        found &= self._texts.high.take(numbers) == texts.high
        return numbers, found

    def _places(self, texts: Texts) -> npt.NDArray[np.int64]:
        mixed: Words = texts.low * self._multipliers[0]
        mixed ^= texts.high * self._multipliers[1]
        mixed *= self._multipliers[0]
        mixed >>= np.uint64(64 - _TABLE_BITS)
        return mixed.view(np.int64)
