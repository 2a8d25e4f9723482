"""The quality report: what was read, what was rejected and why, what the clean columns hold, and whether that is good enough."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preprocess.rejected import EXAMPLES, FIELD_COUNT

if TYPE_CHECKING:
    from preprocess.rejected import RejectedRows
    from preprocess.statistics import Statistics
    from spotline.contracts import Tolerance

_SHOWN = 200

# So many rejected rows show what is wrong with a file.
EXPLAINED = 100_000


@dataclass
class Tally:
    """Counts of a file, added up block by block in order."""

    rows_read: int = 0
    rows_clean: int = 0
    comments: int = 0
    lines: int = 0
    size: int = 0
    width: int = 0
    trailing: int = 0
    reasons: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    examples: dict[tuple[str, str | None], list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def rows_rejected(self) -> int:
        """Rows that broke a rule."""
        return self.rows_read - self.rows_clean

    def add_reasons(self, rejected: RejectedRows, line: int) -> None:
        """Count why rows were rejected; `line` is the number of the block's first line."""
        self.reasons.update(rejected.counts)
        self.trailing += rejected.trailing
        for key, rows in rejected.first.items():
            examples = self.examples.setdefault(key, [])
            for place, value in rows[: EXAMPLES - len(examples)]:
                record, at = (int(rejected.rows[name][place]) for name in ("record", "line"))
                example = {"record": self.rows_read + record + 1, "line": line + at}
                examples.append(example | ({} if value is None else {"value": value[:_SHOWN]}))


def is_hopeless(tally: Tally, tolerance: Tolerance, left: int | None) -> bool:
    """Whether the file will be refused whatever its rest holds, and enough rejected rows are there to see why.

    `left` is the most rows that the rest may hold; None when nobody can tell.
    """
    if tally.rows_rejected < EXPLAINED:
        return False
    if tolerance.max_rejected_share == 0:
        return True
    return left is not None and tally.rows_rejected > tolerance.max_rejected_share * (tally.rows_read + left)


def verdict(tally: Tally, tolerance: Tolerance, *, complete: bool = True) -> str | None:
    """Why the file is refused, as half a sentence with the way out, or None when it is good enough.

    `complete` says that the file was read to its end.
    """
    if not tally.rows_read:
        if tolerance.min_rows == 0:
            return None
        return "holds a header and no rows; send the rows, or set tolerance.minRows to 0 in the contract"
    share = tally.rows_rejected / tally.rows_read
    if share > tolerance.max_rejected_share:
        often = ", ".join(f"{describe(*key)} {count} times" for key, count in tally.reasons.most_common(3))
        ended = (
            ""
            if complete
            else f"; reading ended after line {tally.lines} (byte {tally.size}), because no rest could change that"
        )
        return (
            f"{tally.rows_rejected} of {tally.rows_read} rows are rejected ({share:.2%}), the contract tolerates"
            f" {tolerance.max_rejected_share:.2%}{ended}; most often: {often}{_explain_widths(tally)}; correct the file, or raise tolerance.maxRejectedShare"
        )
    if tally.rows_clean < tolerance.min_rows:
        return (
            f"{tally.rows_clean} rows are clean, the contract wants {tolerance.min_rows};"
            " send a whole file, or lower tolerance.minRows"
        )
    return None


def _explain_widths(tally: Tally) -> str:
    """What the first record with a wrong number of cells has, and whether all of them only end in a delimiter."""
    key = (FIELD_COUNT, None)
    if key not in tally.examples:
        return ""
    first = tally.examples[key][0]
    told = f"; line {first['line']} has {first['value']} cells where the header has {tally.width}"
    if tally.trailing == tally.reasons[key]:
        told += "; each row ends in a delimiter: set dialect.spotline.trailingDelimiter in the contract"
    return told


def describe(code: str, name: str | None) -> str:
    """A broken rule, for people."""
    return code if name is None else f"{code} of {name}"


def report(
    tally: Tally,
    statistics: Statistics | None,
    *,
    source: dict[str, Any],
    refused: str | None,
    extra_columns: tuple[str, ...],
    tolerance: Tolerance,
    complete: bool,
    seconds: float,
) -> bytes:
    """The report as JSON; `complete` says that the file was read to its end, and counts are those of what was read."""
    document = {
        "schema": "spotline/quality/1",
        "source": source,
        "verdict": {"accepted": refused is None, "reason": refused},
        "tolerance": {"max_rejected_share": tolerance.max_rejected_share, "min_rows": tolerance.min_rows},
        "complete": complete,
        "rows_read": tally.rows_read,
        "rows_clean": tally.rows_clean,
        "rows_rejected": tally.rows_rejected,
        "comments": tally.comments,
        "lines": tally.lines,
        "bytes": tally.size,
        "seconds": round(seconds, 3),
        "rows_per_second": round(tally.rows_read / seconds) if seconds else None,
        "bytes_per_second": round(tally.size / seconds) if seconds else None,
        "extra_columns": list(extra_columns),
        "rejected": [
            {"code": code, "field": name, "rows": count, "examples": tally.examples[code, name]}
            for (code, name), count in sorted(
                tally.reasons.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or "")
            )
        ],
        "columns": statistics.report() if statistics is not None else {},
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
