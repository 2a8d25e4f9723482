"""The first rows of a file: whether this is the file that the contract describes, and which column is which."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from preprocess.grammar import Grammar, line_end
from preprocess.refusals import DataRefused
from spotline.contracts.cells import WHITE_SPACE

if TYPE_CHECKING:
    from spotline.contracts import Contract

# The header must end within this many bytes: a longer first line is no header.
HEAD_BYTES = 1 << 20

_WAY_OUT = "send the right file, or fix the contract"


@dataclass(frozen=True)
class Header:
    """Where a file's columns and its data are.

    Attributes
    ----------
    columns
        The file's columns in its order: the field's name, or None for a column that the contract does not know.
    extra
        The names of the columns that the contract does not know.
    size
        Bytes of UTF-8 text before the first record of data.
    lines
        Lines before the first record of data.
    """

    columns: tuple[str | None, ...]
    extra: tuple[str, ...]
    size: int
    lines: int


class _Row(NamedTuple):
    """A row of the header."""

    line: int
    cells: list[str]


def read_header(name: str, head: bytes, at_end: bool, contract: Contract) -> Header:
    """Find the header in the beginning of a file.

    Parameters
    ----------
    name
        The file's, for messages.
    head
        The first bytes of its text; `at_end` says that this is all of it.

    Raises
    ------
    DataRefused
        When the file is empty, is no text, or lacks a column; the message names file, line and way out.
    """
    if not head.strip():
        raise DataRefused(f"{name}: empty; {_WAY_OUT}")
    dialect, grammar = contract.dialect, Grammar(contract.dialect)
    at, line = _separator_line(name, head, at_end, contract) if dialect.header else (0, 0)
    rows: list[_Row] = []
    wanted = (len(dialect.header_rows) or 1) if dialect.header else 0
    number = 0
    while at < len(head):
        number += 1
        awaited = len(rows) < wanted
        skipped = number in dialect.comment_rows or (awaited and _is_comment(head, at, grammar))
        if not skipped and not awaited:
            break
        end = line_end(head, at, at_end) if skipped else _record_end(name, head, at, at_end, grammar, line + 1)
        if end is None:
            raise DataRefused(f"{name}: line {line + 1} is longer than {HEAD_BYTES >> 10} KiB; is this a CSV file?")
        if not skipped:
            rows.append(_Row(line + 1, _cells(name, head[at:end], line + 1, grammar)))
        line += _lines(head[at:end])
        at = end
    if len(rows) < wanted:
        raise DataRefused(f"{name}: line {line + 1}: no header; {_WAY_OUT}")
    header = _match(name, rows, contract) if rows else Header(contract.names, (), 0, 0)
    return replace(header, size=at, lines=line)


def _separator_line(name: str, head: bytes, at_end: bool, contract: Contract) -> tuple[int, int]:
    """Where the text goes on, and after how many lines: behind a first line `sep=;`, which tells Excel the delimiter."""
    end = line_end(head, 0, at_end) or 0
    line = head[:end].rstrip(b"\r\n")
    if not line.startswith(b"sep=") or len(line) != len(b"sep=") + 1:
        return 0, 0
    mark = line[-1:].decode(errors="replace")
    if mark != contract.dialect.delimiter:
        raise DataRefused(
            f"{name}: line 1 says that the delimiter is {mark!r}, the contract says {contract.dialect.delimiter!r}; {_WAY_OUT}"
        )
    return end, 1


def _is_comment(head: bytes, at: int, grammar: Grammar) -> bool:
    return grammar.comment is not None and head.startswith(grammar.comment, at)


def _record_end(name: str, head: bytes, at: int, at_end: bool, grammar: Grammar, line: int) -> int | None:
    found = grammar.next_record(head, at, at_end)
    if found is None:
        return None
    if found.code is not None:
        _refuse_strange(name, head[at : found.end], line)
        raise DataRefused(f"{name}: line {line}: the quotes in the header do not match; {_WAY_OUT}")
    return found.end


def _cells(name: str, record: bytes, line: int, grammar: Grammar) -> list[str]:
    _refuse_strange(name, record, line)
    return [cell.decode() for cell in grammar.split(record)]


def _refuse_strange(name: str, record: bytes, line: int) -> None:
    if b"\0" in record:
        raise DataRefused(
            f"{name}: line {line} holds NUL bytes: this is no CSV file, or UTF-16 without byte-order mark; name its encoding in"
            " dialect.spotline.encoding, or save it as UTF-8"
        )
    try:
        record.decode()
    except UnicodeDecodeError as cause:
        raise DataRefused(
            f"{name}: line {line}, byte {cause.start + 1} is not UTF-8: this is no CSV file, or in another encoding; save it as UTF-8"
        ) from cause


def _match(name: str, rows: list[_Row], contract: Contract) -> Header:
    line, cells = rows[0].line, _join(name, rows, contract)
    found = [cell.strip(WHITE_SPACE) if contract.trim else cell for cell in cells]
    if contract.dialect.trailing_delimiter and len(found) > 1 and not found[-1]:
        found.pop()
    wanted = set(contract.names)
    missing = [field for field in contract.names if field not in found]
    if missing:
        raise DataRefused(f"{name}: line {line}: {_missing(missing, found, contract.dialect.delimiter)}; {_WAY_OUT}")
    doubled = [field for field in contract.names if found.count(field) > 1]
    if doubled:
        raise DataRefused(f"{name}: line {line}: the column {doubled[0]!r} stands twice in the header; {_WAY_OUT}")
    columns = tuple(cell if cell in wanted else None for cell in found)
    return Header(columns, tuple(cell for cell in found if cell not in wanted), 0, 0)


def _join(name: str, rows: list[_Row], contract: Contract) -> list[str]:
    """The names of the columns: those of one row, or joined of several, without what is empty or the same as above."""
    first = rows[0]
    for row in rows[1:]:
        if len(row.cells) != len(first.cells):
            raise DataRefused(
                f"{name}: line {row.line} has {len(row.cells)} cells where line {first.line} has {len(first.cells)}: they are no header"
                f" of several rows; {_WAY_OUT}"
            )
    names = []
    for cells in zip(*(row.cells for row in rows), strict=True):
        parts = [cell for index, cell in enumerate(cells) if cell and (not index or cell != cells[index - 1])]
        names.append(contract.dialect.header_join.join(parts))
    return names


def _missing(missing: list[str], found: list[str], delimiter: str) -> str:
    shown = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    problem = f"the header lacks {'the column' if len(missing) == 1 else f'{len(missing)} columns:'} {shown}"
    other = next((mark for mark in ",;\t|" if mark != delimiter and len(found) == 1 and mark in found[0]), None)
    if other is not None:
        return f"{problem}; it looks delimited by {other!r}, where the contract says {delimiter!r}"
    close = difflib.get_close_matches(missing[0], found, n=1, cutoff=0.75)
    if close:
        return f"{problem}; is {close[0]!r} meant for it?"
    begin = ", ".join(map(repr, found[:5])) + (", ..." if len(found) > 5 else "")
    return f"{problem}; it begins {begin[:120]}"


def _lines(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
