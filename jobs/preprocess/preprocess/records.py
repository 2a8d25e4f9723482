"""The records of one block: where each begins and ends, and which of them a CSV parser can be trusted with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from preprocess.cutting import NEWLINE, Block, Positions, count, find, newlines_only
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
    newlines: Positions
    reasons: dict[int, list[Reason]] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Line ends in the block."""
        return len(self.newlines)

    def lines_before(self, positions: Positions) -> Positions:
        """How many line ends stand before each position."""
        return np.searchsorted(self.newlines, positions)

    def record(self, index: int) -> bytes:
        """The text of one record, its line end included."""
        return self.text[self.starts[index] : self.ends[index]]

    def join(self, indices: Positions) -> bytes:
        """The text of some records, in order, each ended by a line end."""
        if len(indices) == len(self.ends):
            return self.text
        breaks = np.flatnonzero(np.diff(indices) != 1)
        first = np.concatenate([indices[:1], indices[breaks + 1]])
        last = np.concatenate([indices[breaks], indices[-1:]])
        pieces = [
            self.text[start:end]
            for start, end in zip(self.starts[first].tolist(), self.ends[last].tolist(), strict=True)
        ]
        return b"".join(pieces)


def find_records(block: Block, grammar: Grammar, width: int, *, thorough: bool = False) -> Records:
    """Find a block's records, and prove which are regular.

    A record is regular when it has `width` fields, is valid UTF-8 without NUL, and holds no escape. Unless `thorough`, records are
    counted in the whole block first, and looked at one by one only when the totals are wrong.
    """
    lines = newlines_only(block.text)
    array = np.frombuffer(lines, np.uint8)
    newlines = find(array, NEWLINE)
    inside = _inside(len(array), block.quotes)
    ends = (
        _outside(newlines, block.quotes) if inside is None else _without(newlines, inside[array[inside] == NEWLINE])
    ) + 1
    if len(block.escaped):
        ends = np.setdiff1d(ends, block.escaped + 1, assume_unique=True)
    if len(block.text) and (not len(ends) or ends[-1] != len(block.text)):
        ends = np.append(ends, len(block.text))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    text = block.text if lines is block.text else _end_with_newlines(block.text, ends)
    states = np.zeros(len(ends), np.uint8)
    records = Records(text, starts, ends, states, newlines)
    _mark_cuts(records, block)
    if grammar.escape and grammar.escape in text:
        _mark_odd(records, grammar)
    if thorough or not _is_regular(records, block, inside, grammar, width):
        _mark_malformed(records, block, grammar, width)
    return records


def _outside(positions: Positions, quotes: Positions) -> Positions:
    """Those positions that no pair of quotes encloses."""
    if not len(quotes):
        return positions
    at = np.searchsorted(positions, quotes)
    opening, closing = at[0::2], at[1::2]
    enclosing = opening < closing
    if not enclosing.any():
        return positions
    depth = np.zeros(len(positions) + 1, np.int32)
    np.add.at(depth, opening[enclosing], 1)
    np.add.at(depth, closing[enclosing], -1)
    outside: Positions = positions[np.cumsum(depth[:-1]) == 0]
    return outside


def _without(positions: Positions, some: npt.NDArray[np.int32]) -> Positions:
    """Those positions that are not among some of them."""
    return np.delete(positions, np.searchsorted(positions, some)) if len(some) else positions


def _end_with_newlines(text: bytes, ends: Positions) -> bytes:
    """The text with CR as a record's end turned into LF."""
    array = np.frombuffer(text, np.uint8).copy()
    last = array[ends - 1]
    array[(ends - 1)[last == 0x0D]] = NEWLINE
    return array.tobytes()


def _mark_cuts(records: Records, block: Block) -> None:
    for cut in block.cuts:
        index = int(np.searchsorted(records.starts, cut.start))
        records.states[index] = COMMENT if cut.code is None else MALFORMED
        if cut.code is not None:
            records.reasons[index] = [Reason(cut.code, None, None)]


def _mark_odd(records: Records, grammar: Grammar) -> None:
    escapes = find(np.frombuffer(records.text, np.uint8), grammar.escape[0])  # type: ignore[index]
    odd = np.unique(np.searchsorted(records.ends, escapes, side="right"))
    records.states[odd[records.states[odd] == REGULAR]] = ODD


def _is_regular(
    records: Records, block: Block, inside: npt.NDArray[np.int32] | None, grammar: Grammar, width: int
) -> bool:
    """Whether every record that no cut took is regular, as far as totals can tell.

    `inside` as `_inside` finds it.

    Totals of fields tell nothing when a short record makes up for a long one; the CSV parser refuses the long one then.
    """
    text = records.text
    if b"\0" in text or not _is_utf8(text) or width == 1 or (grammar.escape and grammar.escape in text):
        return False
    delimiters = _count_delimiters(np.frombuffer(text, np.uint8), block.quotes, inside, grammar.delimiter[0])
    delimiters -= sum(text.count(grammar.delimiter, cut.start, cut.stop) for cut in block.cuts)
    return delimiters == (len(records.ends) - len(block.cuts)) * (width - 1)


def _count_delimiters(
    array: npt.NDArray[np.uint8], quotes: Positions, inside: npt.NDArray[np.int32] | None, delimiter: int
) -> int:
    """How many delimiters stand outside quotes."""
    if inside is None:
        return _count_outside(array, quotes, delimiter)
    return count(array, delimiter) - int(np.count_nonzero(array[inside] == delimiter))


def _inside(size: int, quotes: Positions) -> npt.NDArray[np.int32] | None:
    """The positions of all bytes that pairs of quotes enclose, or None when that is much of a text of this size."""
    opening, lengths = quotes[0::2], quotes[1::2] - quotes[0::2]
    total = int(lengths.sum())
    if total * 4 > size or size > _MAX_SIZE:
        return None
    before = np.cumsum(lengths) - lengths
    starts = (opening - before).astype(np.int32)
    return np.repeat(starts, lengths) + np.arange(total, dtype=np.int32)


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


def _is_utf8(text: bytes) -> bool:
    """Whether all of it is. Bytes above 127 are, or are not, by themselves, wherever ASCII parts them; most text has few."""
    if text.isascii():
        return True
    array = np.frombuffer(text, np.uint8)
    if count(array, 0x80, np.greater_equal) * 16 > len(array):
        return _decodes(text)
    high = find(array, 0x80, np.greater_equal)
    apart = np.flatnonzero(np.diff(high) > 1) + 1
    return _decodes(np.insert(array[high], apart, ord(" ")).tobytes())


def _mark_malformed(records: Records, block: Block, grammar: Grammar, width: int) -> None:
    """Find each malformed record, with all its reasons."""
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
    strange = np.unique(np.searchsorted(records.ends, find(array, 0x80, np.greater_equal), side="right"))
    blame(strange, lambda index: None if _decodes(records.record(index)) else Reason(ENCODING, None, None))


def _field_counts(records: Records, array: npt.NDArray[np.uint8], block: Block, grammar: Grammar) -> Positions:
    delimiters = _outside(find(array, grammar.delimiter[0]), block.quotes)
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
