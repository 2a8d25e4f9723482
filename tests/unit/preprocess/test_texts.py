"""Texts as Arrow keeps them: what went in is what polars and Python see."""

from __future__ import annotations

import gc

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.texts import Texts, texts_of

LONG = st.integers(10, 15).flatmap(lambda size: st.text("aé\u2003\U0001f600", min_size=size - 3, max_size=size))
CELLS = st.lists(st.text(max_size=14) | LONG, max_size=12)


@settings(max_examples=300, deadline=None)
@given(cells=CELLS, data=st.data())
def test_polars_and_python_see_the_same_texts(cells: list[str], data: st.DataObject) -> None:
    valid = data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells)))
    texts = texts_of(cells)

    assert len(texts) == len(cells)
    assert texts.strings() == cells
    assert texts.series("x").equals(pl.Series("x", cells, pl.String), check_dtypes=True, check_names=True)
    shown = [cell if flag else None for cell, flag in zip(cells, valid, strict=True)]
    assert texts.series("x", np.array(valid, bool)).to_list() == shown


@settings(max_examples=200, deadline=None)
@given(cells=CELLS.filter(len), data=st.data())
def test_some_texts_are_taken_by_place_or_by_flag(cells: list[str], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(cells) - 1), max_size=20))
    flags = data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells)))
    texts = texts_of(cells)

    assert texts.take(np.array(places, np.int64)).strings() == [cells[place] for place in places]
    assert texts.take(np.array(flags)).strings() == [cell for cell, flag in zip(cells, flags, strict=True) if flag]


def test_a_long_text_may_be_in_either_buffer() -> None:
    first, second = texts_of(["a text in the first buffer", "short"]), texts_of(["one in the second buffer"])
    views = np.concatenate([first.views, second.views])
    views[2, 1] |= 1  # the buffer's number

    texts = Texts(views, (first.buffers[0], second.buffers[0]))

    assert texts.strings() == ["a text in the first buffer", "short", "one in the second buffer"]


def test_a_text_has_twelve_bytes_in_its_view_and_more_elsewhere() -> None:
    texts = texts_of(["a" * 12, "é" * 6, "a" * 13])

    assert texts.buffers[0].tobytes() == b"a" * 13
    assert texts.views.tobytes()[4:16] == b"a" * 12


@pytest.mark.parametrize("cells", [[], [""], ["a" * 100], ["a" * (index % 30) for index in range(1000)]])
def test_the_series_outlives_the_texts(cells: list[str]) -> None:
    texts = texts_of(cells)
    series = texts.series("x")
    del texts
    gc.collect()

    assert series.to_list() == cells
