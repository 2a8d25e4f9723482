"""What is read, what is refused, and by which words."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  its annotations are resolved
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

import pytest

from spotline.documents import MOST_DEPTH, DocumentError, build, check, parse_json, parse_object, show


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    number: int


@dataclass(frozen=True)
class Outer:
    text: str
    whole: int
    real: float
    flag: bool
    maybe: str | None
    many: tuple[Inner, ...]
    pair: tuple[int, str]
    names: list[str]
    shares: dict[str, float]
    facts: Mapping[str, int]
    anything: Any
    colour: Colour
    left_out: int = 7
    made: dict[str, Any] = field(default_factory=dict)


GOOD: dict[str, Any] = {
    "text": "a",
    "whole": 1,
    "real": 2,
    "flag": False,
    "maybe": None,
    "many": [{"number": 1}, {"number": 2}],
    "pair": [1, "b"],
    "names": ["x"],
    "shares": {"y": 0.5},
    "facts": {"z": 3},
    "anything": [None],
    "colour": "blue",
}


def test_every_kind_of_field_is_built() -> None:
    assert build(Outer, GOOD, "doc") == Outer(
        "a", 1, 2.0, False, None, (Inner(1), Inner(2)), (1, "b"), ["x"], {"y": 0.5}, {"z": 3}, [None], Colour.BLUE
    )
    assert isinstance(build(Outer, GOOD, "doc").real, float)
    assert build(Outer, {**GOOD, "maybe": "m", "left_out": 8}, "doc").maybe == "m"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": 1}, "doc: text: expected a string, found 1"),
        ({"whole": True}, "doc: whole: expected a whole number, found true"),
        ({"whole": 1.5}, "doc: whole: expected a whole number, found 1.5"),
        ({"real": "2"}, 'doc: real: expected a number, found "2"'),
        ({"real": False}, "doc: real: expected a number, found false"),
        ({"flag": 0}, "doc: flag: expected true or false, found 0"),
        ({"maybe": 1}, "doc: maybe: expected a string, found 1"),
        ({"many": {}}, "doc: many: expected a list, found {}"),
        ({"many": [{"number": 1}, {"number": "2"}]}, 'doc: many[1].number: expected a whole number, found "2"'),
        ({"many": [7]}, "doc: many[0]: expected a JSON object, found 7"),
        ({"pair": [1]}, "doc: pair: expected a list of 2, found [1]"),
        ({"pair": [1, 2]}, "doc: pair[1]: expected a string, found 2"),
        ({"names": "x"}, 'doc: names: expected a list, found "x"'),
        ({"shares": []}, "doc: shares: expected a JSON object, found []"),
        ({"facts": {"z": None}}, "doc: facts.z: expected a whole number, found null"),
        ({"colour": "green"}, 'doc: colour: "green" is none of red, blue'),
        ({"new": 1}, "doc: new: unknown field"),
        ({"n" * 61: 1}, f"doc: {'n' * 30}...{'n' * 30}: unknown field"),
        ({"many": [{}]}, "doc: many[0].number: missing"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        build(Outer, GOOD | changes, "doc")
    assert str(refused.value) == message


def test_unknown_fields_may_be_ignored_and_missing_ones_may_not() -> None:
    assert build(Inner, {"number": 1, "new": 2}, "doc", ignore_unknown=True) == Inner(1)
    with pytest.raises(DocumentError, match="doc: number: missing"):
        build(Inner, {}, "doc", ignore_unknown=True)
    with pytest.raises(DocumentError, match="doc: expected a JSON object, found 7"):
        build(Inner, 7, "doc")
    with pytest.raises(DocumentError, match=r"doc: many\[0\]\.new: unknown field"):
        build(Outer, GOOD | {"many": [{"number": 1, "new": 2}]}, "doc")


def test_the_bounds_are_inclusive() -> None:
    assert parse_json(b"1" + b" " * 9, "doc", most_bytes=10) == 1
    with pytest.raises(DocumentError, match="has 11 bytes, more than the 10 that are read of it"):
        parse_json(b"1" + b" " * 10, "doc", most_bytes=10)
    assert parse_object(b"{}" + b" " * 8, "doc", most_bytes=10) == {}
    with pytest.raises(DocumentError, match="has 11 bytes"):
        parse_object(b"{}" + b" " * 9, "doc", most_bytes=10)
    assert parse_json("[" * MOST_DEPTH + "]" * MOST_DEPTH, "doc")
    with pytest.raises(DocumentError, match=r"^doc: nested more than 64 levels deep$"):
        parse_json("[" * 100_000, "doc")  # deeper than the parser itself goes
    with pytest.raises(DocumentError, match="nested more than 64 levels deep"):
        parse_json('{"a":' * 65 + "1" + "}" * 65, "doc")
    assert parse_json('{"a":' * 64 + "1" + "}" * 64, "doc")
    with pytest.raises(DocumentError, match="nested more than 64 levels deep"):
        parse_json("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), "doc")
    assert parse_json("9" * 40, "doc") == int("9" * 40)
    assert parse_json("-" + "9" * 40, "doc") == -int("9" * 40)
    for sign in ("", "-"):
        with pytest.raises(DocumentError, match="an integer of 41 digits"):
            parse_json(sign + "9" * 41, "doc")
    assert parse_json("1e308", "doc") == 1e308
    for beyond in ("1e309", "-1e309"):
        with pytest.raises(DocumentError, match="larger than any number"):
            parse_json(beyond, "doc")


def test_a_byte_order_mark_and_whole_surrogate_pairs_are_read() -> None:
    assert parse_json(b"\xef\xbb\xbf1", "doc") == 1
    assert parse_json(b'"\\ud83d\\ude00"', "doc") == "\U0001f600"


def test_messages_say_where() -> None:
    for body, message in (
        ('{"a": [1, "\\ud800"]}', r"doc: a\[1\]: '\\ud800' holds half a surrogate pair"),
        ('{"a": {"\\udc00": 1}}', r"doc: a: '\\udc00' holds half a surrogate pair"),
        ('{"a": {"b": "\\udfff"}}', r"doc: a\.b: '\\udfff' holds half a surrogate pair"),
        ('{"a": 1, "b": 2, "a": 3}', "the property 'a' stands twice in one object; remove one"),
        ('{"a": 1, "b": 2, "b": 3}', "the property 'b' stands twice in one object; remove one"),
        ("[1,\n x]", "not JSON: Expecting value at line 2, column 2"),
        ("[NaN]", "NaN is not JSON; write a number"),
    ):
        with pytest.raises(DocumentError, match=message):
            parse_json(body, "doc")
    with pytest.raises(DocumentError, match="character 1 is half a surrogate pair"):
        parse_json('"\ud800"', "doc")
    with pytest.raises(DocumentError, match=r"not UTF-8 \(byte 1\); save it as UTF-8"):
        parse_json(b'"\xff"', "doc")


def test_a_schema_is_checked_and_taken_off() -> None:
    assert parse_object(b'{"schema": "s/1", "a": 1}', "doc", schema="s/1") == {"a": 1}
    assert parse_object(b'{"schema": "s/1"}', "doc") == {"schema": "s/1"}
    with pytest.raises(DocumentError, match="expected schema 's/1', found \"s/2\""):
        parse_object(b'{"schema": "s/2"}', "doc", schema="s/1")
    with pytest.raises(DocumentError, match="expected a JSON object, found 7"):
        parse_object(b"7", "doc")


def test_what_others_parsed_is_checked() -> None:
    check({"a": ["b"]}, "event")
    check({"a": "\ud800"}, "event", texts=False)
    with pytest.raises(DocumentError, match="half a surrogate pair"):
        check({"a": "\ud800"}, "event")


def test_an_error_has_its_parts() -> None:
    error = DocumentError("s3://b/k\n", "is\x00 wrong", "a.b")
    assert (str(error), error.detail) == ("s3://b/k\\n: a.b: is\\x00 wrong", "a.b: is\\x00 wrong")
    assert (error.problem, error.where) == ("is\\x00 wrong", "a.b")
    assert DocumentError("k", "is wrong").detail == "is wrong"
    assert DocumentError("k", "x" * 600).problem == "x" * 600
    assert DocumentError("k", "x" * 601).problem == f"{'x' * 300}...{'x' * 300}"


def test_values_are_shown_short() -> None:
    assert show("x" * 99) == '"' + "x" * 56 + "..."
    assert show("x" * 58) == f'"{"x" * 58}"'
    assert show("x" * 59) == f'"{"x" * 56}...'
    assert show([0] * 20) == str([0] * 20)
    assert show([0] * 60) == f"{str([0] * 60)[:57]}..."
    assert show(list(range(61))) == "a list of 61"
    assert show({str(at): 1 for at in range(61)}) == "a JSON object of 61"
    assert show([[[[[1]]]]]) == "a list of 1"
    assert show([[[[1]]]]) == "[[[[1]]]]"
    assert show(date(2013, 2, 9)) == '"2013-02-09"', "YAML has values that JSON has not"
    assert show([1, "é"]) == '[1, "\\u00e9"]'
