"""Cutting text into blocks at ends of records that are proved, at the speed of the memory.

Every quote of a block is checked: an opening one must begin a field, a closing one must end it. Where that holds (`native.prove`), each
line end outside quotes ends a record. Where it does not, and in dialects with escapes or comments, the block is read record by record
(`native.walk`), and each line that breaks the quoting is cut out as a malformed record.

A block is bounded by its lines as well as by its bytes, because what becomes of a record takes memory however short it is.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from preprocess import native
from preprocess.grammar import MAX_RECORD_BYTES, Grammar
from preprocess.refusals import DataRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from preprocess.decoding import Text

Positions = npt.NDArray[np.int64]

NEWLINE = 0x0A
RETURN = 0x0D

MAX_LINES = 1 << 19  # of a block

_WINDOW = 1 << 10

_NO_CUTS = np.zeros((0, 3), np.int64)


@dataclass(frozen=True)
class Marks:
    """What structures the whole records at the beginning of a text, by position.

    Attributes
    ----------
    end
        Where the last of them ends.
    cuts
        The lines that are no well-formed records, in order: where each begins and ends, and what it is (`native.MALFORMED` and so on).
    lines
        The line ends: each LF, and each CR that no LF follows.
    breaks
        Those of them that end a record.
    """

    end: int
    cuts: npt.NDArray[np.int64]
    lines: Positions
    breaks: Positions


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
        number, offset, pending = 0, self._offset, _Pending(self._head)
        want, lines, at_end = self._block_bytes, MAX_LINES, False
        blanks = _Blanks(self._grammar)
        while not at_end or pending.size:
            taken = min(want, pending.size)
            if pending.size < want and not at_end:
                chunk = self._text.read(want - pending.size)
                at_end = len(chunk) < want - pending.size
                # The last line end of all most likely ends a record; cut there, the text need not be copied once more.
                last = chunk.rfind(b"\n") + 1 if want == self._block_bytes and not at_end else 0
                taken += last or len(chunk)
                pending.append(chunk)
                del chunk
            buffer = pending.take(taken)
            stop = _bound_lines(buffer, lines)
            if stop:
                pending.put_back(buffer, stop)
                buffer = buffer[:stop]
            marks = cut_records(buffer, at_end and not pending.size, self._grammar)
            if want > self._block_bytes and len(marks.cuts) and not marks.cuts[0][0]:
                marks = _first(
                    marks, int(marks.cuts[0][1])
                )  # what follows a quote that was never closed is of the usual size again
            end = marks.end
            if end:
                for piece, what in blanks.take(buffer if end == len(buffer) else buffer[:end], marks):
                    yield Block(number, offset, piece, what)
                    number, offset = number + 1, offset + len(piece)
                want, lines = self._block_bytes, MAX_LINES
            elif buffer:
                self._refuse_too_long(buffer, offset)
                # The record is longer than a block, in bytes or lines; one byte beyond the limit is enough to tell that it is too long.
                want, lines = min(2 * want, max(want + 1, MAX_RECORD_BYTES + 1)), 2 * lines
            pending.put_back(buffer, end)
        for piece in blanks.rest():
            marks = cut_records(piece, True, self._grammar)
            yield Block(number, offset, piece, _as_comments(marks))
            number, offset = number + 1, offset + len(piece)

    def _refuse_too_long(self, record: bytes, offset: int) -> None:
        if len(record) > MAX_RECORD_BYTES:
            raise DataRefused(
                f"{self._name}: the record at byte {offset} is longer than {MAX_RECORD_BYTES >> 20} MiB, the limit;"
                " is this a CSV file?"
            )


class _Pending:
    """Text that was read and is in no block yet. What remains of it is never copied, however much a block leaves behind."""

    def __init__(self, text: bytes) -> None:
        self._pieces: deque[memoryview] = deque()
        self.size = 0
        self.append(text)

    def append(self, text: bytes) -> None:
        """Add what was read."""
        if text:
            self._pieces.append(memoryview(text))
            self.size += len(text)

    def put_back(self, text: bytes, start: int) -> None:
        """Return the rest of what was taken."""
        if start < len(text):
            self._pieces.appendleft(memoryview(text)[start:])
            self.size += len(text) - start

    def take(self, size: int) -> bytes:
        """Take text from the beginning."""
        pieces, left = [], size
        while left:
            piece = self._pieces.popleft()
            pieces.append(piece[:left])
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
            left -= len(pieces[-1])
        self.size -= size
        return b"".join(pieces)


class _Blanks:
    """The blank lines at the end of what was read: rows that are rejected where a record follows, and no rows at the end of the file.

    They are held compressed, about a thousandth of their size: there may be as many as the file has bytes.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._held: list[bytes] = []

    def take(self, text: bytes, marks: Marks) -> Iterator[tuple[bytes, Marks]]:
        """The pieces of text that can be judged: those held, if a record follows them, and this one but for its own blank lines."""
        end = _blank_end(text, marks)
        if end:
            for held in self.rest():
                yield held, cut_records(held, True, self._grammar)
            self._held.clear()
            yield (text, marks) if end == len(text) else (text[:end], _first(marks, end))
        if end < len(text):
            self._held.append(zlib.compress(text[end:], 1))

    def rest(self) -> Iterator[bytes]:
        """What is held, piece by piece."""
        return map(zlib.decompress, self._held)


def _blank_end(text: bytes, marks: Marks) -> int:
    """Where the blank lines at the end of a text of whole records begin."""
    array = np.frombuffer(text, np.uint8)
    stop = len(text)
    while stop:
        window = array[max(0, stop - _WINDOW) : stop]
        ink = np.flatnonzero((window != NEWLINE) & (window != RETURN))
        if len(ink):
            last = stop - len(window) + int(ink[-1])
            at = int(np.searchsorted(marks.breaks, last))  # the end of the record that it is in
            return int(marks.breaks[at]) + 1 if at < len(marks.breaks) else len(text)
        stop -= len(window)
    return 0


def _first(marks: Marks, end: int) -> Marks:
    """The marks of the records before a position."""
    cuts = marks.cuts[marks.cuts[:, 0] < end]
    return Marks(end, cuts, marks.lines[marks.lines < end], marks.breaks[marks.breaks < end])


def _as_comments(marks: Marks) -> Marks:
    """The same records as lines that are no rows."""
    ends = np.append(marks.breaks + 1, marks.end) if marks.breaks[-1] + 1 < marks.end else marks.breaks + 1
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    cuts = np.column_stack([starts, ends, np.full(len(ends), native.COMMENTED)])
    return Marks(marks.end, cuts, marks.lines, marks.breaks)


def _bound_lines(buffer: bytes, most: int) -> int:
    """Where the lines that may be in one block end; 0 when there are no more."""
    if len(buffer) <= most or (b"\r" not in buffer and native.count(buffer, NEWLINE) <= most):
        return 0
    return native.behind_lines(buffer, most)


def equal_blocks(size: int, most: int) -> int:
    """The size of a block, `most` at most, that makes all blocks of a text of this size about equal: none is a small rest.

    Their number is even, so that neither of two workers waits for the other's last one; it depends on the text alone, and so do shards.
    """
    if size <= most:
        return most
    blocks = -(-size // most)
    return min(most, -(-size // (blocks + blocks % 2)) + most // 256)  # each ends up to a record before


def cut_records(buffer: bytes, at_end: bool, grammar: Grammar) -> Marks:
    """Find where the last whole record of `buffer` ends, and which lines of it are malformed.

    `buffer` begins with a record; `at_end` says that nothing follows it, so that its last record needs no line end.
    """
    if not (grammar.escape and grammar.escape in buffer) and not (
        grammar.comment and _has_comment(buffer, grammar.comment)
    ):
        marks = _sound(newlines_only(buffer, at_end), at_end, grammar)
        if marks is not None:
            return marks
    return Marks(*native.walk(buffer, grammar, at_end=at_end, longest=MAX_RECORD_BYTES))


def newlines_only(buffer: bytes, at_end: bool = True) -> bytes:
    """The text with each CR that no LF follows turned into LF; every byte keeps its place."""
    if b"\r" not in buffer:
        return buffer
    array = np.frombuffer(buffer, np.uint8)
    returns = np.flatnonzero(array == RETURN)
    if not at_end and returns[-1] == len(array) - 1:
        returns = returns[:-1]  # LF may follow
    bare = returns[array[np.minimum(returns + 1, len(array) - 1)] != NEWLINE]
    if not len(bare):
        return buffer
    changed = array.copy()
    changed[bare] = NEWLINE
    return changed.tobytes()


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
    return Marks(end, _NO_CUTS, proof.lines[: np.searchsorted(proof.lines, end)], proof.breaks)


def _has_comment(buffer: bytes, comment: bytes) -> bool:
    return buffer.startswith(comment) or b"\n" + comment in buffer or b"\r" + comment in buffer
