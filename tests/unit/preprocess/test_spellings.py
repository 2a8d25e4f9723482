"""Columns of few spellings: each cell gets the law's value for its spelling, or is doubtful."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.columns import dtype
from preprocess.exact import Judge
from preprocess.spellings import FEW, Coded, Spellings
from preprocess.texts import texts_of
from spotline.contracts.cells import judge
from tests.unit.preprocess.rehearsal import contract_of

STATUS = contract_of({"name": "x", "constraints": {"enum": ["on", "off"]}, "spotline": {"case": "lower"}}).fields[0]
NOTE = contract_of({"name": "x"}).fields[0]
FLAG = contract_of({"name": "x", "type": "boolean"}).fields[0]
SAMPLE = ["on", "OFF", "NA", "true", "false", ""] * 3


def reader(field: Any, sample: list[str]) -> Spellings:
    return Spellings(Judge(field), dtype(field), pl.Series("x", sample, dtype=pl.String))


@settings(max_examples=150, deadline=None)
@given(
    field=st.sampled_from([STATUS, NOTE, FLAG]),
    cells=st.lists(
        st.sampled_from(["on", " On", "OFF", "NA", "", "true", "0", "a text that is long", "éé"])
        | st.text(max_size=14),
        min_size=1,
        max_size=30,
    ),
)
def test_a_cell_has_the_law_s_value_or_is_doubtful(field: Any, cells: list[str]) -> None:
    read = reader(field, SAMPLE)
    for repeats in (1, 1, 200):  # at first each unknown spelling is one too many, later none is
        values, doubtful = read.read(texts_of(cells + SAMPLE * repeats))

        assert values.series().dtype == dtype(field)
        for index, (cell, value) in enumerate(zip(cells, values.series().to_list(), strict=False)):
            if index not in doubtful:
                assert judge(field, cell).value == value
                assert not judge(field, cell).broken


def test_a_spelling_that_becomes_usual_is_learned() -> None:
    read = reader(NOTE, ["a"] * 9)
    rare = read.read(texts_of(["a"] * 1000 + ["b"]))
    often = read.read(texts_of(["a"] * 10 + ["b"]))
    again = read.read(texts_of(["a"] * 1000 + ["b"]))

    assert rare.doubtful.tolist() == [1000]
    assert often.doubtful.tolist() == again.doubtful.tolist() == []
    assert again.values.counts() == {"a": 1000, "b": 1}


@pytest.mark.parametrize(
    "cells",
    [
        [f"{index}" for index in range(FEW + 50)],
        [f"a text that is long, and has the number {index}" for index in range(FEW + 50)],
        ["a text that is long", "another long text"],
    ],
)
def test_many_or_long_spellings_are_read_all_the_same(cells: list[str]) -> None:
    values, doubtful = reader(NOTE, ["a"] * 9).read(texts_of(cells * 2))

    assert doubtful.tolist() == []
    assert values.series().to_list() == cells * 2


def test_a_spelling_that_breaks_a_rule_is_doubtful_each_time() -> None:
    values, doubtful = reader(STATUS, SAMPLE).read(texts_of(["on", "lost", "off"] * 40))

    assert doubtful.tolist() == list(range(1, 120, 3))
    assert values.series().to_list()[0::3] == ["on"] * 40


def test_a_coded_column_is_changed_cut_and_counted() -> None:
    coded = Coded(np.array([0, 1, 0, 2], np.uint32), ["b", "a", None], pl.String())

    changed = coded.put(np.array([1, 3]), np.array([0, 1]), ["c", "b"])

    assert coded.series().to_list() == ["b", "a", "b", None]
    assert changed.series().to_list() == ["b", "c", "b", "b"]
    assert changed.counts() == {"b": 3, "c": 1}
    assert changed.keep(pl.Series([True, True, False, False])).series().to_list() == ["b", "c"]


@pytest.mark.parametrize(
    ("values", "kind", "packed"),
    [
        (["b", "a", "unused"], pl.String(), pl.Enum(["a", "b"])),
        (["b", None, "a"], pl.String(), pl.Enum(["b"])),
        (["on", "off"], pl.Enum(["off", "on"]), pl.Enum(["off", "on"])),
        (["on", None], pl.Enum(["off", "on"]), pl.Enum(["off", "on"])),
        ([True, False], pl.Boolean(), pl.Boolean()),
        ([True, None], pl.Boolean(), pl.Boolean()),
    ],
)
def test_texts_are_packed_in_the_alphabet_s_order_whatever_the_order_of_their_numbers(
    values: list[Any], kind: pl.DataType, packed: pl.DataType
) -> None:
    coded = Coded(np.array([0, 1, 0], np.uint32), values, kind)

    assert coded.packed().dtype == packed
    assert coded.series().dtype == kind
    assert coded.series().to_list() == coded.packed().to_list() == [values[0], values[1], values[0]]
