"""From the JSON of one field to a checked `Field`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from spotline.contracts import cells
from spotline.contracts.document import Properties, check_zone, one_of
from spotline.contracts.errors import ContractError
from spotline.contracts.model import Case, Constraints, Field, FieldType, Value
from spotline.contracts.patterns import check_pattern, match_texts
from spotline.documents import show

MOST_NAME = 1024

_DESCRIPTIVE = ("title", "description", "example", "rdfType")
_UNSUPPORTED_FIELD = {
    "bareNumber": "cells with signs of currency or percent are rejected; take the signs off upstream and remove it",
    "categories": "use constraints.enum",
    "categoriesOrdered": "use constraints.enum",
}
_UNSUPPORTED_CONSTRAINTS = {
    "exclusiveMinimum": "use minimum",
    "exclusiveMaximum": "use maximum",
    "jsonSchema": "it is for objects and arrays, which a contract has not",
}
_ORDERED = (
    FieldType.INTEGER,
    FieldType.NUMBER,
    FieldType.DATE,
    FieldType.TIME,
    FieldType.DATETIME,
    FieldType.YEAR,
    FieldType.YEARMONTH,
)
_PATTERNED = (FieldType.DATE, FieldType.TIME, FieldType.DATETIME)
_PROBE = datetime(2001, 12, 23, 16, 45, 56, 123456, tzinfo=UTC)  # no part of it can be taken for another


@dataclass(frozen=True)
class Defaults:
    """What the contract says for all its fields."""

    missing_values: tuple[str, ...]
    trim: bool
    case: str | None
    unicode_form: str | None


def read_field(properties: Properties, defaults: Defaults) -> Field:
    """Read one field, or raise `ContractError`."""
    name = properties.text("name")
    if not name:
        raise ContractError(properties.path("name"), "missing; a field is named as its column is in the header")
    if len(name) > MOST_NAME:
        raise ContractError(
            properties.path("name"), f"a name of {len(name):,} characters; {MOST_NAME:,} are the most that are read"
        )
    if "\0" in name:
        raise ContractError(properties.path("name"), f"{name!r} holds NUL, which no header can; take it out")
    properties.where = f"{properties.where} {name!r}"
    kind = FieldType(properties.choice("type", FieldType, "string") or "string")
    spotline = properties.object("spotline") or Properties(properties.path("spotline"), {})
    text_case = spotline.choice("case", Case, defaults.case)
    field = Field(
        name=name,
        type=kind,
        format=properties.text("format", "default") or "default",
        missing_values=properties.texts("missingValues", defaults.missing_values) or (),
        trim=spotline.flag("trim", default=defaults.trim),
        case=None if text_case is None else Case(text_case),
        unicode_form=spotline.choice("unicode", ("NFC", "NFD", "NFKC", "NFKD"), defaults.unicode_form),
        zone=spotline.text("zone"),
    )
    spotline.done()
    field = _typed(properties, field)
    _check_format(properties, field)
    _check_zone(properties, field)
    _check_missing_values(properties, field)
    constraints = properties.object("constraints")
    if constraints is not None:
        field = replace(field, constraints=_constraints(constraints, field))
    properties.done(ignored=_DESCRIPTIVE, unsupported=_UNSUPPORTED_FIELD)
    return field


def _typed(properties: Properties, field: Field) -> Field:
    """The properties that only some types have."""
    if field.type is FieldType.BOOLEAN:
        true_values = properties.texts("trueValues", _reachable(field, field.true_values)) or ()
        false_values = properties.texts("falseValues", _reachable(field, field.false_values)) or ()
        field = replace(field, true_values=true_values, false_values=false_values)
        for name, values in (("trueValues", true_values), ("falseValues", false_values)):
            if not values:
                raise ContractError(properties.path(name), "empty; name at least one text")
            for text in values:
                _check_reachable(properties.path(name), field, text)
        both = sorted(set(true_values) & set(false_values))
        if both:
            raise ContractError(properties.path("falseValues"), f"{both[0]!r} is a true value too; remove one")
    if field.type in (FieldType.NUMBER, FieldType.INTEGER):
        field = replace(field, group_char=properties.character("groupChar"))
    if field.type is FieldType.NUMBER:
        field = replace(field, decimal_char=properties.character("decimalChar", ".") or ".")
        if field.decimal_char == field.group_char:
            raise ContractError(properties.path("groupChar"), f"{field.group_char!r} is the decimalChar too")
    for name, mark in (("decimalChar", field.decimal_char), ("groupChar", field.group_char)):
        if mark is not None and re.fullmatch(r"[0-9+\-eE]", mark):
            raise ContractError(properties.path(name), f"{mark!r} is a part of numbers; use another character")
    return field


def _reachable(field: Field, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the default texts that normalisation leaves as they are."""
    return tuple(text for text in texts if cells.normalise(field, text) == text)


def _check_reachable(where: str, field: Field, text: str) -> None:
    normal = cells.normalise(field, text)
    if normal is None:
        raise ContractError(where, f"{text!r} is a missing value too; remove one")
    if normal != text:
        raise ContractError(where, f"{text!r} can never match: normalisation makes {normal!r} of it; write that")


def _check_format(properties: Properties, field: Field) -> None:
    where, pattern = properties.path("format"), field.format
    if pattern == "default":
        return
    if field.type not in _PATTERNED:
        raise ContractError(where, f"a {field.type} has no format but 'default', found {pattern!r}; remove it")
    if pattern == "any":
        raise ContractError(where, "'any' is a guess, and guesses change data; write a pattern such as '%Y-%m-%d'")
    if "%Z" in pattern:
        raise ContractError(where, "'%Z' reads no zone; write '%z' for offsets, or name spotline.zone")
    try:
        read = datetime.strptime(_PROBE.strftime(pattern), pattern)  # noqa: DTZ007
    except (ValueError, re.error, OverflowError, RecursionError) as cause:
        raise ContractError(where, f"{pattern!r} is no pattern that can be read back: {cause}") from cause
    whole_date = read.date() == _PROBE.date()
    has_time = read.hour == _PROBE.hour
    if field.type is FieldType.DATE and (not whole_date or has_time):
        raise ContractError(where, f"{pattern!r} must hold year, month and day, and no time")
    if field.type is FieldType.TIME and (not has_time or read.date() != datetime(1900, 1, 1).date()):  # noqa: DTZ001
        raise ContractError(where, f"{pattern!r} must hold an hour, and no date")
    if field.type is FieldType.DATETIME and not (whole_date and has_time):
        raise ContractError(where, f"{pattern!r} must hold year, month, day and hour")


def _check_zone(properties: Properties, field: Field) -> None:
    where = f"{properties.where}.spotline.zone"
    if field.zone is None:
        return
    if field.type is not FieldType.DATETIME:
        raise ContractError(where, f"a {field.type} has no zone; remove it")
    if "%z" in field.format or field.format.endswith("Z"):
        raise ContractError(where, f"the format {field.format!r} tells the zone already; remove one")
    check_zone(where, field.zone)


def _check_missing_values(properties: Properties, field: Field) -> None:
    if not field.trim:
        return
    for text in field.missing_values:
        if text.strip(cells.WHITE_SPACE) != text:
            raise ContractError(
                properties.path("missingValues"),
                f"{text!r} can never match: cells are trimmed; write {text.strip(cells.WHITE_SPACE)!r}",
            )


def _constraints(properties: Properties, field: Field) -> Constraints:
    kind = field.type
    given = properties.take
    rules = Constraints(
        required=properties.flag("required", default=False),
        unique=properties.flag("unique", default=False),
        min_length=_only_for(properties, field, "minLength", properties.count("minLength"), (FieldType.STRING,)),
        max_length=_only_for(properties, field, "maxLength", properties.count("maxLength"), (FieldType.STRING,)),
        pattern=_only_for(properties, field, "pattern", properties.text("pattern"), (FieldType.STRING,)),
        minimum=_limit(
            properties, field, "minimum", _only_for(properties, field, "minimum", given("minimum"), _ORDERED)
        ),
        maximum=_limit(
            properties, field, "maximum", _only_for(properties, field, "maximum", given("maximum"), _ORDERED)
        ),
    )
    choices = given("enum")
    properties.done(unsupported=_UNSUPPORTED_CONSTRAINTS)
    if rules.minimum is not None and rules.maximum is not None and rules.minimum > rules.maximum:  # type: ignore[operator]
        raise ContractError(properties.path("minimum"), f"it is above the maximum: no {kind} can satisfy both")
    if rules.min_length is not None and rules.max_length is not None and rules.min_length > rules.max_length:
        raise ContractError(properties.path("minLength"), "it is above maxLength: no text can satisfy both")
    if rules.pattern is not None:
        check_pattern(properties.path("pattern"), rules.pattern)
    if choices is None:
        return rules
    return replace(rules, enum=_enum(properties, replace(field, constraints=rules), choices))


def _only_for(properties: Properties, field: Field, name: str, value: Any, kinds: tuple[FieldType, ...]) -> Any:
    if value is not None and field.type not in kinds:
        raise ContractError(
            properties.path(name), f"a {field.type} cannot have it, only {one_of(kinds)}; remove it or change the type"
        )
    return value


def _limit(properties: Properties, field: Field, name: str, value: Any) -> Value | None:
    return None if value is None else _value(properties.path(name), field, value)


def _enum(properties: Properties, field: Field, choices: Any) -> tuple[Value, ...]:
    where = properties.path("enum")
    if not isinstance(choices, list) or not choices:
        raise ContractError(where, f"expected a list of at least one value, found {show(choices)}")
    values: dict[Value, None] = {}
    for choice in choices:
        if isinstance(choice, str):
            _check_reachable(where, field, choice)
        value = _value(where, field, choice)
        broken = cells.breaches(field, value, matched=_matched(field, value))
        if broken:
            raise ContractError(where, f"{show(choice)} breaks the constraint {broken[0]}; remove one")
        if value in values:
            raise ContractError(where, f"{show(choice)} is listed twice; remove one")
        values[value] = None
    return tuple(values)


def _matched(field: Field, value: Value) -> bool | None:
    """Whether a value matches the field's pattern; taken for granted where there is no engine, the job will ask again."""
    if field.constraints.pattern is None:
        return None
    try:
        return match_texts(field.constraints.pattern, [str(value)])[0]
    except ImportError:
        return True


def _value(where: str, field: Field, given: Any) -> Value:
    """A value of the field's type as a contract may write it: as JSON's own type, or as the text of a cell."""
    if isinstance(given, bool):
        if field.type is FieldType.BOOLEAN:
            return given
    elif isinstance(given, int | float):
        if field.type is FieldType.NUMBER and math.isfinite(given):
            return float(given)
        whole = isinstance(given, int) or given.is_integer()
        if field.type in (FieldType.INTEGER, FieldType.YEAR) and whole and int(given) in cells.INT64:
            return int(given)
    elif isinstance(given, str):
        try:
            return cells.read(field, given)
        except cells.Unreadable:
            pass
    raise ContractError(where, f"{show(given)} is no {field.type} of this field")
