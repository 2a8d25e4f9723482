"""Judging one block: every record becomes a clean row or a rejected one.

Regular records go through polars at once; the cells that its expressions are not certain of, and the records that the CSV parser
does not understand (escapes), go to the law (`exact`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from preprocess.columns import Reading, choose_reader, dtype
from preprocess.cutting import Block, cut_records
from preprocess.decoding import original
from preprocess.exact import Judge
from preprocess.records import COMMENT, ODD, REGULAR, Records, find_records
from preprocess.rejected import Reason, RejectedRows
from preprocess.uniqueness import RECORD, key_columns, rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from preprocess.cutting import Positions
    from preprocess.grammar import Grammar
    from preprocess.header import Header
    from preprocess.uniqueness import Rule
    from spotline.contracts import Contract
    from spotline.contracts.cells import Judgement


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
    """A block's outcome, its clean rows in order, and for each rule of uniqueness its keys (see `uniqueness.Keys.add`)."""

    outcome: Outcome
    rows: pl.DataFrame
    keys: list[pl.DataFrame]


class _Quick(NamedTuple):
    """What the quick readers make of a block: which records are regular, and each column of them."""

    regular: Positions
    columns: dict[str, Reading]


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
        self._width = len(header.columns)
        self._names = [name if name is not None else f"\0{index}" for index, name in enumerate(header.columns)]
        self._rules = rules(contract)
        self._judges = {field.name: Judge(field) for field in contract.fields}
        self._schema = pl.Schema({field.name: dtype(field) for field in contract.fields})
        self._sample = self._sampled(sample)
        self._readers = [choose_reader(judge.field, judge, self._sample[name]) for name, judge in self._judges.items()]

    def many(self, limit: int) -> list[str]:
        """The fields that have more than so many spellings in the first rows already."""
        return [cells.name for cells in self._sample if cells.n_unique() > limit]

    def read(self, block: Block, duplicates: Sequence[tuple[int, Rule]] | None = None) -> Judged:
        """Judge a block.

        `duplicates` are the records, by their number in it, that repeat a key; None while that is not known, and the keys are wanted.
        """
        records = find_records(block, self._grammar, self._width)
        quick = self._read_quickly(records)
        if quick is None:
            records = find_records(block, self._grammar, self._width, thorough=True)
            quick = self._read_quickly(records)
        if quick is None:
            records.states[records.states == REGULAR] = ODD
            quick = self._read_quickly(records)
        if quick is None:
            raise AssertionError("no record is regular, and polars does not read them")
        return self._settle(block, records, quick, duplicates)

    def _read_quickly(self, records: Records) -> _Quick | None:
        """What the quick readers make of the regular records; None when polars balks."""
        regular = np.flatnonzero(records.states == REGULAR)
        if not len(regular):
            nothing = pl.Series(dtype=pl.Boolean)
            return _Quick(
                regular, {name: Reading(pl.Series(dtype=kind), nothing) for name, kind in self._schema.items()}
            )
        types = {reader.field.name: reader.read_as() for reader in self._readers}
        frame = self._parse(records.join(regular), len(regular), types)
        if frame is None:
            return None
        readings = {name: reader.read(frame[name]) for name, reader in zip(self._schema, self._readers, strict=True)}
        return _Quick(regular, readings)

    def _parse(self, text: bytes, height: int, types: dict[str, pl.DataType]) -> pl.DataFrame | None:
        """Regular records through polars' CSV parser, as text but for some `types`.

        None when it does not find the records that are there. All columns are parsed, those besides the contract's too: asked for some
        of them, the parser passes over a record that has too many.
        """
        schema = {name: types.get(name, pl.String()) for name in self._names}
        try:
            frame = pl.read_csv(
                text,
                schema=schema,
                has_header=False,
                separator=self._grammar.delimiter.decode(),
                quote_char=self._grammar.quote.decode() if self._grammar.quote else None,
                empty_string_is_null=False,
                ignore_errors=True,
                extra_columns="raise",
            )
        except pl.exceptions.PolarsError:
            return None
        return frame if frame.height == height else None

    def _settle(
        self,
        block: Block,
        records: Records,
        quick: _Quick,
        duplicates: Sequence[tuple[int, Rule]] | None,
    ) -> Judged:
        """Put the quick values, the law's and the rejects together."""
        rejected = _Rejects()
        at, rows = quick.regular, self._judge_doubtful(records, quick, rejected)
        odd = np.flatnonzero(records.states == ODD)
        if len(odd):
            order = np.argsort(np.concatenate([at, odd]))
            at = np.concatenate([at, odd])[order]
            rows = pl.concat([rows, self._judge_odd(records, odd, rejected)], rechunk=True)[order]
        numbers = np.cumsum(records.states != COMMENT) - 1
        keys = []
        if duplicates is not None:
            self._reject_duplicates(records, duplicates, rejected)
        else:
            keys = [self._keys(rule, rows, numbers[at]) for rule in self._rules]
        if rejected.reasons:
            keep = np.ones(len(records.ends), bool)
            keep[list(rejected.reasons)] = False
            rows = rows.filter(keep[at])
        rejected.reasons.update(records.reasons)
        comments = int(np.count_nonzero(records.states == COMMENT))
        size = len(block.text) if self._encoding == "utf-8" else len(original(block.text, self._encoding))
        count = len(records.ends) - comments
        listed = self._rejected(block, records, numbers, rejected)
        return Judged(Outcome(block.number, count, comments, records.lines, size, rows.height, listed), rows, keys)

    def _judge_doubtful(self, records: Records, quick: _Quick, rejected: _Rejects) -> pl.DataFrame:
        """The values of regular records; the law judges the doubtful cells."""
        doubtful = {name: np.flatnonzero(~column.certain.to_numpy()) for name, column in quick.columns.items()}
        marked = np.zeros(len(quick.regular), bool)
        for cells in doubtful.values():
            marked[cells] = True
        some = np.flatnonzero(marked)
        texts = self._parse(records.join(quick.regular[some]), len(some), {}) if len(some) else None
        if texts is None:
            texts = self._strings([self._grammar.split(records.record(row)) for row in quick.regular[some].tolist()])
        for name, cells in doubtful.items():
            if len(cells):
                column = texts[name].gather(np.searchsorted(some, cells)).to_list()
                verdicts = self._judges[name].judge(column)
                rejected.collect(quick.regular[cells].tolist(), name, column, verdicts)
                found = pl.Series(name, [verdict.value for verdict in verdicts], dtype=self._schema[name])
                quick.columns[name].values.scatter(cells, found)
        return pl.DataFrame([column.values.alias(name) for name, column in quick.columns.items()])

    def _judge_odd(self, records: Records, odd: Positions, rejected: _Rejects) -> pl.DataFrame:
        """The values of records that only the grammar can split; the law judges each cell."""
        texts = self._strings([self._grammar.split(records.record(row)) for row in odd.tolist()])
        columns = []
        for name in self._schema.names():
            column = texts[name].to_list()
            verdicts = self._judges[name].judge(column)
            rejected.collect(odd.tolist(), name, column, verdicts)
            columns.append(pl.Series(name, [verdict.value for verdict in verdicts], dtype=self._schema[name]))
        return pl.DataFrame(columns)

    def _keys(self, rule: Rule, rows: pl.DataFrame, numbers: Positions) -> pl.DataFrame:
        """The keys of a block's records, wherever the columns of the key could be read."""
        return rows.select(key_columns(rule)).with_columns(pl.Series(RECORD, numbers, dtype=pl.UInt32)).drop_nulls()

    def _reject_duplicates(self, records: Records, duplicates: Sequence[tuple[int, Rule]], rejected: _Rejects) -> None:
        indices = np.flatnonzero(records.states != COMMENT)
        place = {name: index for index, name in enumerate(self._names)}
        for number, rule in duplicates:
            index = int(indices[number])
            cells = self._grammar.split(records.record(index))
            value = ", ".join(cells[place[name]].decode() for name in rule.fields)
            rejected.reasons.setdefault(index, []).append(Reason(rule.code, rule.name, value))

    def _rejected(self, block: Block, records: Records, numbers: Positions, rejected: _Rejects) -> RejectedRows:
        rows = np.array(sorted(rejected.reasons), np.int64)
        starts, ends = records.starts[rows].tolist(), records.ends[rows].tolist()
        raws = [original(block.text[start:end], self._encoding) for start, end in zip(starts, ends, strict=True)]
        offsets = records.starts[rows]
        if self._encoding != "utf-8":
            gaps = (block.text[begin:end] for begin, end in zip([0, *starts], starts, strict=False))
            offsets = np.cumsum([len(original(gap, self._encoding)) for gap in gaps], dtype=np.int64)
        lines = records.lines_before(records.starts[rows])
        return RejectedRows(numbers[rows], lines, offsets, raws, [rejected.reasons[row] for row in rows.tolist()])

    def _sampled(self, text: bytes) -> pl.DataFrame:
        """The regular records at the beginning of the data, as raw cells."""
        end, cuts, quotes, escaped = cut_records(text, False, self._grammar)
        block = Block(0, 0, text[:end], tuple(cuts), quotes, escaped)
        for thorough in (False, True):
            records = find_records(block, self._grammar, self._width, thorough=thorough)
            regular = np.flatnonzero(records.states == REGULAR)
            frame = self._parse(records.join(regular), len(regular), {}) if len(regular) else None
            if frame is not None:
                return frame.select(self._schema.names())
        return self._strings([])

    def _strings(self, rows: Sequence[Sequence[bytes]]) -> pl.DataFrame:
        """Raw cells as text, the contract's columns only."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * self._width
        return pl.DataFrame(
            [
                pl.Series(name, [cell.decode(errors="replace") for cell in cells], dtype=pl.String)
                for name, cells in zip(self._names, columns, strict=True)
                if name in self._schema
            ]
        ).select(self._schema.names())


class _Rejects:
    """The reasons against the records of a block, by the record's index."""

    def __init__(self) -> None:
        self.reasons: dict[int, list[Reason]] = {}

    def collect(self, rows: list[int], name: str, cells: list[str], verdicts: list[Judgement]) -> None:
        """Note what the law says against cells of one field."""
        for row, cell, verdict in zip(rows, cells, verdicts, strict=True):
            if verdict.broken:
                self.reasons.setdefault(row, []).extend([Reason(code, name, cell) for code in verdict.broken])
