"""Drafting a contract from a file, for a person to edit: guesses, each of them visible, none of them acted upon."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from preprocess.decoding import Text
from preprocess.grammar import Grammar
from preprocess.header import HEAD_BYTES
from preprocess.refusals import DataRefused
from spotline.contracts import Contract, Dialect
from spotline.contracts.cells import WHITE_SPACE, judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from preprocess.sources import Source

_DELIMITERS = ",;\t|"
_MISSING = ("", "NA", "N/A", "n/a", "null", "NULL", "None", "nan", "NaN", "-")
_MAX_ROWS = 10_000
_MAX_CHOICES = 12
_MAX_STRANGE = 0.05  # the share of cells that a type need not read: files are dirty

# The first type that reads nearly every cell is taken; so the narrow ones stand first.
_TYPES: tuple[dict[str, Any], ...] = (
    {"type": "boolean", "trueValues": ["true", "True", "TRUE"], "falseValues": ["false", "False", "FALSE"]},
    {"type": "integer"},
    {"type": "number"},
    {"type": "number", "decimalChar": ","},
    {"type": "date"},
    {"type": "datetime"},
    {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S"},
    {"type": "datetime", "format": "%Y-%m-%d %H:%M"},
    {"type": "date", "format": "%d/%m/%Y"},
    {"type": "date", "format": "%m/%d/%Y"},
    {"type": "date", "format": "%d.%m.%Y"},
    {"type": "time"},
    {"type": "yearmonth"},
)


def draft(source: Source) -> tuple[bytes, list[str]]:
    """A contract that the first rows of a file nearly follow, and remarks on the cells that do not.

    Raises
    ------
    DataRefused
        When there is no header and no row to draw conclusions from.
    """
    text = Text(source)
    head = text.read(HEAD_BYTES)
    text.close()
    delimiter, rows = _best_rows(head, at_end=len(head) < HEAD_BYTES)
    if len(rows) < 2:
        raise DataRefused(f"{source.name}: a header and at least one row are needed to draft a contract from")
    names = [name.strip(WHITE_SPACE) for name in rows[0]]
    for index, name in enumerate(names):
        if not name or name in names[:index]:
            raise DataRefused(
                f"{source.name}: column {index + 1} of the header is {name!r}; give each column a name of its own"
            )
    columns = list(zip(*rows[1:], strict=True))
    trim = any(cell != cell.strip(WHITE_SPACE) for column in columns for cell in column)
    cells = [[cell.strip(WHITE_SPACE) if trim else cell for cell in column] for column in columns]
    missing = [text for text in _MISSING if text == "" or any(text in column for column in cells)]
    drafted = [_field(name, column, missing, trim=trim) for name, column in zip(names, cells, strict=True)]
    contract = {
        "title": f"Drafted from {len(rows) - 1} rows: check every line",
        "fields": [field for field, _ in drafted],
        "missingValues": missing,
        "dialect": {"delimiter": delimiter},
        "spotline": {"trim": trim, "tolerance": {"maxRejectedShare": 0.01, "minRows": 1}},
    }
    body = json.dumps(contract, ensure_ascii=False, indent=2).encode() + b"\n"
    return body, [remark for _, remark in drafted if remark is not None]


def _best_rows(head: bytes, *, at_end: bool) -> tuple[str, list[list[str]]]:
    """The delimiter under which most rows have as many cells as the header, and those rows."""
    found = {mark: _rows(head, mark, at_end=at_end) for mark in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda mark: (len(found[mark][0]) > 1 if found[mark] else False, _cells(found[mark])))
    return best, found[best]


def _cells(rows: list[list[str]]) -> int:
    return sum(map(len, rows))


def _rows(head: bytes, delimiter: str, *, at_end: bool) -> list[list[str]]:
    grammar = Grammar(Dialect(delimiter=delimiter))
    rows: list[list[str]] = []
    at = 0
    while at < len(head) and len(rows) <= _MAX_ROWS:
        record = grammar.next_record(head, at, at_end)
        if record is None:
            break
        if record.code is None:
            cells = [cell.decode(errors="replace") for cell in grammar.split(head[at : record.end])]
            if not rows or len(cells) == len(rows[0]):
                rows.append(cells)
        at = record.end
    return rows


def _field(name: str, cells: list[str], missing: list[str], *, trim: bool) -> tuple[dict[str, Any], str | None]:
    """A field that nearly all cells follow, and a remark on those that do not."""
    present = [cell for cell in cells if cell not in missing]
    field: dict[str, Any] = {"name": name, "type": "string"}
    remark = None
    if present:
        counts = Counter(present)
        for guess in _TYPES:
            strange = _strange(guess, counts, trim=trim)
            if sum(counts[cell] for cell in strange) <= len(present) * _MAX_STRANGE:
                field |= guess
                if strange:
                    many = sum(counts[cell] for cell in strange)
                    remark = f"{name}: {many} of {len(present)} cells are no {field['type']}, such as {strange[0]!r}"
                break
        if field["type"] == "string" and len(counts) <= _MAX_CHOICES and len(present) >= 10 * len(counts):
            field["constraints"] = {"enum": sorted(counts)}
    if len(present) == len(cells):
        field["constraints"] = {"required": True} | field.get("constraints", {})
    return field, remark


def _strange(guess: dict[str, Any], cells: Iterable[str], *, trim: bool) -> list[str]:
    """The cells that a type does not read."""
    document = {"fields": [{"name": "x", **guess}], "missingValues": [], "spotline": {"trim": trim}}
    field = Contract.from_json(json.dumps(document).encode()).fields[0]
    return [cell for cell in cells if judge(field, cell).broken]
