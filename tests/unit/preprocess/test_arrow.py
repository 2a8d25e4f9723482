"""What is lent to polars is what it shows, for as long as anybody looks at it, and comes back then."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import arrow
from preprocess.arrow import DATE, DATETIME, FLOAT64, INT32, INT64, TIME, lend
from preprocess.texts import texts_of

DAY = 86_400 * 10**9
KINDS: dict[str, tuple[str, Any, pl.DataType, list[int | float], list[Any]]] = {
    "integers": (INT64, np.int64, pl.Int64(), [-(2**63), 0, 2**63 - 1], [-(2**63), 0, 2**63 - 1]),
    "small integers": (INT32, np.int32, pl.Int32(), [-(2**31), 7], [-(2**31), 7]),
    "numbers": (FLOAT64, np.float64, pl.Float64(), [0.1, 5e-324, 1e308], [0.1, 5e-324, 1e308]),
    "dates": (DATE, np.int32, pl.Date(), [-719162, 0, 19782], [date(1, 1, 1), date(1970, 1, 1), date(2024, 2, 29)]),
    "times": (TIME, np.int64, pl.Time(), [0, DAY - 10**9], [time(), time(23, 59, 59)]),
    "moments": (DATETIME, np.int64, pl.Datetime("us"), [-1, 0], [datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1970, 1, 1)]),  # noqa: DTZ001
    "moments in UTC": (DATETIME + "UTC", np.int64, pl.Datetime("us", "UTC"), [10**6], [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 64, 1000])
def test_polars_shows_what_is_lent(name: str, size: int) -> None:
    kind, form, dtype, lent, shown = KINDS[name]
    values = np.resize(np.array(lent, form), size)
    expected = [shown[index % len(shown)] for index in range(size)]
    odd = np.arange(size) % 2 == 1

    for valid in (None, np.ones(size, bool), odd, ~odd, np.zeros(size, bool)):
        series = lend("x", kind, [values], valid)

        assert (series.name, series.dtype, len(series)) == ("x", dtype, size)
        there = [True] * size if valid is None else valid.tolist()
        assert series.to_list() == [value if flag else None for value, flag in zip(expected, there, strict=True)]
        assert series.null_count() == size - sum(there)


@settings(max_examples=200, deadline=None)
@given(cells=st.lists(st.tuples(st.text(max_size=16), st.booleans()), max_size=80), start=st.integers(0, 80))
def test_polars_works_with_what_is_lent_as_with_its_own(cells: list[tuple[str, bool]], start: int) -> None:
    valid = np.array([flag for _, flag in cells], bool)
    own = pl.Series("x", [text if flag else None for text, flag in cells], pl.String)

    lent = texts_of([text for text, _ in cells]).series("x", valid)

    assert lent.equals(own)
    assert lent[start:].equals(own[start:])
    assert lent.filter(pl.Series(valid)).equals(own.drop_nulls())
    assert pl.concat([lent, own], rechunk=True).equals(pl.concat([own, own]))
    assert lent.sort().equals(own.sort())
    assert lent.n_unique() == own.n_unique()
    assert lent.to_frame().group_by("x").len().sort("x").equals(own.to_frame().group_by("x").len().sort("x"))


def test_a_column_outlives_every_other_reference_to_its_memory() -> None:
    columns = [lend("x", INT64, [np.full(10_000, index)], np.arange(10_000) % 3 > 0) for index in range(20)]
    texts = texts_of(f"a text that is long, number {index}" for index in range(10_000))
    columns.append(texts.series("x"))
    del texts
    gc.collect()
    np.full(1 << 20, 0xFF, np.uint8)  # what was freed too early would be used again

    for index, column in enumerate(columns[:-1]):
        assert column.drop_nulls().unique().to_list() == [index]
        assert column.null_count() == 3334
    assert columns[-1].to_list() == [f"a text that is long, number {index}" for index in range(10_000)]


def test_a_column_is_given_back_when_nobody_needs_it() -> None:
    gc.collect()
    before = set(arrow._lent)
    column = lend("x", INT64, [np.arange(100)], np.arange(100) % 2 == 0)
    part = column[10:20]
    number = set(arrow._lent) - before

    assert len(number) == 1
    del column
    gc.collect()
    assert set(arrow._lent) - before == number  # a part keeps the whole
    assert part.to_list()[0] == 10
    del part
    gc.collect()
    assert set(arrow._lent) == before


def test_what_polars_makes_of_a_column_keeps_nothing_back() -> None:
    gc.collect()
    before = set(arrow._lent)

    column = lend("x", FLOAT64, [np.arange(100.0)])
    doubled = (column * 2).to_list()
    del column
    gc.collect()

    assert doubled[-1] == 198.0
    assert set(arrow._lent) == before


def test_several_threads_lend_at_once() -> None:
    gc.collect()
    before = set(arrow._lent)

    def total(number: int) -> int:
        column = lend("x", INT64, [np.full(1000, number)], np.arange(1000) % 2 == 0)
        return int(column.sum())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(total, range(500))) == [500 * number for number in range(500)]
    gc.collect()

    assert set(arrow._lent) == before
