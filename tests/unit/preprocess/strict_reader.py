"""An independent strict reader of CSV: byte by byte, slow and plain. It shares nothing with the job but the written rules.

The rules. LF, CRLF and CR outside quotes end a record. A field that begins with a quote ends with one, before a delimiter or a line end;
any other field holds no quote. A doubled quote inside quotes is a quote; an escape makes the next byte an ordinary one. A record that
breaks this is malformed up to the end of its first physical line, and reading goes on behind it. A line that begins with the comment
mark where a record would begin is no record. In a lenient dialect, a field that does not begin with a quote may hold some; in one that
skips spaces, those before a field are no part of it. Line ends alone are no record at the end of the text, and nowhere in a dialect that
skips blank rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Read:
    """One record: where it stands, its bytes, and either its cells or why it is malformed."""

    line: int
    offset: int
    raw: bytes
    cells: list[bytes] | None
    code: str | None
    comment: bool = False
    written: tuple[bytes | None, ...] = ()  # of each cell with escapes, what stands in the file within its quotes


@dataclass(frozen=True)
class Marks:
    """The dialect."""

    delimiter: bytes = b","
    quote: bytes | None = b'"'
    escape: bytes | None = None
    double: bool = True
    comment: bytes | None = None
    lenient: bool = False
    skip: bool = False
    skip_blank: bool = False


def read_all(data: bytes, marks: Marks, line: int = 1, offset: int = 0) -> list[Read]:
    """All records of a text; `line` and `offset` are those of its first byte."""
    found = []
    at = 0
    while at < len(data):
        if marks.comment is not None and data[at : at + 1] == marks.comment:
            end = _physical_line(data, at)
            found.append(Read(line, offset + at, data[at:end], None, None, comment=True))
        else:
            end, cells, code = _record(data, at, marks)
            texts = None if cells is None else [cell.text for cell in cells]
            written = () if cells is None else tuple(cell.written if cell.escaped else None for cell in cells)
            found.append(Read(line, offset + at, data[at:end], texts, code, written=written))
        line += _line_ends(data[at:end])
        at = end
    return found


def read_rows(data: bytes, marks: Marks, line: int = 1, offset: int = 0) -> list[Read]:
    """The same; line ends alone that are no rows are comments."""
    found = read_all(data, marks, line, offset)
    at_the_end = True
    for index in reversed(range(len(found))):
        blank = not found[index].raw.strip(b"\r\n")
        at_the_end &= blank
        if at_the_end or (blank and marks.skip_blank):
            found[index] = replace(found[index], cells=None, code=None, comment=True, written=())
    return found


@dataclass
class _Cell:
    """A cell: its text, what is written within its quotes, and whether that holds an escape."""

    text: bytes = b""
    written: bytes = b""
    escaped: bool = False

    def add(self, byte: bytes, written: bytes) -> None:
        self.text += byte
        self.written += written

    def add_escaped(self, written: bytes) -> None:
        self.add(written[1:], written)
        self.escaped = True


def _record(  # noqa: C901, PLR0912  a state machine reads best in one piece
    data: bytes, start: int, marks: Marks
) -> tuple[int, list[_Cell] | None, str | None]:
    cells: list[_Cell] = []
    cell = _Cell()
    state = "begin"  # of a field; then plain, quoted, closed
    at = start
    while True:
        byte = data[at : at + 1]
        if state == "quoted":
            if byte == b"":
                return _physical_line(data, start), None, "unclosedQuote"
            if marks.escape is not None and byte == marks.escape and at + 1 < len(data):
                cell.add_escaped(data[at : at + 2])
                at += 2
            elif marks.escape is not None and byte == marks.escape:
                return _physical_line(data, start), None, "quoting"
            elif byte == marks.quote and marks.double and data[at + 1 : at + 2] == marks.quote:
                cell.add(byte, byte + byte)
                at += 2
            elif byte == marks.quote:
                state = "closed"
                at += 1
            else:
                cell.add(byte, byte)
                at += 1
            continue
        if byte in (b"", b"\n", b"\r"):
            cells.append(cell)
            width = 2 if data[at : at + 2] == b"\r\n" else len(byte)
            return at + width, cells, None
        if byte == marks.delimiter:
            cells.append(cell)
            cell = _Cell()
            state = "begin"
            at += 1
            continue
        if state == "closed":
            return _physical_line(data, start), None, "quoting"
        if state == "begin" and marks.skip and byte == b" ":
            at += 1
        elif marks.quote is not None and byte == marks.quote and (state == "begin" or not marks.lenient):
            if state != "begin":
                return _physical_line(data, start), None, "quoting"
            state = "quoted"
            at += 1
        elif marks.escape is not None and byte == marks.escape:
            if at + 1 >= len(data):
                return _physical_line(data, start), None, "quoting"
            cell.add_escaped(data[at : at + 2])
            state = "plain"
            at += 2
        else:
            cell.add(byte, byte)
            state = "plain"
            at += 1


def _physical_line(data: bytes, at: int) -> int:
    while at < len(data):
        if data[at : at + 2] == b"\r\n":
            return at + 2
        if data[at : at + 1] in (b"\n", b"\r"):
            return at + 1
        at += 1
    return at


def _line_ends(text: bytes) -> int:
    count = at = 0
    while at < len(text):
        if text[at : at + 2] == b"\r\n":
            at += 1
        count += text[at : at + 1] in (b"\n", b"\r")
        at += 1
    return count
