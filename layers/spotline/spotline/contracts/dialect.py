"""The contract's `dialect`: how its files are written. What the Frictionless Dialect does not know stands under `dialect.spotline`."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from spotline.contracts.errors import ContractError
from spotline.contracts.model import Dialect
from spotline.documents import show

if TYPE_CHECKING:
    from spotline.contracts.document import Properties

_UNSUPPORTED = {
    "nullSequence": "use missingValues",
    "caseSensitiveHeader": "column names are matched as they are written; remove it",
    "lineTerminator": "LF, CRLF and CR all end a line; remove it",
    "csvddfVersion": "remove it",
}
_UNICODE = ("utf-8", "utf-16-le", "utf-16-be")


def read_dialect(properties: Properties | None) -> Dialect:
    """Read the section; without it, files are written as RFC 4180 says."""
    if properties is None:
        return Dialect()
    marks = {
        "delimiter": _delimiter(properties),
        "quoteChar": properties.text("quoteChar", '"') or None,
        "escapeChar": properties.character("escapeChar"),
        "commentChar": properties.character("commentChar"),
    }
    _check_marks(properties.where, marks)
    header = properties.flag("header", default=True)
    comment_rows = _rows(properties, "commentRows")
    header_rows = _header_rows(properties, comment_rows, header=header)
    join = properties.text("headerJoin", " ")
    skip_space = properties.flag("skipInitialSpace", default=False)
    if skip_space and marks["delimiter"] == " ":
        raise ContractError(properties.path("skipInitialSpace"), "the delimiter is a space; remove one")
    double_quote = properties.flag("doubleQuote", default=True)
    own = properties.object("spotline")
    dialect = Dialect(
        delimiter=marks["delimiter"] or ",",
        quote=marks["quoteChar"],
        double_quote=double_quote,
        escape=marks["escapeChar"],
        header=header,
        comment=marks["commentChar"],
        comment_rows=frozenset(comment_rows),
        header_rows=header_rows,
        header_join=" " if join is None else join,
        skip_initial_space=skip_space,
        lenient_quote=own.flag("lenientQuote", default=False) if own else False,
        trailing_delimiter=own.flag("trailingDelimiter", default=False) if own else False,
        skip_blank_rows=own.choice("blankRows", ("reject", "skip"), "reject") == "skip" if own else False,
        encoding=_encoding(own) if own else "utf-8",
    )
    if own is not None:
        own.done()
    properties.done(ignored=("$schema", "name", "title", "description"), unsupported=_UNSUPPORTED)
    return dialect


def _delimiter(properties: Properties) -> str:
    delimiter = properties.text("delimiter", ",") or ""
    if len(delimiter) > 1:
        raise ContractError(
            properties.path("delimiter"),
            f"{delimiter!r} must be one character: replace it in the file by one that no cell holds, such as a tab or"
            " '\\u001f', and name that here",
        )
    return delimiter


def _check_marks(where: str, marks: dict[str, str | None]) -> None:
    taken: dict[str, str] = {}
    for name, mark in marks.items():
        if mark is None:
            continue
        if len(mark) != 1 or not mark.isascii() or mark in "\r\n\0":
            raise ContractError(f"{where}.{name}", f"{mark!r} must be one ASCII character that ends no line")
        if mark in taken:
            raise ContractError(f"{where}.{name}", f"{mark!r} is {taken[mark]} already; they must differ")
        taken[mark] = name


def _rows(properties: Properties, name: str) -> list[int]:
    rows = properties.take(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, int) and not isinstance(row, bool) for row in rows):
        raise ContractError(properties.path(name), f"expected a list of row numbers, found {show(rows)}")
    return sorted(set(rows))


def _header_rows(properties: Properties, comment_rows: list[int], *, header: bool) -> tuple[int, ...]:
    """The rows of a header of several; with the comment rows, they must be the first rows of the file."""
    rows = _rows(properties, "headerRows")
    where = properties.path("headerRows")
    if rows and not header:
        raise ContractError(where, f"{show(rows)} must not be there where header is false; remove one")
    both = sorted({*rows, *comment_rows})
    if len(both) < len(rows) + len(comment_rows):
        raise ContractError(where, f"{show(rows)} and commentRows name the same row; remove it from one")
    spare = 1 if header and not rows else 0
    if both and (both[0] < 1 or both[-1] > len(both) + spare):
        name = "headerRows" if rows else "commentRows"
        raise ContractError(
            properties.path(name),
            f"{show(rows or comment_rows)} must be rows before the data, counted from 1, with only the header between",
        )
    return tuple(rows)


def _encoding(own: Properties) -> str:
    """The name that Python gives an encoding which this can read: Unicode's, or one byte for each character."""
    given = own.text("encoding", "utf-8") or ""
    where = own.path("encoding")
    try:
        name = codecs.lookup(given).name
    except (LookupError, ValueError) as cause:
        raise ContractError(where, f"{given!r} is no encoding that Python knows, such as 'windows-1252'") from cause
    if name in ("utf-16", "utf-32"):
        raise ContractError(where, f"{given!r} does not say the order of bytes; write 'utf-16-le' or 'utf-16-be'")
    if name not in _UNICODE and not _is_single_byte(name):
        raise ContractError(where, f"{given!r} cannot be read byte by byte; convert the file to UTF-8 and remove this")
    return name


def _is_single_byte(name: str) -> bool:
    """Whether each byte is a character, or none, whatever stands beside it, and ASCII's bytes are ASCII's characters."""
    every = bytes(range(256))
    try:
        alone = "".join(bytes([byte]).decode(name, "replace") for byte in every)
        if alone[:128] != every[:128].decode("ascii"):
            return False
        pairs = ["".join(f"{alone[lead]}{alone[trail]}" for trail in every) for lead in every]
        together = [bytes(mark for trail in every for mark in (lead, trail)).decode(name, "replace") for lead in every]
    except (LookupError, ValueError, TypeError, AssertionError, IndexError):
        return False
    return pairs == together
