"""Find the table in the first bytes of a file: its dialect, its header, what stands before it, and its first rows.

A guess is made only where the file leaves no other reading; each remaining guess becomes a remark, so that a person can check it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from preprocess.decoding import Text
from preprocess.encodings import find_encoding
from preprocess.grammar import Grammar
from preprocess.header import HEAD_BYTES
from preprocess.refusals import DataRefused
from spotline.contracts import Dialect
from spotline.contracts.cells import WHITE_SPACE

if TYPE_CHECKING:
    from preprocess.sources import Source

SAMPLE_ROWS = 10_000
_SNIFFED_RECORDS = 1_000
_USUAL_DELIMITERS = ",;\t|"
_RARE_DELIMITERS = "^~: "
_GOOD = 0.9  # the share of records that a usual delimiter must explain before rare ones are left out
_POOR = 0.5  # below this share a delimiter explains nothing, and the file has one column
_LONGEST_PREAMBLE = 100
_MOSTLY = 0.95  # the share of a column's cells that show its type: files are dirty
_TYPED = re.compile(
    r"\s*(?:[+-]?[0-9][0-9.,' ]*(?:[eE][+-]?[0-9]+)?|[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[T ][0-9:.]+\S*)?|[0-9]{1,2}:[0-9]{2}(?::[0-9.]+)?"
    r"|true|false|)\s*",
    re.IGNORECASE,
)
_MARKUP = re.compile(rb"\s*(?:<!doctype|<html|<\?xml|<[a-zA-Z][^<>,;]*>\s*<)", re.IGNORECASE)


@dataclass(frozen=True)
class Record:
    """One record: the physical line on which it begins, its raw text, and its cells, or None when its quotes break the grammar."""

    line: int
    raw: bytes
    cells: list[str] | None


@dataclass(frozen=True)
class Table:
    """A file's table.

    Attributes
    ----------
    dialect
        The contract's `dialect` section.
    names
        The columns' names; they stand in the header, unless `dialect` says that there is none.
    rows
        The first rows that have a cell for each name, at most `SAMPLE_ROWS`.
    remarks
        What a person must check, one sentence each.
    """

    dialect: dict[str, Any]
    names: tuple[str, ...]
    rows: list[list[str]]
    remarks: tuple[str, ...] = field(default=())


def find_table(source: Source) -> Table:
    """Find the table in the first MiB of a file.

    Raises
    ------
    DataRefused
        When the file is no CSV, or holds no row to draw conclusions from; the message names the line and the way out.
    """
    encoding = find_encoding(source)
    text = Text(source, encoding.name)
    head = text.read(HEAD_BYTES)
    marked = text.start > 0
    text.close()
    at_end = len(head) < HEAD_BYTES
    _refuse_other_formats(source.name, head)
    dialect, records = _best_reading(head, at_end)
    if not marked:
        dialect = replace(dialect, encoding=encoding.name)
    return _Reader(source.name, dialect, records, [encoding.remark] if encoding.remark else []).read()


def _refuse_other_formats(name: str, head: bytes) -> None:
    if not head.strip():
        raise DataRefused(f"{name}: empty; a header and at least one row are needed to draft a contract from")
    if b"\0" in head:
        line = head[: head.index(b"\0")].count(b"\n") + 1
        raise DataRefused(
            f"{name}: line {line} holds NUL bytes: this is no CSV file; export the table as CSV, encoded as UTF-8"
        )
    if _MARKUP.match(head):
        raise DataRefused(
            f"{name}: line 1 is markup (HTML or XML), not CSV; was a page saved in the place of the file?"
        )
    if _is_json(head):
        raise DataRefused(f"{name}: line 1 is JSON, not CSV; export the table as CSV")


def _is_json(head: bytes) -> bool:
    """Whether the file begins with a JSON object or array that spans the first line, or the whole text."""
    text = head.lstrip()
    if text[:1] not in (b"{", b"["):
        return False
    for candidate in (text, text.splitlines()[0]):
        try:
            json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return True
    return bool(
        re.match(
            rb"(?:\[\s*)?\{\s*\"[^\"]*\"\s*:|\[\s*$", text.split(b"\n", 2)[0] + b"\n" + text.split(b"\n", 2)[-1][:200]
        )
    )


@dataclass(frozen=True)
class _Reading:
    """The records under one dialect, and how well the dialect explains them."""

    dialect: Dialect
    records: list[Record]
    width: int
    first: int
    last: int
    share: float
    typed: float

    def get_rank(self) -> tuple[float, float, int]:
        """Readings with more consistent records are better; then those with more numbers and dates; then wider ones."""
        return (round(self.share, 2), round(self.typed, 2), self.width)


def _best_reading(head: bytes, at_end: bool) -> tuple[Dialect, list[Record]]:
    """The dialect that explains most; other ways to quote count only as long as their records keep to the grammar."""
    readings = [_best_delimiter(head, at_end, quoting) for quoting in _possible_quotings(head)]
    sound = [reading for reading in readings if all(record.cells is not None for record in reading.records)]
    best = max([reading for reading in sound if reading.dialect.quote] or sound or readings[:1], key=_Reading.get_rank)
    return best.dialect, _split_records(head, at_end, best.dialect, SAMPLE_ROWS + _LONGEST_PREAMBLE)


def _best_delimiter(head: bytes, at_end: bool, quoting: Dialect) -> _Reading:
    usual = _readings(head, at_end, _USUAL_DELIMITERS, quoting)
    wide = [reading for reading in usual if reading.width > 1 and reading.share >= _POOR]
    if not any(reading.share >= _GOOD for reading in wide):
        rare = _readings(
            head, at_end, _RARE_DELIMITERS.strip() if quoting.skip_initial_space else _RARE_DELIMITERS, quoting
        )
        wide += [reading for reading in rare if reading.width > 1 and reading.share >= _GOOD]
    return max(wide, key=_Reading.get_rank) if wide else usual[0]


def _readings(head: bytes, at_end: bool, delimiters: str, quoting: Dialect) -> list[_Reading]:
    dialects = [replace(quoting, delimiter=delimiter) for delimiter in delimiters]
    return [_weigh(dialect, _split_records(head, at_end, dialect, _SNIFFED_RECORDS)) for dialect in dialects]


def _possible_quotings(head: bytes) -> list[Dialect]:
    """Plain RFC 4180 first; other ways to quote only where the text has their marks."""
    found = [Dialect()]
    if re.search(rb'[,;\t|] +"', head):
        found.append(Dialect(skip_initial_space=True))
    if b'\\"' in head:
        found.append(Dialect(escape="\\", double_quote=False))
    if re.search(rb"(?:^|[,;\t|])'[^'\r\n]*'(?:[,;\t|\r\n]|$)", head, re.MULTILINE) and b'"' not in head:
        found.append(Dialect(quote="'"))
    if b'"' in head:
        found += [Dialect(quote=None), Dialect(lenient_quote=True)]
    return found


def _split_records(head: bytes, at_end: bool, dialect: Dialect, most: int) -> list[Record]:
    grammar = Grammar(dialect)
    records: list[Record] = []
    at, line = 0, 1
    while at < len(head) and len(records) < most:
        found = grammar.next_record(head, at, at_end)
        if found is None:
            break
        raw = head[at : found.end]
        cells = None if found.code else [cell.decode(errors="replace") for cell in grammar.split(raw)]
        records.append(Record(line, raw, cells))
        line += raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
        at = found.end
    return records


def _weigh(dialect: Dialect, records: list[Record]) -> _Reading:
    """How well a dialect explains records: the share that has the most common width, from the first such record to the last."""
    widths = [0 if record.cells is None else len(record.cells) for record in records if record.raw.strip()]
    counted = Counter(width for width in widths if width)
    if not counted:
        return _Reading(dialect, records, 0, 0, 0, 0.0, 0.0)
    width = max(counted, key=lambda each: (counted[each] * (each > 1), counted[each], each))
    first, last = widths.index(width), len(widths) - 1 - widths[::-1].index(width)
    inside = widths[first : last + 1]
    share = inside.count(width) / len(inside) * (len(inside) / len(widths)) ** 0.5
    cells = [cell for record in records[first + 1 : last + 1] for cell in record.cells or ()]
    typed = sum(1 for cell in cells if _TYPED.fullmatch(cell)) / max(1, len(cells))
    return _Reading(dialect, records, width, first, last, share, typed)


class _Reader:
    """From the records of the best dialect to the table."""

    def __init__(self, name: str, dialect: Dialect, records: list[Record], remarks: list[str]) -> None:
        self._name = name
        self._dialect = dialect
        self._records = records
        self._remarks = remarks

    def read(self) -> Table:
        """See `find_table`."""
        comment = self._find_comment_mark()
        records = [record for record in self._records if not (comment and record.raw.startswith(comment.encode()))]
        width = _weigh(self._dialect, records).width
        start = next((index for index, each in enumerate(records) if _has_width(each, width)), None)
        if start is None:
            raise DataRefused(
                f"{self._name}: no line can be split into cells; a header and at least one row are needed"
            )
        start = self._include_narrow_header(records, start, width)
        body = [record.cells for record in records[start + 1 :] if _has_width(record, width)]
        first = records[start]
        dialect = self._describe_dialect(comment)
        if self._ends_in_delimiters(first, [cells for cells in body if cells is not None], width):
            dialect["spotline"] = {**dialect.get("spotline", {}), "trailingDelimiter": True}
            self._remarks.append(
                "each row ends in a delimiter, which is no cell of its own (dialect.spotline.trailingDelimiter)"
            )
            width -= 1
            body = [cells[:-1] for cells in body if cells is not None]
            first = replace(first, cells=(first.cells or [])[:width])
        header, names = self._read_names(first, [cells for cells in body if cells is not None], width)
        preamble = first.line - 1 - (first.line - 1 if comment and start == 0 else 0)
        skipped = list(range(1, preamble + 1))
        if skipped:
            self._remarks.append(
                f"line 1 to {preamble} stand before the table and are skipped (dialect.commentRows); check that each file has as many"
                if preamble > 1
                else "line 1 stands before the table and is skipped (dialect.commentRows); check that each file has it"
            )
        rows = [cells for cells in body if cells is not None]
        if header == "absent":
            rows.insert(0, list(first.cells or ()))
            dialect["header"] = False
        elif header == "replaced":
            dialect["header"] = False
            skipped.append(first.line)
        if skipped:
            dialect["commentRows"] = skipped
        if not rows:
            raise DataRefused(f"{self._name}: a header and at least one row are needed to draft a contract from")
        return Table(dialect, names, rows[:SAMPLE_ROWS], tuple(self._remarks))

    def _describe_dialect(self, comment: str | None) -> dict[str, Any]:
        described: dict[str, Any] = {"delimiter": self._dialect.delimiter}
        if self._dialect.quote != '"':
            described["quoteChar"] = self._dialect.quote or ""
        if self._dialect.skip_initial_space:
            described["skipInitialSpace"] = True
        if self._dialect.escape is not None:
            described |= {"escapeChar": self._dialect.escape, "doubleQuote": self._dialect.double_quote}
        if comment is not None:
            described["commentChar"] = comment
        own: dict[str, Any] = {}
        if self._dialect.lenient_quote:
            own["lenientQuote"] = True
            self._remarks.append(self._describe_lenient_quotes())
        if self._dialect.encoding != "utf-8":
            own["encoding"] = self._dialect.encoding
        if own:
            described["spotline"] = own
        return described

    def _describe_lenient_quotes(self) -> str:
        strict = Grammar(replace(self._dialect, lenient_quote=False))
        record = next(each for each in self._records if _breaks(strict, each))
        return (
            f"line {record.line} has a quote inside a cell that does not begin with one: it is read as an ordinary character"
            " (dialect.spotline.lenientQuote)"
        )

    def _find_comment_mark(self) -> str | None:
        """`#`, where lines begin with it that are no rows of the table."""
        width = _weigh(self._dialect, self._records).width
        marked = [record for record in self._records if record.raw.startswith(b"#")]
        if any(not _has_width(record, width) or width == 1 for record in marked) and len(marked) < len(self._records):
            self._remarks.append(f"{len(marked)} lines begin with # and are comments (dialect.commentChar)")
            return "#"
        return None

    def _include_narrow_header(self, records: list[Record], start: int, width: int) -> int:
        """Step back to a header that is one cell narrower than its rows, and say what that means."""
        if start == 0 or not _has_width(records[start - 1], width - 1) or width < 3:
            return start
        rows = [record.cells or [] for record in records[start:] if _has_width(record, width)]
        line = records[start].line
        if all(not row[-1].strip() for row in rows):
            return start - 1
        self._remarks.append(
            f"line {line} has {width} cells where the header has {width - 1}: the first column has no name, and is called 'column1'"
        )
        return start - 1

    def _ends_in_delimiters(self, first: Record, body: list[list[str]], width: int) -> bool:
        """Whether the last cell of each row is empty and has no name: what follows the last delimiter is no column."""
        named = [cell.strip() for cell in first.cells or ()]
        return width > 1 and bool(body) and all(not row[-1].strip() for row in body) and not "".join(named[width - 1 :])

    def _read_names(self, first: Record, body: list[list[str]], width: int) -> tuple[str, tuple[str, ...]]:
        """Whether the first record is the header (`present`), data (`absent`), or unfit to find columns by (`replaced`)."""
        cells = [cell.strip(WHITE_SPACE) for cell in first.cells or ()]
        if len(cells) == width - 1:
            return "replaced", tuple(_distinct(["", *cells]))
        if _looks_like_data(cells, body):
            self._remarks.append(
                f"line {first.line} looks like data: no header is expected (dialect.header), and the columns are called"
                " 'column1' and so on; write their real names into fields[].name"
            )
            return "absent", tuple(f"column{index + 1}" for index in range(width))
        if body and not _proves_header(cells, body):
            self._remarks.append(
                f"line {first.line} is taken for the header, and nothing in the columns proves it; if it is data, set dialect.header to false"
            )
        unusable = [cell for index, cell in enumerate(cells) if not cell or cell in cells[:index]]
        if unusable:
            self._remarks.append(
                f"line {first.line}: columns without a name, or with the name of another ({', '.join(map(repr, unusable[:3]))}), cannot be"
                " found by name: the header is skipped (dialect.commentRows) and columns are taken in the order of fields"
            )
            return "replaced", tuple(_distinct(cells))
        return "present", tuple(cells)


def _breaks(grammar: Grammar, record: Record) -> bool:
    found = grammar.next_record(record.raw, 0, at_end=True)
    return found is None or found.code is not None


def _has_width(record: Record, width: int) -> bool:
    return record.cells is not None and len(record.cells) == width and bool(record.raw.strip(b"\r\n") or width > 1)


def _distinct(names: list[str]) -> list[str]:
    """Names that differ: a blank one is called after its place, a repeated one gets a number."""
    found: list[str] = []
    for index, name in enumerate(names):
        base = name or f"column{index + 1}"
        candidate, number = base, 1
        while candidate in found or (candidate in names[index + 1 :] and candidate != name):
            number += 1
            candidate = f"{base}_{number}"
        found.append(candidate)
    return found


def _typed_columns(body: list[list[str]]) -> list[int]:
    """The columns in which nearly each cell that is not empty reads as a number, a date, a time or a truth value."""
    columns = list(zip(*body, strict=True))
    return [
        index
        for index, cells in enumerate(columns)
        if any(cell.strip() for cell in cells)
        and sum(1 for cell in cells if _TYPED.fullmatch(cell)) >= len(cells) * _MOSTLY
    ]


def _looks_like_data(first: list[str], body: list[list[str]]) -> bool:
    """Whether the first record reads as the rows under it do, in each column that has a type at all."""
    typed = _typed_columns(body)
    if not typed:
        recurring = [index for index, cell in enumerate(first) if cell and sum(row[index] == cell for row in body) > 0]
        return bool(recurring) and len(set(first)) == len(first) and len(recurring) * 2 > len(first)
    cells = [first[index] for index in typed]
    if not all(cell and _TYPED.fullmatch(cell) for cell in cells):
        return False
    years = [int(cell) for cell in cells if re.fullmatch(r"(?:19|20)[0-9]{2}", cell)]
    in_sequence = len(years) == len(cells) > 1 and all(later - earlier == 1 for earlier, later in pairwise(years))
    return not in_sequence


def _proves_header(first: list[str], body: list[list[str]]) -> bool:
    """Whether a column has a type that its first cell lacks."""
    return any(not _TYPED.fullmatch(first[index]) or not first[index] for index in _typed_columns(body))
