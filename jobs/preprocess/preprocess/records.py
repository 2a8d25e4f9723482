"""The records of one block: where each begins and ends, and which of them only the grammar can split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from preprocess import native
from preprocess.cutting import NEWLINE, RETURN, Block, Positions
from preprocess.grammar import CODES
from preprocess.rejected import BLANK_ROW, ENCODING, FIELD_COUNT, NUL

if TYPE_CHECKING:
    from preprocess.grammar import Grammar
    from preprocess.rejected import Blame

# What a record is. Those above COMMENT are malformed and have their reasons; the order matters to nobody else.
REGULAR = 0
ODD = 1  # well-formed, with escapes: only the grammar can split it
COMMENT = 2
MALFORMED = 3


@dataclass(frozen=True)
class Records:
    """The records of a block, in order, comments among them.

    `text` is the block's with every line end outside quotes LF or CRLF; `states` says what each record is.
    """

    text: bytes
    starts: Positions
    ends: Positions
    states: npt.NDArray[np.uint8]
    line_ends: Positions

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


def find_records(block: Block, grammar: Grammar, blame: Blame) -> Records:
    """Find a block's records; those that are neither cut out nor hold an escape are taken to be regular."""
    marks = block.marks
    ends = marks.breaks + 1
    if len(block.text) and (not len(ends) or ends[-1] != len(block.text)):
        ends = np.append(ends, len(block.text))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    text = _end_with_newlines(block.text, ends)
    states = np.zeros(len(ends), np.uint8)
    records = Records(text, starts, ends, states, marks.lines)
    cut = np.searchsorted(starts, marks.cuts[:, 0])
    comments = marks.cuts[:, 2] == native.COMMENTED
    states[cut] = np.where(comments, COMMENT, MALFORMED)
    for kind, code in CODES.items():
        blame.add(cut[marks.cuts[:, 2] == kind], code)
    if grammar.escape and grammar.escape in text:
        _mark_odd(records, grammar)
    return records


def _end_with_newlines(text: bytes, ends: Positions) -> bytes:
    """The text with CR as a record's end turned into LF."""
    if b"\r" not in text:
        return text
    array = np.frombuffer(text, np.uint8)
    returns = (ends - 1)[array[ends - 1] == RETURN]
    if not len(returns):
        return text
    changed = array.copy()
    changed[returns] = NEWLINE
    return changed.tobytes()


def _mark_odd(records: Records, grammar: Grammar) -> None:
    escapes = np.flatnonzero(np.frombuffer(records.text, np.uint8) == grammar.escape[0])  # type: ignore[index]
    odd = np.unique(np.searchsorted(records.ends, escapes, side="right"))
    records.states[odd[records.states[odd] == REGULAR]] = ODD


@dataclass(frozen=True)
class Shape:
    """What makes a record a regular one.

    Attributes
    ----------
    width
        How many cells it has.
    trailing
        Whether each ends in a delimiter, behind which there is one more cell, an empty one.
    skip_blank
        Whether a blank row is no row.
    """

    width: int
    trailing: bool = False
    skip_blank: bool = False

    @property
    def cells(self) -> int:
        """How many cells a record has for the parser."""
        return self.width + self.trailing


def mark_malformed(records: Records, grammar: Grammar, shape: Shape, blame: Blame) -> bool:
    """Find each malformed record, with all its reasons; say whether there are any besides those cut out.

    What is left as regular has the shape, is valid UTF-8 without NUL, and holds no escape.
    """
    whole = (records.states == REGULAR) | (records.states == ODD)
    counts, flags = native.inspect(records.text, records.ends, grammar)
    blank = whole & _blank(records)
    if shape.skip_blank:
        records.states[blank] = COMMENT
        whole &= ~blank
        blank[:] = False
    ends_empty = flags & native.ENDS_EMPTY != 0
    wrong = whole & ~blank & ((counts != shape.cells) | (shape.trailing & ~ends_empty))
    nul, strange = (whole & (flags & flag != 0) for flag in (native.HAS_NUL, native.NOT_UTF8))
    blame.add(np.flatnonzero(blank), BLANK_ROW)
    at = np.flatnonzero(wrong)
    blame.add(at, FIELD_COUNT, values=pl.Series(counts[at]).cast(pl.String))
    blame.trailing += int(np.count_nonzero(wrong & ends_empty & (counts == shape.width + 1)))
    blame.add(np.flatnonzero(nul), NUL)
    blame.add(np.flatnonzero(strange), ENCODING)
    malformed = blank | wrong | nul | strange
    records.states[malformed] = MALFORMED
    return bool(malformed.any())


def _blank(records: Records) -> npt.NDArray[np.bool_]:
    """Which records are line ends and nothing else."""
    short = np.flatnonzero(records.ends - records.starts <= len(b"\r\n"))
    text = np.frombuffer(records.text, np.uint8)
    first = text[records.starts[short]]
    blank = np.zeros(len(records.ends), bool)
    blank[short] = (first == NEWLINE) | (first == RETURN)
    return blank
