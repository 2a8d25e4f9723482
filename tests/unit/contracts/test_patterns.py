"""Patterns take time that grows with the text; those that need another engine are refused, with the way out."""

from __future__ import annotations

import builtins
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.contracts import Contract, ContractError
from spotline.contracts.cells import judge
from spotline.contracts.patterns import match_texts

# Each of them takes an engine that goes back a time that doubles, or grows with the square, with the length of its text.
HANGING = [
    ("(a+)+$", "a", "!"),
    ("(a*)*b", "a", ""),
    ("(a|a)*b", "a", ""),
    ("(a|aa)+$", "a", "!"),
    ("(.*)*x", "y", ""),
    ("([a-z]+)*[0-9]", "z", ""),
    (r"(\w+\s?)*$", "w", "!"),
    ("(.*,){12}P", "1,", ""),
    (r"\s+$", " ", "x"),
    ("a?" * 30 + "a" * 30, "a", "b"),
]


def contract(pattern: str, **constraints: Any) -> Contract:
    field = {"name": "a", "constraints": {"pattern": pattern, **constraints}}
    return Contract.from_json(json.dumps({"fields": [field]}).encode())


@pytest.mark.parametrize(("pattern", "piece", "end"), HANGING)
def test_no_pattern_hangs(pattern: str, piece: str, end: str) -> None:
    field = contract(pattern).fields[0]
    began = time.process_time()

    for length in (40, 20_000):
        assert judge(field, piece * length + end).broken == ("pattern",)

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (r"(?=a)a", "the look-around '(?='"),
        (r"a(?!b)", "the look-around '(?!'"),
        (r"(?<=a)b", "the look-around '(?<='"),
        (r"(?<!a)b", "the look-around '(?<!'"),
        (r"(a)\1", r"the back-reference '\\1'"),
        (r"(?P<x>a)(?P=x)", "the back-reference '(?P='"),
        (r"(?<x>a)\k<x>", r"the back-reference '\\k<'"),
        (r"(?>a+)b", "the construct '(?>'"),
        (r"(a)?(?(1)b|c)", "the construct '(?('"),
        (r"a++b", "the construct '++'"),
        (r"a{2}+b", "the construct '{2}+'"),
    ],
)
def test_what_needs_an_engine_that_goes_back_is_refused_with_field_and_way_out(pattern: str, name: str) -> None:
    with pytest.raises(ContractError) as caught:
        contract(pattern)

    assert str(caught.value).startswith("contract: fields[0] 'a'.constraints.pattern: ")
    assert name in str(caught.value)
    assert str(caught.value).endswith("write it without, or check the texts before the file is sent")


@pytest.mark.parametrize(
    "pattern", [r"\(?=", r"[(?=]+", r"\\1", r"[]1]", r"[^]?+]+", r"a\++", r"[+]+", r"\\(?:1)", r"\p{L}+"]
)
def test_what_only_looks_like_it_is_a_pattern(pattern: str) -> None:
    contract(pattern)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "unclosed group"),
        ("a)(b", "unopened group"),
        ("[z-a]", "invalid character class range"),
        ("a{,3}", "repetition quantifier expects a valid decimal"),
        (r"\Z", "unrecognized escape sequence"),
        ("(a{1000}){1000}", "Compiled regex exceeds size limit"),
    ],
)
def test_what_is_no_pattern_is_refused_in_one_line(pattern: str, reason: str) -> None:
    with pytest.raises(ContractError) as caught:
        contract(pattern)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_enumeration_is_held_to_the_pattern() -> None:
    with pytest.raises(ContractError, match="breaks the constraint pattern"):
        contract("[a-z]", enum=["a", "B"])


def test_functions_read_a_contract_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "polars":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)

    assert contract("[a-z]", enum=["a"]).fields[0].constraints.pattern == "[a-z]"
    with pytest.raises(ContractError, match="look-around"):
        contract("(?=a)a")


@given(
    st.lists(
        st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "a*", "b+", "(?:ab)?", "a{1,2}", "|", r"\d", "(b)"]), max_size=6
    ).map("".join),
    st.text("ab1 ", max_size=8),
)
def test_where_both_engines_know_a_pattern_they_agree(pattern: str, text: str) -> None:
    assert match_texts(pattern, [text]) == [re.fullmatch(pattern, text) is not None]
