"""Rejected rows: where each stood, its raw bytes, and one reason for each rule that it breaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from preprocess.cutting import Positions
    from spotline.contracts.cells import Judgement

# Reasons for a record as a whole, besides the grammar's own; its cells are not judged.
FIELD_COUNT = "fieldCount"
BLANK_ROW = "blankRow"
NUL = "nul"
ENCODING = "encoding"

SCHEMA = pl.Schema(
    {
        "record": pl.Int64(),
        "line": pl.Int64(),
        "offset": pl.Int64(),
        "raw": pl.Binary(),
        "reasons": pl.List(pl.Struct({"code": pl.String(), "field": pl.String(), "value": pl.String()})),
    }
)


class Reason(NamedTuple):
    """A broken rule: its code, the field (None for the record as a whole), and the raw cell or what was found instead."""

    code: str
    field: str | None
    value: str | None


@dataclass(frozen=True)
class Reasons:
    """Broken rules, in the order of the rows that broke them: for each which row that was, and what a `Reason` holds.

    `counts` says how often each code came for each field.
    """

    rows: Positions
    codes: list[str]
    fields: list[str | None]
    values: list[str | None]
    counts: Counter[tuple[str, str | None]]


class Blame:
    """The reasons against the records of a block, in the order of the fields."""

    def __init__(self) -> None:
        self._records: list[int] = []
        self._codes: list[str] = []
        self._fields: list[str | None] = []
        self._values: list[str | None] = []
        self._counts: Counter[tuple[str, str | None]] = Counter()

    def add(self, record: int, reason: Reason) -> None:
        """Note a reason against a record, by its index."""
        self._records.append(record)
        self._codes.append(reason.code)
        self._fields.append(reason.field)
        self._values.append(reason.value)
        self._counts[reason.code, reason.field] += 1

    def collect(self, records: list[int], name: str, cells: list[str], verdicts: list[Judgement]) -> None:
        """Note what the law says against cells of one field."""
        before = len(self._codes)
        for record, cell, verdict in zip(records, cells, verdicts, strict=True):
            for code in verdict.broken:
                self._records.append(record)
                self._codes.append(code)
                self._values.append(cell)
        self._fields += [name] * (len(self._codes) - before)
        for code, count in Counter(self._codes[before:]).items():
            self._counts[code, name] += count

    def records(self) -> Positions:
        """The records that are blamed, in order."""
        return np.unique(np.array(self._records, np.int64))

    def reasons(self) -> Reasons:
        """All of it, in the order of the records; rows are the places of their records among those blamed."""
        records = np.array(self._records, np.int64)
        order = np.argsort(records, kind="stable")
        rows = np.unique(records[order], return_inverse=True)[1]
        places = order.tolist()
        return Reasons(
            rows,
            [self._codes[place] for place in places],
            [self._fields[place] for place in places],
            [self._values[place] for place in places],
            self._counts,
        )


@dataclass(frozen=True)
class RejectedRows:
    """The rejected rows of one block, in order; all numbers count from the block's beginning.

    `records` and `lines` count whole records and lines before the row; `offsets` are bytes in the file's own encoding.
    """

    records: Positions
    lines: Positions
    offsets: Positions
    raws: list[bytes]
    reasons: Reasons

    def __len__(self) -> int:
        return len(self.raws)

    def table(self, record: int, line: int, offset: int) -> pl.DataFrame:
        """The rows as they are kept, given the numbers of the block's own first record, line and byte."""
        listed = pl.DataFrame(
            {
                "row": self.reasons.rows,
                "code": pl.Series(self.reasons.codes, dtype=pl.String),
                "field": pl.Series(self.reasons.fields, dtype=pl.String),
                "value": pl.Series(self.reasons.values, dtype=pl.String),
            }
        )
        reasons = listed.group_by("row", maintain_order=True).agg(pl.struct("code", "field", "value").alias("reasons"))
        return pl.DataFrame(
            {
                "record": self.records + record,
                "line": self.lines + line,
                "offset": self.offsets + offset,
                "raw": pl.Series(self.raws, dtype=pl.Binary),
                "reasons": reasons["reasons"],
            },
            schema=SCHEMA,
        )
