"""From a JSON document to a checked contract."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spotline.contracts.delivery import read_delivery
from spotline.contracts.dialect import read_dialect
from spotline.contracts.document import Properties, one_of, parse_json
from spotline.contracts.errors import ContractError
from spotline.contracts.field_parsing import Defaults, read_field
from spotline.contracts.model import MAX_ROUNDS, Analysis, Contract, Field, FieldType, Tolerance
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
    dialect = read_dialect(properties.object("dialect"))
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
