"""From a JSON document to a checked contract."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spotline.contracts.delivery import read_delivery
from spotline.contracts.document import Properties, one_of, parse_json
from spotline.contracts.errors import ContractError
from spotline.contracts.field_parsing import Defaults, read_field
from spotline.contracts.model import MAX_ROUNDS, Analysis, Contract, Dialect, Field, FieldType, Tolerance
from spotline.documents import show
from spotline.runs import SHARE_RULE, is_share

MOST_FIELDS = 10_000

if TYPE_CHECKING:
    from collections.abc import Iterable

_DESCRIPTIVE = ("$schema", "name", "title", "description", "homepage", "version", "created", "keywords")
_UNSUPPORTED_SCHEMA = {
    "foreignKeys": "one file alone cannot prove references; remove it",
    "uniqueKeys": "give the field the constraint unique, or use primaryKey",
    "fieldsMatch": "columns are found by name, extra ones are reported, missing ones fail the file; remove it",
}
_UNSUPPORTED_DIALECT = {
    "skipInitialSpace": "white space around cells is taken off by spotline.trim; remove it",
    "nullSequence": "use missingValues",
    "headerRows": "the header is the first row that commentRows leaves; remove it",
    "headerJoin": "a header of several rows cannot be read; remove it",
    "caseSensitiveHeader": "column names are matched as they are written; remove it",
    "lineTerminator": "LF, CRLF and CR all end a line; remove it",
    "csvddfVersion": "remove it",
}
_NUMERIC_TARGETS = (FieldType.NUMBER, FieldType.INTEGER, FieldType.BOOLEAN)


def read_contract(body: bytes) -> Contract:
    """See `Contract.from_json`."""
    properties = Properties("", parse_json(body))
    spotline = properties.object("spotline") or Properties("spotline", {})
    trim = spotline.flag("trim", default=False)
    defaults = Defaults(
        missing_values=properties.texts("missingValues", ("",)) or (),
        trim=trim,
        case=spotline.choice("case", ("lower", "upper")),
        unicode_form=spotline.choice("unicode", ("NFC", "NFD", "NFKC", "NFKD")),
    )
    fields = _fields(properties.take("fields"), defaults)
    primary_key = _primary_key(properties.take("primaryKey"), fields)
    fields = tuple(_required(field) if field.name in primary_key else field for field in fields)
    dialect = _dialect(properties.object("dialect"))
    tolerance = _tolerance(spotline.object("tolerance"))
    analysis = _analysis(spotline.object("analysis"), fields, primary_key)
    delivery = read_delivery(spotline.object("delivery"))
    cleaned_csv = spotline.flag("cleanedCsv", default=False)
    share = _share(spotline)
    spotline.done()
    properties.done(ignored=_DESCRIPTIVE, unsupported=_UNSUPPORTED_SCHEMA)
    return Contract(fields, primary_key, dialect, tolerance, analysis, trim, delivery, cleaned_csv, share)


def _share(spotline: Properties) -> str | None:
    share = spotline.text("share")
    if share is not None and not is_share(share):
        raise ContractError(
            spotline.path("share"), f"{show(share)} {SHARE_RULE}, or leave it out for the dataset's own"
        )
    return share


def _fields(value: Any, defaults: Defaults) -> tuple[Field, ...]:
    if not isinstance(value, list) or not value:
        raise ContractError("fields", f"expected a list of at least one field, found {show(value)}")
    if len(value) > MOST_FIELDS:
        raise ContractError(
            "fields", f"{len(value):,} fields are more than the {MOST_FIELDS:,} that a contract may have"
        )
    fields = tuple(read_field(Properties(f"fields[{index}]", item), defaults) for index, item in enumerate(value))
    above: set[str] = set()
    for index, field in enumerate(fields):
        if field.name in above:
            raise ContractError(
                f"fields[{index}] {field.name!r}", "a field of this name stands above; rename or remove one"
            )
        above.add(field.name)
    return fields


def _primary_key(value: Any, fields: tuple[Field, ...]) -> tuple[str, ...]:
    names = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ContractError("primaryKey", f"expected a list of field names, found {show(value)}")
    known = {field.name: field for field in fields}
    named: set[str] = set()
    for name in names:
        if name not in known:
            raise ContractError("primaryKey", f"{name!r} is no field; {_name_fields(name, known)}")
        if name in named:
            raise ContractError("primaryKey", f"{name!r} is listed twice; remove one")
        named.add(name)
    return tuple(names)


def _name_fields(name: str, known: Iterable[str]) -> str:
    """The way out for a name that is no field: the one that it resembles, and all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}the fields are {one_of(names)}"


def _required(field: Field) -> Field:
    """A field of the primary key: "their use in the primary key is equivalent to adding required" (Table Schema, primaryKey)."""
    return replace(field, constraints=replace(field.constraints, required=True))


def _dialect(properties: Properties | None) -> Dialect:
    if properties is None:
        return Dialect()
    where = properties.where
    delimiter = properties.character("delimiter", ",")
    quote = properties.text("quoteChar", '"') or None
    escape = properties.character("escapeChar")
    comment = properties.character("commentChar")
    header = properties.flag("header", default=True)
    dialect = Dialect(
        delimiter=delimiter or ",",
        quote=quote,
        double_quote=properties.flag("doubleQuote", default=True),
        escape=escape,
        header=header,
        comment=comment,
        comment_rows=_comment_rows(properties, header),
    )
    properties.done(ignored=("$schema", "name", "title", "description"), unsupported=_UNSUPPORTED_DIALECT)
    marks = {"delimiter": delimiter, "quoteChar": quote, "escapeChar": escape, "commentChar": comment}
    taken: dict[str, str] = {}
    for name, mark in marks.items():
        if mark is None:
            continue
        if len(mark) != 1 or not mark.isascii() or mark in "\r\n\0":
            raise ContractError(f"{where}.{name}", f"{mark!r} must be one ASCII character that ends no line")
        if mark in taken:
            raise ContractError(f"{where}.{name}", f"{mark!r} is {taken[mark]} already; they must differ")
        taken[mark] = name
    return dialect


def _comment_rows(properties: Properties, header: bool) -> frozenset[int]:
    rows = properties.take("commentRows", [])
    where = properties.path("commentRows")
    if not isinstance(rows, list) or not all(isinstance(row, int) and not isinstance(row, bool) for row in rows):
        raise ContractError(where, f"expected a list of row numbers, found {show(rows)}")
    allowed = len(set(rows)) + (1 if header else 0)
    if rows and (min(rows) < 1 or max(rows) > allowed):
        raise ContractError(
            where, f"{show(rows)} must be rows before the data, counted from 1, with only the header between"
        )
    return frozenset(rows)


def _tolerance(properties: Properties | None) -> Tolerance:
    if properties is None:
        return Tolerance()
    tolerance = Tolerance(
        max_rejected_share=properties.share("maxRejectedShare", 0.0),
        min_rows=properties.count("minRows", 1) or 0,
    )
    properties.done()
    return tolerance


def _analysis(
    properties: Properties | None, fields: tuple[Field, ...], primary_key: tuple[str, ...]
) -> Analysis | None:
    if properties is None:
        return None
    by_name = {field.name: field for field in fields}
    target = properties.text("target")
    if target is None:
        raise ContractError(properties.path("target"), "missing; name the field to analyse, or remove the section")
    if target not in by_name:
        raise ContractError(properties.path("target"), f"{target!r} is no field; {_name_fields(target, by_name)}")
    if by_name[target].type not in _NUMERIC_TARGETS:
        raise ContractError(
            properties.path("target"), f"{target!r} is a {by_name[target].type}; it must be {one_of(_NUMERIC_TARGETS)}"
        )
    features = properties.texts("features")
    if features is None:
        left_out = {target, *primary_key}
        features = tuple(name for name in by_name if name not in left_out)
    for name in features:
        if name not in by_name:
            raise ContractError(properties.path("features"), f"{name!r} is no field; {_name_fields(name, by_name)}")
    if target in features:
        raise ContractError(properties.path("features"), f"{target!r} is the target; remove it from the features")
    if not features:
        raise ContractError(properties.path("features"), "nothing is left to explain the target with; name a field")
    parameters = properties.take("parameters", {})
    if not isinstance(parameters, dict):
        raise ContractError(properties.path("parameters"), f"expected an object, found {show(parameters)}")
    analysis = Analysis(
        target=target,
        features=features,
        rounds=properties.count("rounds", 100, minimum=1, maximum=MAX_ROUNDS) or 0,
        segment=properties.count("segment", 10, minimum=1, maximum=MAX_ROUNDS) or 0,
        validation_share=properties.share("validationShare", 0.2),
        early_stopping_rounds=properties.count("earlyStoppingRounds", None, minimum=1, maximum=MAX_ROUNDS),
        seed=properties.count("seed", 0, maximum=2**31 - 1) or 0,
        parameters=parameters,
    )
    properties.done()
    return analysis
