"""The records of one block: where each begins and ends, and which of them only the grammar can split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from preprocess import native
from preprocess.cutting import NEWLINE, RETURN, Block, Positions, find
from preprocess.rejected import BLANK_ROW, ENCODING, FIELD_COUNT, NUL, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from preprocess.grammar import Grammar

# What a record is. Those above COMMENT are malformed and have their reasons; the order matters to nobody else.
REGULAR = 0
ODD = 1  # well-formed, with escapes: only the grammar can split it
COMMENT = 2
MALFORMED = 3


@dataclass(frozen=True)
class Records:
    """The records of a block, in order, comments among them.

    `text` is the block's with every line end outside quotes LF or CRLF; `states` says what each record is, `reasons` why a
    malformed one is.
    """

    text: bytes
    starts: Positions
    ends: Positions
    states: npt.NDArray[np.uint8]
    line_ends: Positions
    reasons: dict[int, list[Reason]] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Line ends in the block."""
        return len(self.line_ends)

    def lines_before(self, positions: Positions) -> Positions:
        """How many line ends stand before each position."""
        return np.searchsorted(self.line_ends, positions)

    def record(self, index: int) -> bytes:
        """The text of one record, its line end included."""
        return self.text[self.starts[index] : self.ends[index]]

    def join(self, indices: Positions) -> bytes:
        """The text of some records, in order, each ended by a line end."""
        if len(indices) == len(self.ends):
            pieces = [self.text]
        else:
            breaks = np.flatnonzero(np.diff(indices) != 1)
            first = np.concatenate([indices[:1], indices[breaks + 1]])
            last = np.concatenate([indices[breaks], indices[-1:]])
            spans = zip(self.starts[first].tolist(), self.ends[last].tolist(), strict=True)
            pieces = [self.text[start:end] for start, end in spans]
        if pieces and pieces[-1] and not pieces[-1].endswith(b"\n"):
            pieces.append(b"\n")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def find_records(block: Block, grammar: Grammar) -> Records:
    """Find a block's records; those that are neither cut out nor hold an escape are taken to be regular."""
    marks = block.marks
    ends = marks.breaks + 1
    if len(marks.escaped):
        ends = np.setdiff1d(ends, marks.escaped + 1, assume_unique=True)
    if len(block.text) and (not len(ends) or ends[-1] != len(block.text)):
        ends = np.append(ends, len(block.text))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    text = _end_with_newlines(block.text, ends)
    states = np.zeros(len(ends), np.uint8)
    records = Records(text, starts, ends, states, marks.lines)
    for cut in block.marks.cuts:
        index = int(np.searchsorted(starts, cut.start))
        states[index] = COMMENT if cut.code is None else MALFORMED
        if cut.code is not None:
            records.reasons[index] = [Reason(cut.code, None, None)]
    if grammar.escape and grammar.escape in text:
        _mark_odd(records, grammar)
    return records


def _end_with_newlines(text: bytes, ends: Positions) -> bytes:
    """The text with CR as a record's end turned into LF."""
    array = np.frombuffer(text, np.uint8)
    returns = (ends - 1)[array[ends - 1] == RETURN]
    if not len(returns):
        return text
    changed = array.copy()
    changed[returns] = NEWLINE
    return changed.tobytes()


def _mark_odd(records: Records, grammar: Grammar) -> None:
    escapes = find(np.frombuffer(records.text, np.uint8), grammar.escape[0])  # type: ignore[index]
    odd = np.unique(np.searchsorted(records.ends, escapes, side="right"))
    records.states[odd[records.states[odd] == REGULAR]] = ODD


def mark_malformed(records: Records, grammar: Grammar, width: int) -> bool:
    """Find each malformed record, with all its reasons; say whether there are any besides those cut out.

    What is left as regular has `width` fields, is valid UTF-8 without NUL, and holds no escape.
    """
    whole = (records.states == REGULAR) | (records.states == ODD)
    counts, flags = native.inspect(records.text, records.ends, grammar)
    for index in np.flatnonzero(records.states == ODD).tolist():
        counts[index] = len(grammar.split(records.record(index)))

    def blame(indices: Positions, why: Callable[[int], Reason | None]) -> None:
        for index in indices[whole[indices]].tolist():
            if reason := why(index):
                records.states[index] = MALFORMED
                records.reasons.setdefault(index, []).append(reason)

    blame(np.flatnonzero(counts != width), lambda index: _wrong_width(records, index, int(counts[index])))
    if width == 1:
        blame(np.flatnonzero(records.ends - records.starts <= 2), lambda index: _blank(records, index))
    blame(np.flatnonzero(flags & native.HAS_NUL), lambda _index: Reason(NUL, None, None))
    strange = np.flatnonzero(flags & native.HAS_OTHER_THAN_ASCII)
    blame(strange, lambda index: None if _decodes(records.record(index)) else Reason(ENCODING, None, None))
    return bool((whole & (records.states == MALFORMED)).any())


def _wrong_width(records: Records, index: int, found: int) -> Reason:
    return _blank(records, index) or Reason(FIELD_COUNT, None, str(found))


def _blank(records: Records, index: int) -> Reason | None:
    return Reason(BLANK_ROW, None, None) if not records.record(index).strip(b"\r\n") else None


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
