"""Judging one block: every record becomes a clean row or a rejected one.

Regular records are split and read column by column; the cells that the readers are not certain of, and the records that only the
grammar can split (escapes), go to the law (`exact`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from preprocess import native
from preprocess.arrow import BINARY
from preprocess.columns import choose_reader, dtype
from preprocess.cutting import Block, cut_records
from preprocess.decoding import original
from preprocess.exact import Judge, collect, number_texts
from preprocess.records import COMMENT, ODD, REGULAR, Records, Shape, find_records, mark_malformed
from preprocess.rejected import Blame, RejectedRows, reject
from preprocess.spellings import Coded
from preprocess.texts import Texts, texts_of
from preprocess.uniqueness import RECORD, key_columns, rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from preprocess.columns import Reading
    from preprocess.cutting import Positions
    from preprocess.grammar import Grammar
    from preprocess.header import Header
    from preprocess.uniqueness import Rule
    from spotline.contracts import Contract

    Cells = dict[str, Texts]
    Column = pl.Series | Coded


@dataclass(frozen=True)
class Outcome:
    """What became of a block.

    `records` = `clean` + those rejected; comments are no records. `size` is in bytes of the file's own encoding.
    """

    number: int
    records: int
    comments: int
    lines: int
    size: int
    clean: int
    rejected: RejectedRows


class Judged(NamedTuple):
    """What a block has come to.

    Attributes
    ----------
    outcome
        What became of its records.
    rows
        The clean rows, in order; columns of few texts are packed (see `spellings.Coded`).
    coded
        The columns that have few values, once more.
    keys
        For each rule of uniqueness, the block's keys (see `uniqueness.Keys.add`).
    """

    outcome: Outcome
    rows: pl.DataFrame
    coded: dict[str, Coded]
    keys: list[pl.DataFrame]


class BlockReader:
    """Reads blocks of one file; several threads may use one reader.

    Parameters
    ----------
    contract, header, grammar
        What the file is.
    encoding
        The file's own, for raw bytes and offsets.
    sample
        Text from the beginning of the data, to learn from how to read quickly.
    """

    def __init__(self, contract: Contract, header: Header, grammar: Grammar, encoding: str, sample: bytes) -> None:
        self._grammar = grammar
        self._encoding = encoding
        dialect = contract.dialect
        self._shape = Shape(len(header.columns), dialect.trailing_delimiter, dialect.skip_blank_rows)
        self._names = [name if name is not None else f"\0{index}" for index, name in enumerate(header.columns)]
        self._rules = rules(contract)
        self._judges = {field.name: Judge(field) for field in contract.fields}
        self._schema = pl.Schema({field.name: dtype(field) for field in contract.fields})
        self._suspicious = False  # the block before held malformed records
        self._sample = self._sampled(sample)
        self._readers = [choose_reader(judge.field, judge, self._sample[name]) for name, judge in self._judges.items()]

    def many(self, limit: int) -> list[str]:
        """The fields that have more than so many spellings in the first rows already."""
        return [name for name, cells in self._sample.items() if cells.n_unique() > limit]

    def read(self, block: Block, duplicates: Sequence[tuple[int, Rule]] | None = None) -> Judged:
        """Judge a block.

        `duplicates` are the records, by their number in it, that repeat a key; None while that is not known, and the keys are wanted.
        """
        blame = Blame()
        records, cells = self._split(block, blame)
        readings = {reader.field.name: reader.read(cells[reader.field.name]) for reader in self._readers}
        columns = self._judge_doubtful(records, cells, readings, blame)
        del cells, readings  # as much memory as the rest takes
        return self._settle(block, records, columns, blame, duplicates)

    def _split(self, block: Block, blame: Blame) -> tuple[Records, Cells]:
        """Find a block's records, and split the regular ones into raw cells.

        Records are looked at one by one only when there is a sign of malformed ones, or there were some in the block before.
        """
        records = find_records(block, self._grammar, blame)
        cells = None
        # Where there is one column, a blank row looks like an empty cell.
        if self._shape.cells > 1 and not self._suspicious and not (records.states == ODD).any():
            cells = self._cells(records)
        if cells is None:
            self._suspicious = mark_malformed(records, self._grammar, self._shape, blame)
            cells = self._cells(records)
        if cells is None:
            raise AssertionError("records that are not malformed cannot be split")
        return records, cells

    def _cells(self, records: Records) -> Cells | None:
        """The cells of the contract's columns of regular records, or None when one of them turns out to be malformed."""
        regular = np.flatnonzero(records.states == REGULAR)
        wanted = [name in self._schema for name in self._names] + [True] * self._shape.trailing
        columns = native.split(records.join(regular), len(regular), wanted, self._grammar)
        if columns is None:
            return None
        if self._shape.trailing:
            behind = columns.pop()
            if behind is not None and not behind.are_empty():
                return None
        return {name: column for name, column in zip(self._names, columns, strict=True) if column is not None}

    def _settle(
        self,
        block: Block,
        records: Records,
        columns: dict[str, Column],
        blame: Blame,
        duplicates: Sequence[tuple[int, Rule]] | None,
    ) -> Judged:
        """Put the columns of the regular records, the odd ones and the rejects together."""
        at = np.flatnonzero(records.states == REGULAR)
        odd = np.flatnonzero(records.states == ODD)
        if len(odd):
            order = np.argsort(np.concatenate([at, odd]))
            at = np.concatenate([at, odd])[order]
            columns = self._join(columns, self._judge_odd(records, odd, blame), order)
        numbers = np.cumsum(records.states != COMMENT) - 1
        keys = []
        if duplicates is not None:
            self._reject_duplicates(records, duplicates, blame)
        else:
            keys = [self._keys(rule, columns, numbers[at]) for rule in self._rules]
        keep = np.ones(len(records.ends), bool)
        blamed = blame.records()
        keep[blamed] = False
        rows, coded = self._rows(columns, keep.take(at))
        comments = int(np.count_nonzero(records.states == COMMENT))
        size = len(block.text) if self._encoding == "utf-8" else len(original(block.text, self._encoding))
        count = len(records.ends) - comments
        rejected = self._rejected(block, records, numbers, blame, blamed)
        outcome = Outcome(block.number, count, comments, records.lines, size, rows.height, rejected)
        return Judged(outcome, rows, coded, keys)

    def _judge_doubtful(
        self, records: Records, cells: Cells, readings: dict[str, Reading], blame: Blame
    ) -> dict[str, Column]:
        """The values of regular records; the law judges the doubtful cells."""
        regular = np.flatnonzero(records.states == REGULAR)
        columns: dict[str, Column] = {}
        for name, (values, doubtful) in readings.items():
            if not len(doubtful):
                columns[name] = values
                continue
            texts = cells[name].take(doubtful)
            spellings, numbers = number_texts(texts.series(name))
            verdicts = self._judges[name].judge(spellings)
            collect(blame, regular[doubtful], name, texts, numbers, verdicts)
            found = [verdict.value for verdict in verdicts]
            if isinstance(values, Coded):
                columns[name] = values.put(doubtful, numbers, found)
            elif any(value is not None for value in found):
                columns[name] = values.scatter(doubtful, pl.Series(name, found, self._schema[name]).gather(numbers))
            else:
                columns[name] = values
        return columns

    def _judge_odd(self, records: Records, odd: Positions, blame: Blame) -> dict[str, pl.Series]:
        """The values of records that only the grammar can split; the law judges each cell."""
        rows = [self._grammar.split_written(records.record(row))[: self._shape.width] for row in odd.tolist()]
        columns = {}
        for name, cells in zip(self._names, zip(*rows, strict=True), strict=True):
            if name not in self._schema:
                continue
            texts = [(text.decode(), written.decode()) for text, written in cells]
            verdicts = self._judges[name].judge_written(texts)
            collect(blame, odd, name, texts_of(text for text, _ in texts), np.arange(len(texts)), verdicts)
            columns[name] = pl.Series(name, [verdict.value for verdict in verdicts], dtype=self._schema[name])
        return columns

    def _join(self, columns: dict[str, Column], more: dict[str, pl.Series], order: Positions) -> dict[str, Column]:
        """Columns with more values behind theirs, in another order."""
        return {
            name: pl.concat([_series(name, column), more[name]], rechunk=True).gather(order)
            for name, column in columns.items()
        }

    def _rows(self, columns: dict[str, Column], keep: npt.NDArray[np.bool_]) -> tuple[pl.DataFrame, dict[str, Coded]]:
        """The rows to keep, and the columns among them that have few values."""
        mask = pl.Series(keep)
        coded = {name: column.keep(mask) for name, column in columns.items() if isinstance(column, Coded)}
        rows = [
            coded[name].packed().alias(name) if isinstance(column, Coded) else column.filter(mask).alias(name)
            for name, column in columns.items()
        ]
        return pl.DataFrame(rows), coded

    def _keys(self, rule: Rule, columns: dict[str, Column], numbers: Positions) -> pl.DataFrame:
        """The keys of a block's records, wherever the columns of the key could be read."""
        rows = pl.DataFrame([_series(name, columns[name]) for name in rule.fields])
        return rows.select(key_columns(rule)).with_columns(pl.Series(RECORD, numbers, dtype=pl.UInt32)).drop_nulls()

    def _reject_duplicates(self, records: Records, duplicates: Sequence[tuple[int, Rule]], blame: Blame) -> None:
        indices = np.flatnonzero(records.states != COMMENT)
        place = {name: index for index, name in enumerate(self._names)}
        for rule in self._rules:
            numbers = [number for number, broken in duplicates if broken == rule]
            found = indices[numbers]
            records_cells = (self._grammar.split(records.record(index)) for index in found.tolist())
            values = [", ".join(cells[place[name]].decode() for name in rule.fields) for cells in records_cells]
            blame.add(found, rule.code, rule.name, pl.Series(values, dtype=pl.String))

    def _rejected(
        self, block: Block, records: Records, numbers: Positions, blame: Blame, rows: Positions
    ) -> RejectedRows:
        starts, ends = records.starts[rows], records.ends[rows]
        lines = records.lines_before(starts)
        if self._encoding == "utf-8":
            raws = native.gather(block.text, starts, ends).series("raw", kind=BINARY)
            return reject(blame, rows, numbers[rows], lines, starts, raws)
        spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
        pieces = [original(block.text[start:end], self._encoding) for start, end in spans]
        gaps = (block.text[begin:end] for begin, end in zip([0, *starts.tolist()], starts.tolist(), strict=False))
        offsets = np.cumsum([len(original(gap, self._encoding)) for gap in gaps], dtype=np.int64)
        return reject(blame, rows, numbers[rows], lines, offsets, pl.Series(pieces, dtype=pl.Binary))

    def _sampled(self, text: bytes) -> dict[str, pl.Series]:
        """The regular records at the beginning of the data, as raw cells."""
        marks = cut_records(text, False, self._grammar)
        _, cells = self._split(Block(0, 0, text[: marks.end], marks), Blame())
        return {name: cells[name].series(name) for name in self._schema}


def _series(name: str, column: Column) -> pl.Series:
    return (column.series() if isinstance(column, Coded) else column).alias(name)
