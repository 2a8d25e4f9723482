"""Rejected rows: where each stood, its raw bytes, and one reason for each rule that it breaks."""

from __future__ import annotations

from dataclasses import dataclass, field
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
class RejectedRows:
    """The rejected rows of one block, in order; all numbers count from the block's beginning.

    `records` and `lines` count whole records and lines before the row; `offsets` are bytes in the file's own encoding.
    """

    records: Positions
    lines: Positions
    offsets: Positions
    raws: list[bytes] = field(default_factory=list)
    reasons: list[list[Reason]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.raws)

    def table(self, record: int, line: int, offset: int) -> pl.DataFrame:
        """The rows as they are kept, given the numbers of the block's own first record, line and byte."""
        flat = [reason for reasons in self.reasons for reason in reasons]
        owner = np.repeat(np.arange(len(self.reasons)), [len(reasons) for reasons in self.reasons])
        listed = pl.DataFrame(
            {
                "owner": owner,
                "code": pl.Series([reason.code for reason in flat], dtype=pl.String),
                "field": pl.Series([reason.field for reason in flat], dtype=pl.String),
                "value": pl.Series([reason.value for reason in flat], dtype=pl.String),
            }
        )
        reasons = listed.group_by("owner", maintain_order=True).agg(
            pl.struct("code", "field", "value").alias("reasons")
        )
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
