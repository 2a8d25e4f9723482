"""Moments of fixed width: which patterns have one, and what is no moment although it is as long."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import polars as pl
import pytest

from preprocess.moments import Layout, layout_of, read_moments, written
from spotline.contracts import FieldType


def cells(layout: Layout, texts: list[str]) -> pl.Series:
    return pl.DataFrame({"x": texts}, schema={"x": pl.String}).select(written(layout, pl.col("x")))["x"]


@pytest.mark.parametrize(
    "pattern", ["%y-%m-%d", "%d %b %Y", "%Y-%m-%dT%H:%M:%S.%f", "%Y%z", "%j", "%Y-%Y", "%d\u00b7%m", "%", "%%"]
)
def test_patterns_of_no_fixed_width_are_left_to_the_law(pattern: str) -> None:
    assert layout_of(pattern) is None


@pytest.mark.parametrize(
    ("kind", "pattern", "text", "value"),
    [
        (FieldType.DATE, "%Y-%m-%d", "2024-02-29", date(2024, 2, 29)),
        (FieldType.DATE, "%d.%m.%Y", "01.01.0001", date(1, 1, 1)),
        (FieldType.DATE, "%Y%m%d", "99991231", date(9999, 12, 31)),
        (FieldType.YEARMONTH, "%Y-%m", "1969-12", date(1969, 12, 1)),
        (FieldType.TIME, "%H:%M", "23:59", time(23, 59)),
        (FieldType.DATETIME, "%Y-%m-%dT%H:%M:%SZ", "1900-02-28T00:00:59Z", datetime(1900, 2, 28, 0, 0, 59)),  # noqa: DTZ001
        (FieldType.DATETIME, "%H:%M", "10:30", datetime(1900, 1, 1, 10, 30)),  # noqa: DTZ001
    ],
)
def test_moments_are_read(kind: FieldType, pattern: str, text: str, value: Any) -> None:
    layout = layout_of(pattern)
    assert layout is not None

    values, certain = read_moments(kind, layout, cells(layout, ["short", text, "", text]))

    assert certain.tolist() == [False, True, False, True]
    assert values.to_list()[1::2] == [value, value]


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "2024-01-00", "0000-01-01",
        "+024-01-01", " 024-01-01", "2024-1 -01", "2024/01/01", "2024-01-0:", "202\u00e9-01-1", "\u0662024-01-1",
    ],
)  # fmt: skip
def test_what_is_as_long_and_no_date_is_not_certain(text: str) -> None:
    layout = layout_of("%Y-%m-%d")
    assert layout is not None

    _, certain = read_moments(FieldType.DATE, layout, cells(layout, [text]))

    assert len(text.encode()) == layout.width
    assert certain.tolist() == [False]


def test_no_texts_are_no_moments() -> None:
    layout = layout_of("%H:%M:%S")
    assert layout is not None

    for texts in ([], ["nothing"]):
        values, certain = read_moments(FieldType.TIME, layout, cells(layout, texts))

        assert values.dtype == pl.Time
        assert len(values) == len(texts)
        assert not certain.any()
