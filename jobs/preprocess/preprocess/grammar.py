"""What a record is: the strict grammar of RFC 4180 under a contract's dialect, record by record.

A field is quoted from its first byte to its last, or holds no quote at all. LF, CRLF and CR outside quotes end a record. A physical
line in which the quoting breaks is one malformed record, and reading resumes on the next line. A dialect may allow quotes in cells that
do not begin with one, and spaces before a cell. `cutting` finds the records of whole blocks at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from preprocess import native

if TYPE_CHECKING:
    from spotline.contracts import Dialect

QUOTING = "quoting"
UNCLOSED_QUOTE = "unclosedQuote"

# A quote still open after this many bytes counts as never closed, so that one stray quote cannot fill the memory.
MAX_RECORD_BYTES = 64 << 20

_LINE_END = re.compile(rb"\r\n|\n|\r")


# What a line that is cut out is called; a comment is no reject.
CODES = {native.MALFORMED: QUOTING, native.NEVER_CLOSED: UNCLOSED_QUOTE}


class Found(NamedTuple):
    """What stands at a position: a record up to `end`, malformed when it has a `code`."""

    end: int
    code: str | None


class Grammar:
    """The records of one dialect.

    Parameters
    ----------
    dialect
        Every mark in it is one ASCII character, so that bytes of UTF-8 text can be compared with it.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.delimiter = dialect.delimiter.encode()
        self.quote = dialect.quote.encode() if dialect.quote else None
        self.escape = dialect.escape.encode() if dialect.escape else None
        self.double_quote = dialect.double_quote
        self.comment = dialect.comment.encode() if dialect.comment else None
        self.lenient_quote = dialect.lenient_quote
        self.skip_space = dialect.skip_initial_space
        self._undo = re.compile(b"|".join(filter(None, (self._doubled(), self._escaped()))) or b"(?!)", re.DOTALL)
        self._unescape = re.compile(self._escaped() or b"(?!)", re.DOTALL)

    @property
    def unusual(self) -> bool:
        """Whether quotes alone do not say where cells end and what is in them."""
        return self.escape is not None or self.lenient_quote or self.skip_space

    def next_record(self, text: bytes, start: int, at_end: bool) -> Found | None:
        """The record that begins at `start`, or None when more text is needed to tell.

        Parameters
        ----------
        text
            UTF-8 text; `start` is the beginning of a record.
        at_end
            Whether nothing follows `text`.
        """
        what, end = native.next_record(text, start, self, at_end=at_end, longest=MAX_RECORD_BYTES)
        return None if what == native.CUT_OFF else Found(end, CODES.get(what))

    def split(self, record: bytes) -> list[bytes]:
        """The fields of one well-formed record, quotes and escapes undone, its line end left out."""
        return [text for text, _ in self.split_written(record)]

    def split_written(self, record: bytes) -> list[tuple[bytes, bytes]]:
        """The same, each with what is written in the file within its quotes: equal where there is no escape."""
        fields = []
        for start, end, undo in native.list_cells(record, self):
            written = record[start:end]
            quoted = self.quote is not None and start > 0 and record[start - 1 : start] == self.quote
            marks = self._undo if quoted else self._unescape
            text = marks.sub(lambda match: match.group()[-1:], written) if undo else written
            fields.append((text, written if self.escape and self.escape in written else text))
        return fields

    def _doubled(self) -> bytes | None:
        return re.escape(self.quote * 2) if self.quote and self.double_quote else None

    def _escaped(self) -> bytes | None:
        return re.escape(self.escape) + b"." if self.escape else None


def line_end(text: bytes, start: int, at_end: bool) -> int | None:
    """Where the physical line that begins at or around `start` ends, its line end included; None when the text stops before."""
    match = _LINE_END.search(text, start)
    if match is None:
        return len(text) if at_end else None
    if match.end() == len(text) and not at_end and match.group() == b"\r":
        return None  # LF may follow
    return match.end()
