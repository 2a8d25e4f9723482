"""The records of one block: where each begins and ends, and which of them a CSV parser can be trusted with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from preprocess.cutting import NEWLINE, RETURN, Block, Positions, count, find, outside, ranges
from preprocess.rejected import BLANK_ROW, ENCODING, FIELD_COUNT, NUL, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from preprocess.grammar import Grammar

# What a record is. Those above COMMENT are malformed and have their reasons; the order matters to nobody else.
REGULAR = 0
ODD = 1  # well-formed, with escapes: only the grammar can split it
COMMENT = 2
MALFORMED = 3

_PIECE = 1 << 18
_MAX_SIZE = 1 << 31  # positions up to here take four bytes


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
        """The text of some records, in order, each ended by a line end: polars passes over an empty cell too many without one."""
        if len(indices) == len(self.ends):
            return self.text if self.text.endswith(b"\n") else self.text + b"\n"
        breaks = np.flatnonzero(np.diff(indices) != 1)
        first = np.concatenate([indices[:1], indices[breaks + 1]])
        last = np.concatenate([indices[breaks], indices[-1:]])
        pieces = [
            self.text[start:end]
            for start, end in zip(self.starts[first].tolist(), self.ends[last].tolist(), strict=True)
        ]
        if not pieces[-1].endswith(b"\n"):
            pieces.append(b"\n")
        return b"".join(pieces)


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


def totals_agree(records: Records, block: Block, grammar: Grammar, width: int) -> bool:
    """Whether the regular records have `width` fields each, if none has more.

    That none has more is the CSV parser's to say: in the totals, a short record could make up for a long one.
    """
    array = np.frombuffer(records.text, np.uint8)
    delimiters = _count_delimiters(array, block.marks.quotes, grammar.delimiter[0])
    delimiters -= sum(records.text.count(grammar.delimiter, cut.start, cut.stop) for cut in block.marks.cuts)
    return delimiters == (len(records.ends) - len(block.marks.cuts)) * (width - 1)


def _count_delimiters(array: npt.NDArray[np.uint8], quotes: Positions, delimiter: int) -> int:
    """How many delimiters stand outside quotes."""
    starts, lengths = quotes[0::2], quotes[1::2] - quotes[0::2]
    if int(lengths.sum()) * 4 > len(array) or len(array) > _MAX_SIZE:
        return _count_outside(array, quotes, delimiter)
    inside = ranges(starts.astype(np.int32), lengths.astype(np.int32))
    return count(array, delimiter) - int(np.count_nonzero(array[inside] == delimiter))


def _count_outside(array: npt.NDArray[np.uint8], quotes: Positions, delimiter: int) -> int:
    """The same where much is quoted: a running parity of quotes over pieces of the text, so that memory stays flat."""
    total = parity = 0
    edges = np.searchsorted(quotes, np.arange(0, len(array) + _PIECE, _PIECE))
    for number, start in enumerate(range(0, len(array), _PIECE)):
        piece = array[start : start + _PIECE]
        turns = np.zeros(len(piece), np.uint8)
        here = quotes[edges[number] : edges[number + 1]] - start
        turns[here] = 1
        inside = np.cumsum(turns, dtype=np.uint8)  # wraps around at 256, which is even
        total += int(np.count_nonzero((piece == delimiter) & (inside & 1 == parity)))
        parity = (parity + len(here)) & 1
    return total


def mark_malformed(records: Records, block: Block, grammar: Grammar, width: int) -> bool:
    """Find each malformed record, with all its reasons; say whether there are any besides those cut out.

    What is left as regular has `width` fields, is valid UTF-8 without NUL, and holds no escape.
    """
    array = np.frombuffer(records.text, np.uint8)
    whole = (records.states == REGULAR) | (records.states == ODD)

    def blame(indices: Positions, why: Callable[[int], Reason | None]) -> None:
        for index in indices[whole[indices]].tolist():
            if reason := why(index):
                records.states[index] = MALFORMED
                records.reasons.setdefault(index, []).append(reason)

    counts = _field_counts(records, array, block, grammar)
    blame(np.flatnonzero(counts != width), lambda index: _wrong_width(records, index, int(counts[index])))
    if width == 1:
        blame(np.flatnonzero(records.ends - records.starts <= 2), lambda index: _blank(records, index))
    nul = np.unique(np.searchsorted(records.ends, find(array, 0), side="right"))
    blame(nul, lambda _index: Reason(NUL, None, None))
    strange = np.unique(np.searchsorted(records.ends, find(array, 0x80, test=np.greater_equal), side="right"))
    blame(strange, lambda index: None if _decodes(records.record(index)) else Reason(ENCODING, None, None))
    return bool((whole & (records.states == MALFORMED)).any())


def _field_counts(records: Records, array: npt.NDArray[np.uint8], block: Block, grammar: Grammar) -> Positions:
    delimiters = outside(find(array, grammar.delimiter[0]), block.marks.quotes)
    counts = np.diff(np.searchsorted(delimiters, records.ends), prepend=0) + 1
    for index in np.flatnonzero(records.states == ODD).tolist():
        counts[index] = len(grammar.split(records.record(index)))
    return counts


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
