"""Rejected rows: where each stood, its raw bytes, and one reason for each rule that it breaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from preprocess.cutting import Positions
# Reasons for a record as a whole, besides the grammar's own; its cells are not judged.
FIELD_COUNT = "fieldCount"
BLANK_ROW = "blankRow"
NUL = "nul"
ENCODING = "encoding"

EXAMPLES = 5  # of each broken rule, in the quality report

SCHEMA = pl.Schema(
    {
        "record": pl.Int64(),
        "line": pl.Int64(),
        "offset": pl.Int64(),
        "raw": pl.Binary(),
        "reasons": pl.List(pl.Struct({"code": pl.String(), "field": pl.String(), "value": pl.String()})),
    }
)


class Group(NamedTuple):
    """Records that broke one rule: a code, the field (None for the record as a whole), and the raw cells or what was found instead."""

    code: str
    field: str | None
    records: Positions
    values: pl.Series | None


class Blame:
    """The reasons against the records of a block, in the order in which they were found.

    `trailing` counts the records that have an empty cell too many at their end.
    """

    def __init__(self) -> None:
        self.trailing = 0
        self._groups: list[Group] = []

    def add(self, records: Positions, code: str, field: str | None = None, values: pl.Series | None = None) -> None:
        """Note a broken rule against records, by their index."""
        if len(records):
            self._groups.append(Group(code, field, records, values))

    def records(self) -> Positions:
        """The records that are blamed, in order."""
        if not self._groups:
            return np.zeros(0, np.int64)
        blamed = np.zeros(max(int(group.records.max()) for group in self._groups) + 1, bool)
        for group in self._groups:
            blamed[group.records] = True
        return np.flatnonzero(blamed)

    def groups(self) -> list[Group]:
        """All of it."""
        return self._groups


@dataclass(frozen=True)
class RejectedRows:
    """The rejected rows of one block, in order; all numbers count from the block's beginning.

    Attributes
    ----------
    rows
        As `SCHEMA` has them: whole records and lines before the row, and bytes in the file's own encoding.
    counts
        How often each rule was broken, by code and field.
    first
        For each, its first rows: the place among the rows, and the value.
    trailing
        How many rows have an empty cell too many at their end.
    """

    rows: pl.DataFrame
    counts: Counter[tuple[str, str | None]]
    first: dict[tuple[str, str | None], list[tuple[int, str | None]]]
    trailing: int

    def __len__(self) -> int:
        return self.rows.height

    def table(self, record: int, line: int, offset: int) -> pl.DataFrame:
        """The rows as they are kept, given the numbers of the block's own first record, line and byte."""
        return self.rows.with_columns(pl.col("record") + record, pl.col("line") + line, pl.col("offset") + offset)


def reject(
    blame: Blame, blamed: Positions, records: Positions, lines: Positions, offsets: Positions, raws: pl.Series
) -> RejectedRows:
    """Put the rejected rows of a block together.

    `blamed` are the indices of the blamed records, in order; the numbers and `raws` are theirs.
    """
    groups = blame.groups()
    rows = pl.DataFrame(
        {
            "record": records,
            "line": lines,
            "offset": offsets,
            "raw": raws,
            "reasons": _reasons(groups, blamed) if groups else pl.Series([], dtype=SCHEMA["reasons"]),
        },
        schema=SCHEMA,
    )
    counts: Counter[tuple[str, str | None]] = Counter()
    first: dict[tuple[str, str | None], list[tuple[int, str | None]]] = {}
    for group in groups:
        key = (group.code, group.field)
        counts[key] += len(group.records)
        places = np.searchsorted(blamed, group.records[:EXAMPLES]).tolist()
        values = [None] * len(places) if group.values is None else group.values.head(EXAMPLES).to_list()
        first[key] = sorted(first.get(key, []) + list(zip(places, values, strict=True)), key=lambda one: one[0])[
            :EXAMPLES
        ]
    return RejectedRows(rows, counts, first, blame.trailing)


def _reasons(groups: list[Group], blamed: Positions) -> pl.Series:
    """The reasons of each blamed record, as a list of structures."""
    records = np.concatenate([group.records for group in groups])
    reasons = pl.DataFrame(
        {
            "code": pl.concat([_repeat(group.code, group) for group in groups]),
            "field": pl.concat([_repeat(group.field, group) for group in groups]),
            "value": pl.concat([_repeat(None, group) if group.values is None else group.values for group in groups]),
        }
    ).to_struct("reasons")
    if len(groups) > 1:
        order = np.argsort(records, kind="stable")
        records, reasons = records[order], reasons.gather(order)
    if len(records) == len(blamed):  # one reason each
        return reasons.reshape((len(reasons), 1)).cast(SCHEMA["reasons"])
    listed = pl.DataFrame({"record": records, "reasons": reasons})
    return listed.group_by("record", maintain_order=True).agg("reasons")["reasons"]


def _repeat(text: str | None, group: Group) -> pl.Series:
    """A text for each record of a group."""
    return pl.Series([text], dtype=pl.String).new_from_index(0, len(group.records))
