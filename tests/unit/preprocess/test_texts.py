"""Texts as Arrow keeps them: what is read from their sixteen bytes is what the texts say."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.texts import SHORT, Texts, texts_of
from spotline.contracts.cells import WHITE_SPACE

ALPHABET = st.sampled_from([*"aZ~!\x1c\x7f", "é", "\u2003", "\U0001f600", *WHITE_SPACE])
CELLS = st.lists(st.text(ALPHABET, max_size=16) | st.text(max_size=14), max_size=12)


@settings(max_examples=300, deadline=None)
@given(first=CELLS, second=CELLS, start=st.integers(0, 5))
def test_lengths_and_edges_are_those_of_the_texts(first: list[str], second: list[str], start: int) -> None:
    parts = [pl.Series("x", cells, dtype=pl.String) for cells in (first, second)]
    column = pl.concat(parts, rechunk=False)[start:]
    cells = [cell.encode() for cell in (first + second)[start:]]

    texts = texts_of(column)

    assert texts.lengths().tolist() == [len(cell) for cell in cells]
    for cell, plain in zip(cells, texts.have_plain_edges().tolist(), strict=True):
        edges = cell[:1] + cell[-1:]
        assert plain == (len(cell) <= SHORT and all(0x20 < byte < 0x80 for byte in edges))
        if plain:
            assert cell.decode().strip(WHITE_SPACE) == cell.decode()


@settings(max_examples=200, deadline=None)
@given(cells=CELLS, others=st.lists(st.text(ALPHABET, max_size=3), min_size=1, max_size=3))
def test_a_short_text_is_found_wherever_it_is_and_nowhere_else(cells: list[str], others: list[str]) -> None:
    texts, wanted = (texts_of(pl.Series("x", some, dtype=pl.String)) for some in (cells + others, others))

    for number, other in enumerate(others):
        assert texts.are(wanted, number).tolist() == [cell == other for cell in cells + others]


def test_an_empty_column_has_no_texts() -> None:
    assert [len(half) for half in texts_of(pl.Series("x", dtype=pl.String))] == [0, 0]


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (pl.Series("x", [1]), TypeError, "column x: Arrow's layout of it is b'l', not that of texts"),
        (pl.Series("x", ["a", None]), ValueError, "column x: 1 cells are null"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(column: pl.Series, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        texts_of(column)


def test_the_texts_outlive_the_column() -> None:
    column = pl.Series("x", ["a" * (index % 13) for index in range(1000)])
    texts: Texts = texts_of(column)
    lengths = texts.lengths().tolist()
    del column

    assert texts.lengths().tolist() == lengths == [index % 13 for index in range(1000)]
