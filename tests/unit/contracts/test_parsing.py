"""Contracts: what is read, and what is refused naming the field and the way out."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotline.contracts import Contract, ContractError, FieldType


def contract(**document: Any) -> bytes:
    return json.dumps({"fields": [{"name": "a"}, {"name": "n", "type": "number"}], **document}).encode()


def one(**properties: Any) -> bytes:
    return contract(fields=[{"name": "a", **properties}])


def test_the_design_s_example_is_read() -> None:
    body = b"""{"fields": [
       {"name": "id", "type": "string", "constraints": {"required": true, "unique": true}},
       {"name": "taken_at", "type": "datetime", "format": "%Y-%m-%dT%H:%M:%SZ"},
       {"name": "status", "type": "string", "constraints": {"enum": ["active", "idle"]}, "spotline": {"case": "lower"}},
       {"name": "ok", "type": "boolean", "trueValues": ["true", "1"], "falseValues": ["false", "0"]},
       {"name": "price", "type": "number", "constraints": {"minimum": 0}}],
     "missingValues": ["", "NA"], "primaryKey": ["id"], "dialect": {"delimiter": ","},
     "spotline": {"trim": true,
       "tolerance": {"maxRejectedShare": 0.05, "minRows": 1},
       "analysis": {"target": "price", "features": ["status", "ok"], "rounds": 100, "parameters": {"max_depth": 6}}}}"""

    read = Contract.from_json(body)

    assert read.names == ("id", "taken_at", "status", "ok", "price")
    assert read.field("id").constraints.unique
    assert read.field("ok").true_values == ("true", "1")
    assert read.field("price").constraints.minimum == 0.0
    assert read.primary_key == ("id",)
    assert (read.tolerance.max_rejected_share, read.tolerance.min_rows) == (0.05, 1)
    assert read.analysis is not None
    assert (read.analysis.target, read.analysis.features, read.analysis.rounds) == ("price", ("status", "ok"), 100)
    assert read.analysis.parameters == {"max_depth": 6}


def test_what_a_contract_leaves_out_is_strict() -> None:
    read = Contract.from_json(contract())

    assert read.tolerance.max_rejected_share == 0.0
    assert read.analysis is None
    assert read.field("a").type is FieldType.STRING
    assert not read.trim
    assert not read.cleaned_csv


def test_the_clean_rows_as_csv_are_asked_for() -> None:
    assert Contract.from_json(contract(spotline={"cleanedCsv": True})).cleaned_csv
    with pytest.raises(ContractError, match=r"spotline\.cleanedCsv"):
        Contract.from_json(contract(spotline={"cleanedCsv": "yes"}))


def test_a_contract_names_its_teams_share_or_none() -> None:
    assert Contract.from_json(contract(spotline={"share": "Risk1"})).share == "Risk1"
    assert Contract.from_json(contract()).share is None


def test_features_left_out_are_all_columns_but_the_target_and_the_primary_key() -> None:
    fields = [
        {"name": "id", "type": "integer"},
        {"name": "x", "type": "number"},
        {"name": "s"},
        {"name": "y", "type": "number"},
    ]

    read = Contract.from_json(contract(fields=fields, primaryKey="id", spotline={"analysis": {"target": "y"}}))

    assert read.analysis is not None
    assert read.analysis.features == ("x", "s")


def test_a_primary_key_makes_its_fields_required() -> None:
    assert Contract.from_json(contract(primaryKey=["a"])).field("a").constraints.required


def test_default_boolean_values_are_those_that_normalisation_leaves_alone() -> None:
    lower = Contract.from_json(one(type="boolean", spotline={"case": "lower"})).field("a")

    assert lower.true_values == ("true", "1")


WRONG: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"\xff{}", "not UTF-8"),
    (b'{"fields": [], "fields": []}', "stands twice"),
    (b"[]", "expected an object"),
    (b"{}", "fields: expected a list"),
    (contract(fields=[]), "at least one field"),
    (contract(fields=["a"]), "fields[0]"),
    (contract(fields=[{}]), "fields[0].name: missing"),
    (contract(fields=[{"name": "a"}, {"name": "a"}]), "fields[1] 'a': a field of this name stands above"),
    (contract(field=1), "field: unknown property"),
    (contract(spotline={"share": "risk-team"}), "spotline.share: "),
    (contract(spotline={"share": "risk*"}), "spotline.share: "),
    (contract(spotline={"share": ""}), "spotline.share: "),
    (contract(spotline={"share": "x" * 256}), "must hold 1 to 255 of A-Z, a-z and 0-9, or leave it out"),
    (contract(spotline={"share": 7}), "spotline.share: expected a string"),
    (contract(foreignKeys=[]), "foreignKeys: not supported"),
    (contract(missingValues="NA"), "missingValues: expected a list"),
    (contract(missingValues=["x", "x"]), "'x' is listed twice"),
    (contract(missingValues=["", "\ud800x"]), "missingValues[1]: '\\ud800x' holds half a surrogate pair"),
    (contract(**{"\udfff": 1}), "half a surrogate pair"),
    (contract(missingValues=[" NA"], spotline={"trim": True}), "' NA' can never match"),
    (contract(primaryKey=["b"]), "primaryKey: 'b' is no field; the fields are a or n"),
    (contract(primaryKey=["a", "a"]), "listed twice"),
    (one(type="text"), "'text' is unknown; use string, integer"),
    (one(type="object"), "'object' is unknown"),
    (one(format="email"), "a string has no format"),
    (one(type="date", format="any"), "'any' is a guess"),
    (one(type="date", format="%Y"), "must hold year, month and day"),
    (one(type="date", format="%Y-%m-%d %H"), "and no time"),
    (one(type="time", format="%Y"), "must hold an hour"),
    (one(type="datetime", format="%Y-%m-%d"), "must hold year, month, day and hour"),
    (one(type="datetime", format="%Y-%m-%dT%H:%M:%S%Z"), "'%Z' reads no zone"),
    (one(type="datetime", format="%Y-%m-%dT%H:%M:%S%Q"), "no pattern that can be read back"),
    (one(type="datetime", spotline={"zone": "Mars/Base"}), "no IANA zone"),
    (one(type="datetime", format="%Y-%m-%dT%H:%M:%SZ", spotline={"zone": "UTC"}), "tells the zone already"),
    (one(type="date", spotline={"zone": "UTC"}), "a date has no zone"),
    (one(spotline={"case": "title"}), "'title' is unknown; use lower or upper"),
    (one(spotline={"unicode": "NFX"}), "use NFC"),
    (one(bareNumber=False), "bareNumber: not supported"),
    (one(trueValues=["x"]), "trueValues: unknown property"),
    (one(type="boolean", trueValues=["y"], falseValues=["y"]), "'y' is a true value too"),
    (one(type="boolean", trueValues=[]), "empty; name at least one"),
    (one(type="boolean", trueValues=["YES"], spotline={"case": "lower"}), "'YES' can never match"),
    (one(type="number", decimalChar=".."), "one character"),
    (one(type="number", decimalChar=",", groupChar=","), "is the decimalChar too"),
    (one(type="integer", groupChar="-"), "a part of numbers"),
    (one(constraints={"require": True}), "constraints.require: unknown property"),
    (one(constraints={"minimum": 1}), "a string cannot have it"),
    (one(type="integer", constraints={"minLength": 1}), "cannot have it, only string"),
    (one(type="integer", constraints={"pattern": "1"}), "cannot have it, only string"),
    (one(type="integer", constraints={"minimum": "x"}), '"x" is no integer'),
    (one(type="integer", constraints={"minimum": 1.5}), "1.5 is no integer"),
    (one(type="integer", constraints={"minimum": 2, "maximum": 1}), "it is above the maximum"),
    (one(constraints={"minLength": 2, "maxLength": 1}), "it is above maxLength"),
    (one(constraints={"minLength": -1}), "-1 must be at least 0"),
    (one(constraints={"pattern": "("}), "is no pattern of Rust's regex syntax: unclosed group"),
    (one(constraints={"enum": []}), "at least one value"),
    (one(constraints={"enum": ["a", "a"]}), "listed twice"),
    (one(constraints={"enum": ["abc"], "maxLength": 2}), "breaks the constraint maxLength"),
    (one(constraints={"enum": ["A"]}, spotline={"case": "lower"}), "'A' can never match"),
    (one(constraints={"enum": [""]}), "is a missing value too"),
    (one(constraints={"required": "yes"}), "expected true or false"),
    (contract(dialect={"delimiter": ";;"}), "must be one character"),
    (contract(dialect={"delimiter": "é"}), "one ASCII character"),
    (contract(dialect={"delimiter": '"'}), "quoteChar: '\"' is delimiter already"),
    (contract(dialect={"escapeChar": '"'}), "is quoteChar already"),
    (contract(dialect={"lineTerminator": "\n"}), "not supported"),
    (contract(dialect={"delimiter": " ", "skipInitialSpace": True}), "the delimiter is a space"),
    (contract(dialect={"headerRows": [2]}), "rows before the data"),
    (contract(dialect={"headerRows": [0, 1]}), "rows before the data"),
    (contract(dialect={"headerRows": ["1"]}), "expected a list of row numbers"),
    (contract(dialect={"headerRows": [1, 2], "commentRows": [2]}), "name the same row"),
    (contract(dialect={"headerRows": [1], "header": False}), "where header is false"),
    (contract(dialect={"spotline": {"blankRows": "keep"}}), "use reject or skip"),
    (contract(dialect={"spotline": {"lenient": True}}), "dialect.spotline.lenient: unknown property"),
    (contract(dialect={"spotline": {"lenientQuote": 1}}), "expected true or false"),
    *(
        (contract(dialect={"spotline": {"encoding": name}}), message)
        for name, message in (
            ("klingon", "no encoding that Python knows"),
            ("", "no encoding that Python knows"),
            ("utf-16", "write 'utf-16-le' or 'utf-16-be'"),
            ("shift_jis", "convert the file to UTF-8"),
            ("gbk", "convert the file to UTF-8"),
            ("euc_jp", "convert the file to UTF-8"),
            ("utf-7", "convert the file to UTF-8"),
            ("cp500", "convert the file to UTF-8"),
            ("base64", "convert the file to UTF-8"),
            ("idna", "convert the file to UTF-8"),
            ("unicode_escape", "convert the file to UTF-8"),
        )
    ),
    (contract(dialect={"commentRows": [3]}), "rows before the data"),
    (contract(dialect={"quote": "'"}), "dialect.quote: unknown property"),
    (contract(spotline={"tolerance": {"maxRejectedShare": 5}}), "from 0 to 1"),
    (contract(spotline={"tolerance": {"minRows": -1}}), "at least 0"),
    (contract(spotline={"tolerances": {}}), "spotline.tolerances: unknown property"),
    (contract(spotline={"analysis": {}}), "spotline.analysis.target: missing"),
    (contract(spotline={"analysis": {"target": "z"}}), "'z' is no field"),
    (contract(spotline={"analysis": {"target": "a"}}), "'a' is a string; it must be number, integer or boolean"),
    (contract(spotline={"analysis": {"target": "n", "features": ["n"]}}), "'n' is the target"),
    (contract(spotline={"analysis": {"target": "n", "features": []}}), "nothing is left"),
    (contract(spotline={"analysis": {"target": "n", "rounds": 0}}), "from 1 to"),
    (contract(spotline={"analysis": {"target": "n", "round": 10}}), "unknown property"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_a_wrong_contract_is_refused_naming_the_place(body: bytes, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        Contract.from_json(body)

    assert str(caught.value).startswith("contract: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["string", "a", "number"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "fields",
                    "name",
                    "type",
                    "constraints",
                    "enum",
                    "minimum",
                    "spotline",
                    "analysis",
                    "target",
                    "dialect",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(document=JSON)
def test_any_document_is_a_contract_or_a_contract_error(document: Any) -> None:
    with contextlib.suppress(ContractError):  # any other exception is a defect
        Contract.from_json(json.dumps(document).encode())
