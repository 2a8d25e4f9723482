"""Frictionless, the reference implementation of Table Schema, accepts and rejects the same rows: but for a named list."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from frictionless import Resource, Schema
from hypothesis import given, settings
from hypothesis import strategies as st

from spotline.contracts import Contract, Field
from spotline.contracts.cells import judge, normalise
from tests.unit.preprocess.rehearsal import contract_of, run

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]

FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "id", "type": "integer", "constraints": {"required": True, "unique": True}},
    {"name": "name", "constraints": {"minLength": 2, "maxLength": 5}, "spotline": {"case": "upper"}},
    {"name": "code", "constraints": {"pattern": "[A-Z]{2}[0-9]*"}},
    {"name": "status", "constraints": {"enum": ["active", "idle"]}, "spotline": {"case": "lower"}},
    {"name": "qty", "type": "integer", "groupChar": ",", "constraints": {"minimum": 0, "maximum": 1000}},
    {"name": "price", "type": "number", "decimalChar": ",", "constraints": {"minimum": -5}},
    {"name": "ok", "type": "boolean", "trueValues": ["yes", "1"], "falseValues": ["no", "0"]},
    {"name": "day", "type": "date", "constraints": {"minimum": "2000-01-01"}},
    {"name": "european", "type": "date", "format": "%d.%m.%Y"},
    {"name": "at", "type": "datetime", "format": "%Y-%m-%d %H:%M:%S"},
    {"name": "clock", "type": "time"},
    {"name": "born", "type": "year", "constraints": {"maximum": 2020}},
    {"name": "month", "type": "yearmonth"},
)
CONTRACT = contract_of(*FIELDS)

# What differs by intent: the name of the reason, and which normalised texts it concerns.
INTENDED: dict[str, Callable[[Field, str], bool]] = {
    "a number must be finite": lambda field, text: (
        field.type == "number" and _matches(r"[+-]?(inf(inity)?|s?nan[0-9]*)", text.lower())
    ),
    "a number must fit 64 bits": lambda field, text: (
        field.type in ("number", "integer")
        and _matches(r"[+-]?[0-9.,]+(e[+-]?[0-9]+)?", text.lower())
        and judge(field, text).broken == ("type",)
    ),
    "an underscore is no digit": lambda field, text: field.type in ("number", "integer", "year") and "_" in text,
    "group characters stand between digits, of integers too": lambda field, text: (
        field.group_char is not None and field.group_char in text
    ),
    "digits are those of ASCII": lambda field, text: any(mark.isdigit() and not mark.isascii() for mark in text),
    "white space is a part of a text unless it is trimmed": lambda field, text: (
        field.type != "string" and text != text.strip()
    ),
    "moments are written in full": lambda field, text: (
        field.type in ("date", "time", "datetime", "yearmonth")
        and judge(field, text).broken == ("type",)
        and _matches(r"[0-9TZW:.+\- ]+", text)
    ),
    "a year has four digits and no sign": lambda field, text: field.type == "year" and _matches(r"[+-]?[0-9]+", text),
}


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def schema_of(document: dict[str, Any]) -> Schema:
    """The contract as frictionless reads it: without our own section; normalisation was done before."""
    fields = [{name: value for name, value in field.items() if name != "spotline"} for field in document["fields"]]
    return Schema.from_descriptor(
        {**{name: document[name] for name in ("missingValues", "primaryKey") if name in document}, "fields": fields}
    )


def frictionless_rejects(schema: Schema, names: list[str], rows: list[list[str]]) -> set[int]:
    """The numbers, from 1, of the rows that frictionless finds fault with."""
    report = Resource(data=[names, *rows], schema=schema).validate(limit_errors=1_000_000)
    return {error.row_number - 1 for task in report.tasks for error in task.errors}  # type: ignore[attr-defined]


def normalised(contract: Contract, row: list[str]) -> list[str]:
    cells = zip(contract.fields, row, strict=True)
    return [text if (text := normalise(field, cell)) is not None else "" for field, cell in cells]


def intended(contract: Contract, row: list[str]) -> list[str]:
    """The names of the intended differences that a row of normalised cells meets."""
    cells = list(zip(contract.fields, row, strict=True))
    return [name for name, concerns in INTENDED.items() if any(text and concerns(field, text) for field, text in cells)]


@pytest.mark.parametrize("day", sorted(path.name for path in (ROOT / "samples" / "data" / "flights").iterdir()))
def test_frictionless_rejects_the_same_rows_of_a_sample_day(tmp_path: Path, day: str) -> None:
    body = (ROOT / "contracts" / "flights.json").read_bytes()
    data = (ROOT / "samples" / "data" / "flights" / day / "flights.csv").read_bytes()
    contract = Contract.from_json(body)
    header, *rows = csv.reader(io.StringIO(data.decode()))

    found = run(tmp_path, data, contract)

    theirs = frictionless_rejects(schema_of(json.loads(body)), header, [normalised(contract, row) for row in rows])
    assert theirs == {row.record for row in found.rejected}


NUMBERS = st.from_regex(r"\A[+-]?[0-9]{1,4}([.,][0-9]{0,3})?(e[+-]?[0-9]{1,3})?\Z")
DAYS = st.dates().map(str) | st.from_regex(r"\A[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{3,4}\Z")
MOMENTS = st.datetimes().map(lambda moment: str(moment)[:19]) | st.from_regex(
    r"\A[0-9]{4}-[0-9]{2}(-[0-9]{2})?( [0-9]{2}:[0-9]{2}:[0-9]{2})?\Z"
)
CLOCKS = st.times().map(lambda clock: str(clock)[:8])
WORDS = st.sampled_from(
    ["", "NA", "ab", "AB", "AB12", "abcdef", "Active", "idle", "lost", "yes", "no", "YES", "1", "0", "2013", "é", "x,y"]
)
STRANGE = st.sampled_from(
    ["inf", "NaN", "1_0", "1,000", "1,0,0", "1e999", "9" * 20, "\u0663", "20200101", "10:00", "99", "02013", "+2013"]
)
CELLS = st.tuples(st.sampled_from(["", "", "", " ", "\t"]), NUMBERS | DAYS | MOMENTS | CLOCKS | WORDS | STRANGE).map(
    "".join
)


def _typical(field: dict[str, Any]) -> st.SearchStrategy[str]:
    usual = {
        "id": st.integers(0, 5).map(str),
        "name": st.sampled_from(["ab", "abcde"]),
        "code": st.sampled_from(["AB", "XY12"]),
        "status": st.sampled_from(["active", "IDLE"]),
        "qty": st.integers(-1, 1001).map(str),
        "price": st.sampled_from(["1,5", "-5", "-6", "2e3"]),
        "ok": st.sampled_from(["yes", "0"]),
        "day": st.dates().map(str),
        "european": st.dates().map(lambda day: f"{day.day:02}.{day.month:02}.{day.year:04}"),
        "at": st.datetimes().map(lambda moment: str(moment)[:19]),
        "clock": CLOCKS,
        "born": st.sampled_from(["1999", "2021"]),
        "month": st.sampled_from(["2020-02", "1999-12"]),
    }[field["name"]]
    return (
        st.one_of(usual, usual, usual, st.just(""), CELLS)
        if field["name"] == "id"
        else st.one_of(usual, usual, usual, usual, usual, CELLS)
    )


@settings(max_examples=120, deadline=None)
@given(rows=st.lists(st.tuples(*map(_typical, FIELDS)).map(list), min_size=1, max_size=8))
def test_frictionless_rejects_the_same_generated_rows(rows: list[list[str]]) -> None:
    names = [field["name"] for field in FIELDS]
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows])
    clean = [normalised(CONTRACT, row) for row in rows]
    differing = {number for number, row in enumerate(clean, start=1) if intended(CONTRACT, row)}
    with tempfile.TemporaryDirectory() as folder:
        ours = {row.record for row in run(Path(folder), text.getvalue().encode(), CONTRACT).rejected}

    theirs = frictionless_rejects(schema_of({"fields": list(FIELDS), "missingValues": [""]}), names, clean)

    assert theirs - differing == ours - differing


REAL: list[tuple[str, dict[str, Any], str]] = [
    ("a number must be finite", {"type": "number"}, "NaN"),
    ("a number must fit 64 bits", {"type": "number"}, "1e999"),
    ("an underscore is no digit", {"type": "integer"}, "1_0"),
    ("group characters stand between digits, of integers too", {"type": "number", "groupChar": ","}, ",1"),
    ("group characters stand between digits, of integers too", {"type": "integer", "groupChar": ","}, "1,000"),
    ("digits are those of ASCII", {"type": "integer"}, "\u0663"),
    ("white space is a part of a text unless it is trimmed", {"type": "integer"}, "1 "),
    ("moments are written in full", {"type": "date"}, "2020-1-1"),
    ("moments are written in full", {"type": "datetime"}, "2020-01-01 10:00:00"),
    ("a year has four digits and no sign", {"type": "year"}, "+201"),
]


@pytest.mark.parametrize(("name", "field", "text"), REAL)
def test_each_intended_difference_is_a_real_one(name: str, field: dict[str, Any], text: str) -> None:
    contract = contract_of({"name": "x", **field}, spotline={"trim": False})
    schema = schema_of({"fields": [{"name": "x", **field}], "missingValues": [""]})

    assert INTENDED[name](contract.fields[0], text)
    ours, theirs = bool(judge(contract.fields[0], text).broken), bool(frictionless_rejects(schema, ["x"], [[text]]))
    assert ours != theirs


def test_every_intended_difference_is_shown() -> None:
    assert list(dict.fromkeys(name for name, _, _ in REAL)) == list(INTENDED)
