"""Guess the type of a column from its cells, without ever changing a value in silence."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from spotline.contracts import Contract
from spotline.contracts.cells import judge

if TYPE_CHECKING:
    from spotline.contracts import Field

# What exports write for "no value". In a column of text they may be text: NA is Namibia's country code.
NO_VALUE = ("NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "nan", "NaN", "-", "\\N")
_MOST_EXCEPTIONS = 0.05  # the share of cells that a type need not read, where only string reads all of them
_BOOLEAN_PAIRS = (("1", "0"), ("yes", "no"), ("y", "n"), ("true", "false"), ("t", "f"))
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")

_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_CODE_WITH_EXPONENT = re.compile(r"[0-9]+[eE][0-9]+")
_GROUPS = {
    mark: re.compile(rf"[+-]?[0-9]{{1,3}}(?:{re.escape(mark)}[0-9]{{2,3}})*{re.escape(mark)}[0-9]{{3}}")
    for mark in ",. '\xa0\u202f"
}


@dataclass
class Guess:
    """A type with its properties, the words that mean "no value" there, how many cells it does not read, and remarks."""

    properties: dict[str, Any]
    missing: list[str] = field(default_factory=list)
    exceptions: int = 0
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    """A type that a column may have."""

    properties: dict[str, Any]

    @property
    def type(self) -> str:
        """The field's type."""
        return str(self.properties["type"])


def guess_type(cells: list[str]) -> Guess:
    """The narrowest type that reads every cell and keeps every value, or `string`.

    A type that leaves out up to 5% of the cells is taken only where no type but `string` reads all of them.
    """
    counts = Counter(cell for cell in cells if cell)
    if not counts:
        return Guess({"type": "string"})
    words = [word for word in NO_VALUE if word in counts]
    found = _narrow_type(Counter({cell: count for cell, count in counts.items() if cell not in words}))
    if found is not None and found.properties["type"] != "string":
        found.missing = words
        if words:
            many = sum(counts[word] for word in words)
            found.remarks.append(
                f"cells that are {' or '.join(map(repr, words))} and mean no value (missingValues): {many}"
            )
        return found
    text = found or Guess({"type": "string"})
    if words and len(counts) > len(words):
        many = sum(counts[word] for word in words)
        text.remarks.append(
            f"cells that are {' or '.join(map(repr, words))} and stay text: {many}; if they mean no value, add them to missingValues"
        )
    return text


def is_boolean_like(cells: list[str]) -> tuple[str, str] | None:
    """The two texts of a column that mean true and false, as they are written, or None."""
    values = {cell for cell in cells if cell}
    for true, false in _BOOLEAN_PAIRS:
        if len(values) == 2 and {value.lower() for value in values} == {true, false}:
            return next(v for v in values if v.lower() == true), next(v for v in values if v.lower() == false)
    return None


def _narrow_type(counts: Counter[str]) -> Guess | None:
    """The type of the cells that are not missing: None when there are none, `string` with remarks when no narrower type is safe."""
    if not counts:
        return None
    doubt = _find_identifiers(counts)
    if doubt is not None:
        return Guess({"type": "string"}, remarks=[doubt])
    total = counts.total()
    nearly: list[tuple[int, _Candidate, str]] = []
    readers: list[_Candidate] = []
    for candidate in _candidates(counts):
        strange = _unread(candidate.properties, counts, most=total * _MOST_EXCEPTIONS)
        exceptions = sum(counts[cell] for cell in strange)
        if not exceptions:
            readers.append(candidate)
        elif exceptions <= total * _MOST_EXCEPTIONS:
            nearly.append((exceptions, candidate, strange[0]))
    if readers:
        return _settle(readers, counts)
    if nearly:
        exceptions, candidate, example = min(nearly, key=lambda each: each[0])
        remark = (
            f"cells that are no {candidate.type} and would be rejected: {exceptions} of {total}, such as {example!r}"
        )
        return Guess(
            dict(candidate.properties), exceptions=exceptions, remarks=[remark, *_find_losses(candidate, counts)]
        )
    return Guess({"type": "string"})


def _settle(readers: list[_Candidate], counts: Counter[str]) -> Guess:
    """The first type that reads every cell, unless another one reads the cells as other values."""
    first = readers[0]
    orders = [candidate for candidate in readers if _day_order(candidate) is not None]
    if first in orders and len({_day_order(candidate) for candidate in orders}) > 1:
        formats = " and ".join(str(candidate.properties["format"]) for candidate in orders[:2])
        return Guess(
            {"type": "string"},
            remarks=[
                f"{formats} both read every cell, as different days; write the right one: type {first.type}, format"
            ],
        )
    remarks = _find_losses(first, counts)
    group = first.properties.get("groupChar")
    if first.properties == {"type": "number"}:
        pointed = [cell for cell in counts if "." in cell]
        if pointed and all(_GROUPS["."].fullmatch(cell) and not cell.lstrip("+-").startswith("0") for cell in pointed):
            remarks.append(
                f"each point stands before three digits, such as {pointed[0]!r}: read as decimals; if they are thousands, use groupChar '.'"
            )
    elif group is not None and first.type == "integer":
        shown = next(cell for cell in counts if group in cell)
        remarks.append(
            f"each {group!r} stands before three digits, such as {shown!r}: read as thousands; if it marks decimals, use number with decimalChar"
        )
    return Guess(dict(first.properties), remarks=remarks)


def _day_order(candidate: _Candidate) -> str | None:
    """`dm` or `md`, for formats that put day and month in one of two orders with a mark that both orders use."""
    pattern = str(candidate.properties.get("format", ""))
    if re.match(r"%d[/-]%m", pattern):
        return "dm"
    return "md" if re.match(r"%m[/-]%d", pattern) else None


def _find_identifiers(counts: Counter[str]) -> str | None:
    """Why cells of digits are no numbers: a number would not keep them."""
    digits = [cell for cell in counts if re.fullmatch(r"[+-]?[0-9]+", cell)]
    if len(digits) < len(counts) * (1 - _MOST_EXCEPTIONS) and not all(_is_numeric(cell) for cell in counts):
        return None
    zeros = [cell for cell in counts if _LEADING_ZERO.match(cell) and _is_numeric(cell)]
    if zeros:
        return f"{_many(zeros, counts)} begin with a zero, such as {zeros[0]!r}: kept as text; an integer would lose it"
    signed = [cell for cell in counts if cell.startswith("+") and _is_numeric(cell)]
    if signed:
        return f"{_many(signed, counts)} begin with a plus sign, such as {signed[0]!r}: kept as text; a number would lose it"
    beyond = [cell for cell in digits if not -(2**63) <= int(cell[:40] + "0" * max(0, len(cell) - 40)) < 2**63]
    if beyond:
        return f"{_many(beyond, counts)} are beyond 64 bits, such as {beyond[0]!r}: kept as text; a number would round them"
    codes = [cell for cell in counts if _CODE_WITH_EXPONENT.fullmatch(cell)]
    if codes:
        return f"{_many(codes, counts)} look like codes or like powers of ten, such as {codes[0]!r}: kept as text"
    return None


def _is_numeric(cell: str) -> bool:
    return (
        re.fullmatch(r"[+-]?[0-9]+(?:[,. '\xa0\u202f][0-9]{3})*(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]+)?", cell) is not None
    )


def _many(found: list[str], counts: Counter[str]) -> str:
    return f"{sum(counts[cell] for cell in found)} of {counts.total()} cells"


def _find_losses(candidate: _Candidate, counts: Counter[str]) -> list[str]:
    """Remarks on what a number does not keep: digits beyond a 64-bit float, and texts that become one value."""
    if candidate.type not in ("number", "integer"):
        return []
    field_ = _field(candidate.properties)
    values: dict[Any, str] = {}
    lost: list[str] = []
    same: list[tuple[str, str]] = []
    for cell in counts:
        value = judge(field_, cell).value
        if value is None:
            continue
        if candidate.type == "number" and not _keeps(cell, float(value), candidate.properties):  # type: ignore[arg-type]
            lost.append(cell)
        if value in values and len(same) < 1:
            same.append((values[value], cell))
        values.setdefault(value, cell)
    remarks = []
    if lost:
        remarks.append(f"{_many(lost, counts)} have more digits than a 64-bit number keeps, such as {lost[0]!r}")
    if same:
        one, other = same[0]
        remarks.append(f"{one!r} and {other!r} become one {candidate.type}; if they differ, as versions do, use string")
    return remarks


def _keeps(cell: str, value: float, properties: dict[str, Any]) -> bool:
    plain = cell.replace(properties.get("groupChar") or "", "").replace(properties.get("decimalChar", "."), ".")
    try:
        return Decimal(repr(value)) == Decimal(plain)
    except InvalidOperation:
        return False


def _candidates(counts: Counter[str]) -> list[_Candidate]:
    """The types to try, narrow ones first."""
    true, false = ([form for form in forms if form in counts] for forms in (_TRUE, _FALSE))
    numbers: list[dict[str, Any]] = [
        {"type": "integer"},
        {"type": "number"},
        *({"type": "integer", "groupChar": mark} for mark in ", '\xa0\u202f" if _all_grouped(counts, mark, "")),
        {"type": "number", "decimalChar": ","},
        *(
            {"type": "number", "groupChar": mark} | ({"decimalChar": point} if point != "." else {})
            for mark, point in (
                (",", "."),
                (".", ","),
                (" ", ","),
                (" ", "."),
                ("'", "."),
                ("\xa0", ","),
                ("\u202f", ","),
            )
            if _all_grouped(counts, mark, point)
        ),
    ]
    truth: list[dict[str, Any]] = []
    if true or false:
        truth = [{"type": "boolean", "trueValues": true or ["true"], "falseValues": false or ["false"]}]
    return [_Candidate(properties) for properties in (*truth, *numbers, *_DATES)]


def _all_grouped(counts: Counter[str], mark: str, point: str) -> bool:
    """Whether each cell with the mark has three digits after each one, as thousands have."""
    wholes = [cell.split(point)[0] if point else cell for cell in counts]
    grouped = [whole for whole in wholes if mark in whole]
    return bool(grouped) and all(_GROUPS[mark].fullmatch(whole) for whole in grouped)


def _unread(properties: dict[str, Any], counts: Counter[str], most: float) -> list[str]:
    """The cells that a type does not read; it stops looking when they are more than `most`."""
    field_ = _field(properties)
    strange: list[str] = []
    exceptions = 0
    for cell in counts:
        if judge(field_, cell).broken:
            strange.append(cell)
            exceptions += counts[cell]
            if exceptions > most:
                break
    return strange


def _field(properties: dict[str, Any]) -> Field:
    document = {"fields": [{"name": "x", **properties}], "missingValues": []}
    return Contract.from_json(json.dumps(document).encode()).fields[0]


_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y")
_DATES: tuple[dict[str, Any], ...] = (
    {"type": "date"},
    {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S"},  # without a zone, the time stays local
    {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S.%f"},
    {"type": "datetime"},
    *({"type": "datetime", "format": f"%Y-%m-%d {clock}"} for clock in _CLOCKS),
    {"type": "datetime", "format": "%Y-%m-%dT%H:%M"},
    {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S%z"},
    *({"type": "date", "format": day} for day in _DAYS),
    *({"type": "datetime", "format": f"{day} {clock}"} for day in _DAYS for clock in _CLOCKS),
    {"type": "time"},
    {"type": "time", "format": "%H:%M"},
    {"type": "yearmonth"},
)
