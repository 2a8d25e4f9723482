"""The first of the rows that cleaning rejected, as they stood in the file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postprocess.inputs import Cleaned

SAMPLES = 8
_RAW_SHOWN = 300


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row for people: `record` counts from 1 after the header, `raw` is its text as far as it is UTF-8."""

    record: int
    reasons: str
    raw: str


def read_samples(cleaned: Cleaned, most: int = SAMPLES) -> tuple[RejectedRow, ...]:
    """The first rejected rows in the order of the file, from as many parts as it takes."""
    samples: list[RejectedRow] = []
    for part in cleaned.manifest.rejected:
        if len(samples) == most:
            break
        body = cleaned.folder.read(part.path).body
        rows = pq.ParquetFile(io.BytesIO(body)).read(["record", "raw", "reasons"])
        samples += [_sample(row) for row in rows.slice(0, most - len(samples)).to_pylist()]
    return tuple(samples)


def _sample(row: Mapping[str, Any]) -> RejectedRow:
    raw = row["raw"].decode("utf-8", "replace")
    return RejectedRow(
        record=row["record"],
        reasons=", ".join(" ".join(filter(None, [reason["field"], reason["code"]])) for reason in row["reasons"]),
        raw=raw if len(raw) <= _RAW_SHOWN else f"{raw[:_RAW_SHOWN]}…",
    )
