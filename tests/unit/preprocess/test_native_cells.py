"""The loops in C read a cell as the contract reads it: its white space, its missing values, and its spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import native
from preprocess.grammar import Grammar
from preprocess.native import DOUBTFUL, MAX_SPELLINGS, MISSING, UNKNOWN, VALUE, CellReader, SpellingTable
from preprocess.texts import texts_of
from spotline.contracts.cells import WHITE_SPACE, judge
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


@settings(max_examples=100, deadline=None)
@given(numbers=st.lists(st.integers(0, 255), max_size=40), data=st.data())
def test_numbers_are_translated_and_counted_one_by_one(numbers: list[int], data: st.DataObject) -> None:
    table = np.array(data.draw(st.lists(st.integers(0, 255), min_size=256, max_size=256)), np.uint8)
    doubtful = np.array(data.draw(st.lists(st.booleans(), min_size=256, max_size=256)))
    bytes_ = np.array(numbers, np.uint8)

    values, places = native.translate(bytes_, table, doubtful)

    assert values.tolist() == [table[number] for number in numbers]
    assert places.tolist() == [place for place, number in enumerate(numbers) if doubtful[number]]
    assert native.count_numbers(bytes_) == [numbers.count(number) for number in range(256)]


PLAIN = st.text("0123456789", max_size=14)


@settings(max_examples=1500, deadline=None)
@given(
    sign=st.sampled_from(["", "", "-", "+", "--", " "]),
    whole=PLAIN,
    point=st.sampled_from(["", ".", ".", "..", ",", "e", "/", ":", "\0", "é"]),
    rest=PLAIN,
    end=st.sampled_from(["", "", " ", "e1", "x"]),
    name=st.sampled_from(["number", "integer"]),
)
def test_a_plain_number_is_read_as_the_contract_reads_it(
    sign: str, whole: str, point: str, rest: str, end: str, name: str
) -> None:
    field = contract_of({"name": "x", "type": name, "missingValues": ["-1", "12.5", "7"]}).fields[0]
    cell = sign + whole + point + rest + end
    reader = CellReader(field)

    values, states = (reader.numbers if name == "number" else reader.integers)(texts_of([cell]))

    expected = judge(field, cell)
    if states[0] == VALUE:
        assert not expected.broken
        assert str(values.tolist()[0]) == str(expected.value)  # -0.0 is not 0.0
    elif states[0] == MISSING:
        assert (expected.value, expected.broken) == (None, ())
    plainly = point in ("", ".") and not end and sign != "--" and 0 < len(whole + rest) <= 18
    if plainly and (name == "number" or not point) and sign != " ":
        assert states[0] == (MISSING if cell in field.missing_values else VALUE)


@pytest.mark.parametrize("point", [".", ",", "'"])
def test_digits_and_points_are_seen_at_every_place(point: str) -> None:
    field = contract_of({"name": "x", "type": "number", "decimalChar": point, "missingValues": []}).fields[0]
    cells = []
    for length in range(1, 14):
        digits = "9876543210123"[:length]
        for place in range(length + 1):
            with_point = digits[:place] + point + digits[place:]
            cells += [sign + with_point for sign in ("", "-", "+")]
            cells += [with_point[:at] + other + with_point[at + 1 :] for at in range(length + 1) for other in "/:a\xb0"]

    values, states = CellReader(field).numbers(texts_of(cells))

    for cell, value, state in zip(cells, values.tolist(), states.tolist(), strict=True):
        expected = judge(field, cell)
        assert (state == VALUE) is not bool(expected.broken), cell
        if state == VALUE:
            assert value == expected.value, cell
