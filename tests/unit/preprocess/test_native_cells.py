"""The loops in C read a cell as the contract reads it: its white space, its missing values, and its spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import native
from preprocess.grammar import Grammar
from preprocess.native import DOUBTFUL, MAX_SPELLINGS, MISSING, UNKNOWN, VALUE, CellReader, SpellingTable
from preprocess.texts import texts_of
from spotline.contracts.cells import WHITE_SPACE
from tests.unit.preprocess.rehearsal import contract_of
from tests.unit.preprocess.test_native import check_views, tables

if TYPE_CHECKING:
    from spotline.contracts import Dialect

SPELLINGS = {
    "short": [f"{index}" for index in range(MAX_SPELLINGS)],
    "long": [f"a spelling that has the number {index}" for index in range(MAX_SPELLINGS)],
    "short and alike": [f"same{index:04}" for index in range(MAX_SPELLINGS)],
    "alike": ["a" * index for index in range(MAX_SPELLINGS)],
    "few": ["", "a", "a text that is long", "é"],
    "one": [""],
    "none": [],
}


@pytest.mark.parametrize("name", sorted(SPELLINGS))
def test_each_spelling_has_its_number_and_no_other_text_has(name: str) -> None:
    known = SPELLINGS[name]
    others = [f"another {index}" for index in range(300)] + ["b", "b" * 300, "a" * 300, "a text that is lonG", "è"]
    others += [f"same{index:04}" for index in range(2000)]
    others = [other for other in others if other not in known]

    numbers, unknown = SpellingTable(known).find(texts_of(known + others + known))

    places = list(range(len(known)))
    assert numbers.tolist() == places + [UNKNOWN] * len(others) + places
    assert unknown == len(others)


@settings(max_examples=200, deadline=None)
@given(
    known=st.lists(st.text("ab", max_size=18), unique=True, max_size=100), cells=st.lists(st.text("ab", max_size=18))
)
def test_a_spelling_is_known_wherever_it_is_kept(known: list[str], cells: list[str]) -> None:
    numbers, unknown = SpellingTable(known).find(texts_of(cells + known))

    expected = [known.index(cell) if cell in known else UNKNOWN for cell in cells + known]
    assert numbers.tolist() == expected
    assert unknown == expected.count(UNKNOWN)


def test_more_spellings_than_there_are_numbers_are_an_error() -> None:
    with pytest.raises(ValueError, match="256 spellings: there may be 255"):
        SpellingTable([f"{index}" for index in range(256)])


EDGES = st.sampled_from(
    [*WHITE_SPACE, "\x1c", "\x1f", "\x7f", "a", "é", "\u0085", "\u200b", "\u2060", "\ufeff", "Å", "\u1681"]
)
PADDED = st.tuples(st.text(EDGES, max_size=6), st.text(max_size=16), st.text(EDGES, max_size=6)).map("".join)


@settings(max_examples=500, deadline=None)
@given(cells=st.lists(PADDED, max_size=20), required=st.booleans(), trim=st.booleans())
def test_cells_are_trimmed_as_the_contract_trims_them(cells: list[str], required: bool, trim: bool) -> None:
    document: dict[str, Any] = {"constraints": {"required": required}, "spotline": {"trim": trim}}
    missing = ["", "a", "a text that means nothing"]
    field = contract_of({"name": "x", "missingValues": missing, **document}).fields[0]
    cells = [*cells, *missing, " a text that means nothing "]

    texts, states = CellReader(field).texts(texts_of(cells))

    expected = [cell.strip(WHITE_SPACE) if trim else cell for cell in cells]
    assert texts.strings() == expected
    none = DOUBTFUL if required else MISSING
    assert states.tolist() == [none if cell in missing else VALUE for cell in expected]
    check_views(texts)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 12, 13, 61, 62, 63, 64, 65, 200])
def test_a_missing_value_of_any_length_is_known(length: int) -> None:
    field = contract_of({"name": "x", "missingValues": ["-" * length]}).fields[0]

    _, states = CellReader(field).texts(texts_of(["-" * size for size in range(202)]))

    assert states.tolist() == [MISSING if size == length else VALUE for size in range(202)]


@settings(max_examples=200, deadline=None)
@given(table=tables())
def test_cells_of_either_buffer_are_trimmed(table: tuple[Dialect, list[list[str]], bytes]) -> None:
    dialect, rows, text = table
    field = contract_of({"name": "x", "missingValues": []}).fields[0]
    columns = native.split(text, len(rows), [True] * (len(rows[0]) if rows else 1), Grammar(dialect))

    for index, column in enumerate(columns or []):
        assert column is not None
        trimmed, _ = CellReader(field).texts(column)
        assert trimmed.strings() == [row[index].strip(WHITE_SPACE) for row in rows]
        check_views(trimmed)
