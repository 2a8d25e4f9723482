"""Cutting text into blocks at ends of records that are proved, at the speed of the memory.

Every quote of a block is checked: an opening one must begin a field, a closing one must end it. Where that holds (`native.prove`), each
line end outside quotes ends a record. Where it does not, the line is cut out as a malformed record and the proof goes on behind it, so
that the outcome is that of `grammar.Grammar` reading record by record; blocks with escapes or comment lines are in fact read that way.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from preprocess import native
from preprocess.grammar import MAX_RECORD_BYTES, QUOTING, UNCLOSED_QUOTE, Grammar, line_end
from preprocess.refusals import DataRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from preprocess.decoding import Text

Positions = npt.NDArray[np.int64]

NEWLINE = 0x0A
RETURN = 0x0D

_WINDOW = 1 << 22  # large enough for threads not to wait for each other all the time
_NONE: Positions = np.zeros(0, np.int64)


class Cut(NamedTuple):
    """A piece of a block that is no well-formed record: a malformed line (with its code), or a comment (None)."""

    start: int
    stop: int
    code: str | None


@dataclass(frozen=True)
class Marks:
    """What structures the whole records at the beginning of a text, by position.

    Attributes
    ----------
    end
        Where the last of them ends.
    cuts
        The pieces that are no well-formed records, in order.
    lines
        The line ends: each LF, and each CR that no LF follows.
    breaks
        Those of them that no quotes enclose.
    escaped
        Those that an escape makes an ordinary character.
    """

    end: int
    cuts: tuple[Cut, ...]
    lines: Positions
    breaks: Positions
    escaped: Positions


@dataclass(frozen=True)
class Block:
    """Whole records, in order.

    `text` joins up with its neighbours'; `offset` is where it begins in the UTF-8 text, and `marks` are what was found in it.
    """

    number: int
    offset: int
    text: bytes
    marks: Marks


class Cutter:
    """Cuts a text into blocks.

    Parameters
    ----------
    text
        The stream; its `head` was read already and begins with the first record.
    block_bytes
        Size of a block: all but the last are smaller by less than a record, or larger when one record is.
    """

    def __init__(self, name: str, text: Text, head: bytes, offset: int, grammar: Grammar, block_bytes: int) -> None:
        self._name = name
        self._text = text
        self._head = head
        self._offset = offset
        self._grammar = grammar
        self._block_bytes = block_bytes

    def __iter__(self) -> Iterator[Block]:
        number, offset, tail = 0, self._offset, self._head
        want, at_end = self._block_bytes, False
        while not at_end or tail:
            buffer, rest = tail[:want], tail[want:]
            if len(tail) < want and not at_end:
                chunk = self._text.read(want - len(tail))
                at_end = len(chunk) < want - len(tail)
                # The last line end of all most likely ends a record; cut there, the text need not be copied once more.
                last = chunk.rfind(b"\n") + 1 if want == self._block_bytes and not at_end else 0
                buffer, rest = b"".join((tail, memoryview(chunk)[: last or None])), chunk[last or len(chunk) :]
                del chunk
            marks = cut_records(buffer, at_end and not rest, self._grammar)
            end = marks.end
            if end:
                yield Block(number, offset, buffer if end == len(buffer) else buffer[:end], marks)
                number, offset, want = number + 1, offset + end, self._block_bytes
            elif buffer:
                if want > 2 * MAX_RECORD_BYTES:
                    raise DataRefused(
                        f"{self._name}: the record at byte {offset} is longer than {want >> 20} MiB; is this a CSV file?"
                    )
                want *= 2  # the record is longer than a block
            tail = buffer[end:] + rest


def equal_blocks(size: int, most: int) -> int:
    """The size of a block, `most` at most, that makes all blocks of a text of this size about equal: none is a small rest."""
    if size <= most:
        return most
    return min(most, -(-size // -(-size // most)) + most // 256)  # each ends up to a record before


def cut_records(buffer: bytes, at_end: bool, grammar: Grammar) -> Marks:
    """Find where the last whole record of `buffer` ends, and which lines of it are malformed.

    `buffer` begins with a record; `at_end` says that nothing follows it, so that its last record needs no line end.
    """
    if (grammar.escape and grammar.escape in buffer) or (grammar.comment and _has_comment(buffer, grammar.comment)):
        return _walk(buffer, at_end, grammar)
    text = newlines_only(buffer, at_end)
    return _sound(text, at_end, grammar) or _mended(text, at_end, grammar)


def newlines_only(buffer: bytes, at_end: bool = True) -> bytes:
    """The text with each CR that no LF follows turned into LF; every byte keeps its place."""
    if b"\r" not in buffer:
        return buffer
    array = np.frombuffer(buffer, np.uint8)
    returns = find(array, RETURN)
    if not at_end and returns[-1] == len(array) - 1:
        returns = returns[:-1]  # LF may follow
    bare = returns[array[np.minimum(returns + 1, len(array) - 1)] != NEWLINE]
    if not len(bare):
        return buffer
    changed = array.copy()
    changed[bare] = NEWLINE
    return changed.tobytes()


def find(array: npt.NDArray[np.uint8], byte: int, other: int | None = None) -> Positions:
    """The positions of a byte, and of another one."""
    parts = []
    for at in range(0, len(array), _WINDOW):
        window = array[at : at + _WINDOW]
        found = window == byte
        if other is not None:
            found |= window == other
        parts.append(np.flatnonzero(found) + at)
    return np.concatenate(parts) if parts else _NONE


def _sound(buffer: bytes, at_end: bool, grammar: Grammar) -> Marks | None:
    """The marks of a text without malformed lines; None when it has some."""
    proof = native.prove(buffer, grammar)
    if proof is None:
        return None
    end = int(proof.breaks[-1]) + 1 if len(proof.breaks) else 0
    if proof.open and (at_end or len(buffer) - end > MAX_RECORD_BYTES):
        return None
    if at_end:
        end = len(buffer)
    return Marks(end, (), proof.lines[: np.searchsorted(proof.lines, end)], proof.breaks, _NONE)


def _mended(buffer: bytes, at_end: bool, grammar: Grammar) -> Marks:
    """The marks of a text with its malformed lines cut out."""
    array = np.frombuffer(buffer, np.uint8)
    marks = find(array, NEWLINE, grammar.quote[0] if grammar.quote else None)
    quoting = array.take(marks) != NEWLINE
    quotes = marks.compress(quoting)

    def proved(end: int) -> Marks:
        size = int(np.searchsorted(marks, end))
        here, is_quote = marks[:size], quoting[:size]
        lines = here.compress(~is_quote)
        rest = _without(here.compress(is_quote), cuts)
        return Marks(end, tuple(cuts), lines, _outside(lines, rest), _NONE)

    wrong = _misplaced(buffer, quotes, grammar) if len(quotes) else (_NONE, _NONE)
    cuts: list[Cut] = []
    start = first = 0  # the proof goes on at this position, where the next quote, if any, is this one
    while first < len(quotes):
        misplaced = wrong[first & 1]
        at = bisect_left(misplaced, first)
        code = QUOTING
        if at < len(misplaced):
            culprit = int(misplaced[at])
        elif (len(quotes) - first) & 1 and (at_end or len(buffer) - start > MAX_RECORD_BYTES):
            culprit, code = len(quotes) - 1, UNCLOSED_QUOTE
            record = _last_newline(buffer, quotes, first, culprit, start, int(quotes[culprit])) + 1
            if not at_end and len(buffer) - record <= MAX_RECORD_BYTES:
                break
        else:
            break
        opening = culprit - ((culprit - first) & 1)
        line = _last_newline(buffer, quotes, first, opening, start, int(quotes[opening])) + 1
        stop = buffer.find(b"\n", line) + 1 or (len(buffer) if at_end else 0)
        if not stop:
            return proved(line)
        cuts.append(Cut(line, stop, code))
        start, first = stop, int(np.searchsorted(quotes, stop))
    if at_end:
        return proved(len(buffer))
    paired = len(quotes) - ((len(quotes) - first) & 1)
    limit = int(quotes[paired]) if paired < len(quotes) else len(buffer)
    return proved(_last_newline(buffer, quotes, first, paired, start, limit) + 1)


def _misplaced(buffer: bytes, quotes: Positions, grammar: Grammar) -> tuple[Positions, Positions]:
    """Which quotes cannot be what their turn makes them: when those with even numbers open, and when those with odd ones do."""
    array = np.frombuffer(buffer, np.uint8)
    delimiter = grammar.delimiter[0]
    before = array.take(quotes - 1, mode="wrap")  # for a quote at 0, which opens whatever stands before
    after = array.take(quotes + 1, mode="clip")
    opens = (before == delimiter) | (before == NEWLINE)
    closes = (after == delimiter) | (after == NEWLINE) | (after == RETURN)
    if quotes[0] == 0:
        opens[0] = True
    closes[-1] |= quotes[-1] == len(array) - 1
    if grammar.double_quote:
        doubled = quotes[1:] - quotes[:-1] == 1
        opens[1:] |= doubled
        closes[:-1] |= doubled
    wrong = np.empty(len(quotes), bool)
    found = []
    for first in (0, 1):
        wrong[first::2] = ~opens[first::2]
        wrong[1 - first :: 2] = ~closes[1 - first :: 2]
        found.append(np.flatnonzero(wrong))
    return found[0], found[1]


def _last_newline(buffer: bytes, quotes: Positions, first: int, last: int, start: int, limit: int) -> int:
    """The last LF outside quotes between `start` and `limit`, or the position before `start`.

    `quotes[first:last]` are pairs, all of them in that range.
    """
    while True:
        begin = int(quotes[last - 1]) + 1 if last > first else start
        at = buffer.rfind(b"\n", begin, limit)
        if at >= 0:
            return at
        if last <= first:
            return start - 1
        last -= 2
        limit = int(quotes[last])


def _without(quotes: Positions, cuts: list[Cut]) -> Positions:
    """The quotes that are in no cut."""
    if not cuts or not len(quotes):
        return quotes
    edges = np.searchsorted(quotes, np.array([(cut.start, cut.stop) for cut in cuts]))
    keep = np.ones(len(quotes), bool)
    for start, stop in edges:
        keep[start:stop] = False
    return quotes.compress(keep)


def _has_comment(buffer: bytes, comment: bytes) -> bool:
    return buffer.startswith(comment) or b"\n" + comment in buffer or b"\r" + comment in buffer


def _outside(positions: Positions, quotes: Positions) -> Positions:
    """Those positions that no pair of quotes encloses."""
    if not len(quotes):
        return positions
    at = np.searchsorted(positions, quotes)
    first, counts = at[0::2], at[1::2] - at[0::2]
    some = np.flatnonzero(counts)
    return np.delete(positions, _ranges(first[some], counts[some])) if len(some) else positions


def _ranges(starts: Positions, lengths: Positions) -> Positions:
    """The numbers of several ranges, one range after another."""
    before = np.cumsum(lengths, dtype=lengths.dtype) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()), dtype=lengths.dtype)


def _walk(buffer: bytes, at_end: bool, grammar: Grammar) -> Marks:
    """Record by record."""
    cuts: list[Cut] = []
    quotes: list[int] = []
    escaped: list[int] = []
    at = 0
    while at < len(buffer):
        if grammar.comment and buffer.startswith(grammar.comment, at):
            end = line_end(buffer, at, at_end)
            if end is None:
                break
            cuts.append(Cut(at, end, None))
            at = end
            continue
        found = grammar.next_record(buffer, at, at_end)
        if found is None:
            break
        if found.code is not None:
            cuts.append(Cut(at, found.end, found.code))
        else:
            record = buffer[at : found.end]
            quotes += [at + position for position in grammar.quotes(record)]
            escaped += [at + position for position in grammar.escaped_line_ends(record)]
        at = found.end
    pairs = np.array(quotes, np.int64)
    lines = find(np.frombuffer(newlines_only(buffer[:at]), np.uint8), NEWLINE)
    return Marks(at, tuple(cuts), lines, _outside(lines, pairs), np.array(escaped, np.int64))
