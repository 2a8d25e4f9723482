"""What a record is: the strict grammar of RFC 4180 under a contract's dialect, record by record.

A field is quoted from its first byte to its last, or holds no quote at all. LF, CRLF and CR outside quotes end a record. A physical
line in which the quoting breaks is one malformed record, and reading resumes on the next line. This reader is slow and always right;
`cutting` proves the same for whole blocks at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from spotline.contracts import Dialect

QUOTING = "quoting"
UNCLOSED_QUOTE = "unclosedQuote"

# A quote still open after this many bytes counts as never closed, so that one stray quote cannot fill the memory.
MAX_RECORD_BYTES = 64 << 20

_LINE_END = re.compile(rb"\r\n|\n|\r")


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
        delimiter = re.escape(self.delimiter)
        marks = re.escape(b"".join(filter(None, (self.quote, self.escape))))
        escaped = b"|" + re.escape(self.escape) + b"." if self.escape else b""
        plain = b"(?:[^" + delimiter + marks + rb"\r\n]++" + escaped + b")*+"
        if self.quote:
            quote = re.escape(self.quote)
            doubled = b"|" + quote + quote if self.double_quote else b""
            inside = b"(?:[^" + marks + b"]++" + doubled + escaped + b")*+"
            quoted = quote + inside + quote
            field = b"(?:" + quoted + b"|" + plain + b")"
            before = b"(?:" + field + delimiter + b")*+"
            self._unclosed = re.compile(before + quote + inside + rb"\Z", re.DOTALL)
            self._broken = re.compile(
                before + b"(?:" + quoted + b"[^" + delimiter + rb"\r\n]|(?!" + quote + b")" + plain + quote + b")",
                re.DOTALL,
            )
        else:
            quoted, field = b"(?!)", plain
            self._unclosed = self._broken = re.compile(b"(?!)")
        self._record = re.compile(field + b"(?:" + delimiter + field + rb")*+(\r\n|\n|\r|\Z)", re.DOTALL)
        self._field = re.compile(b"(" + quoted + b")|(" + plain + b")", re.DOTALL)
        self._undo = re.compile(b"|".join(filter(None, (self._doubled(), self._escaped()))) or b"(?!)", re.DOTALL)

    def next_record(self, text: bytes, start: int, at_end: bool) -> Found | None:
        """The record that begins at `start`, or None when more text is needed to tell.

        Parameters
        ----------
        text
            UTF-8 text; `start` is the beginning of a record.
        at_end
            Whether nothing follows `text`.
        """
        match = self._record.match(text, start)
        if match:
            end, ending = match.end(), match.group(1)
            certain = at_end or ending.endswith(b"\n") or (ending == b"\r" and end < len(text))
            return Found(end, None) if certain else None
        unclosed = self._unclosed.match(text, start) is not None
        if not at_end:
            too_long = unclosed and len(text) - start > MAX_RECORD_BYTES
            if not too_long and (unclosed or not self._broken.match(text, start)):
                return None
        stop = line_end(text, start, at_end)
        return None if stop is None else Found(stop, UNCLOSED_QUOTE if unclosed else QUOTING)

    def split(self, record: bytes) -> list[bytes]:
        """The fields of one well-formed record, quotes and escapes undone, its line end left out."""
        return [text for text, _ in self.split_written(record)]

    def split_written(self, record: bytes) -> list[tuple[bytes, bytes]]:
        """The same, each with what is written in the file within its quotes: equal where there is no escape."""
        fields = []
        at = 0
        while True:
            match = self._field.match(record, at)
            if match is None:  # the plain alternative matches the empty string
                raise AssertionError(f"not a record: {record[:80]!r}")
            quoted, plain = match.groups()
            written = plain if quoted is None else quoted[1:-1]
            text = self._plain(written)
            fields.append((text, written if self.escape and self.escape in written else text))
            at = match.end()
            if record[at : at + 1] != self.delimiter:
                return fields
            at += 1

    def quotes(self, record: bytes) -> list[int]:
        """Where quoted fields open and close in a well-formed record: opening and closing in turn."""
        if self.quote is None or self.quote not in record:
            return []
        found = []
        at = 0
        while True:
            match = self._field.match(record, at)
            if match is None:
                raise AssertionError(f"not a record: {record[:80]!r}")
            if match.group(1) is not None:
                found += [match.start(), match.end() - 1]
            at = match.end()
            if record[at : at + 1] != self.delimiter:
                return found
            at += 1

    def escaped_line_ends(self, record: bytes) -> list[int]:
        """Where escapes make line ends ordinary characters in a well-formed record."""
        if self.escape is None or self.escape not in record:
            return []
        escapes = re.finditer(re.escape(self.escape) + b".", record, re.DOTALL)
        return [match.end() - 1 for match in escapes if match.group()[-1:] in (b"\r", b"\n")]

    def _plain(self, text: bytes) -> bytes:
        return self._undo.sub(lambda match: match.group()[-1:], text)

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
