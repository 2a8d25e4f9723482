"""Cutting text into blocks at ends of records that are proved, at the speed of the memory.

Every quote of a block is checked: an opening one must begin a field, a closing one must end it. Where that holds (`native.prove`), each
line end outside quotes ends a record. Where it does not, and in dialects with escapes or comments, the block is read record by record
(`native.walk`), and each line that breaks the quoting is cut out as a malformed record.

A block is bounded by its lines as well as by its bytes, because what becomes of a record takes memory however short it is.
"""

from __future__ import annotations

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
            stop = _bound_lines(buffer, MAX_LINES * (want // self._block_bytes))
            if stop:
                buffer, rest = buffer[:stop], buffer[stop:] + rest
            marks = cut_records(buffer, at_end and not rest, self._grammar)
            if want > self._block_bytes and len(marks.cuts) and not marks.cuts[0][0]:
                marks = _first_cut(marks)  # what follows a quote that was never closed is of the usual size again
            end = marks.end
            if end:
                yield Block(number, offset, buffer if end == len(buffer) else buffer[:end], marks)
                number, offset, want = number + 1, offset + end, self._block_bytes
            elif buffer:
                if len(buffer) > MAX_RECORD_BYTES:
                    raise DataRefused(
                        f"{self._name}: the record at byte {offset} is longer than {MAX_RECORD_BYTES >> 20} MiB, the limit;"
                        " is this a CSV file?"
                    )
                # The record is longer than a block; one byte beyond the limit is enough to tell that it is too long.
                want = min(2 * want, max(want + 1, MAX_RECORD_BYTES + 1))
            tail = buffer[end:] + rest


def _bound_lines(buffer: bytes, most: int) -> int:
    """Where the lines that may be in one block end; 0 when there are no more."""
    if len(buffer) <= most or (b"\r" not in buffer and native.count(buffer, NEWLINE) <= most):
        return 0
    return native.behind_lines(buffer, most)


def equal_blocks(size: int, most: int) -> int:
    """The size of a block, `most` at most, that makes all blocks of a text of this size about equal: none is a small rest."""
    if size <= most:
        return most
    return min(most, -(-size // -(-size // most)) + most // 256)  # each ends up to a record before


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


def _first_cut(marks: Marks) -> Marks:
    """The marks of a text's first record, which was cut out."""
    end = int(marks.cuts[0][1])
    lines = marks.lines[marks.lines < end]
    return Marks(end, marks.cuts[:1], lines, lines)


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
