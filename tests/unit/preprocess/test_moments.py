"""Moments of fixed width: which patterns have one, and what is no moment although it is as long."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.moments import column_of, layout_of
from preprocess.native import DOUBTFUL, VALUE, CellReader
from preprocess.texts import texts_of
from spotline.contracts import FieldType
from tests.unit.preprocess.rehearsal import contract_of

FIELD = contract_of({"name": "x", "type": "date", "missingValues": []}).fields[0]


def read(kind: FieldType, pattern: str, cells: list[str]) -> tuple[pl.Series, list[int]]:
    """The values, and which cells are doubtful."""
    layout = layout_of(pattern)
    assert layout is not None
    seconds, states = CellReader(FIELD).moments(texts_of(cells), layout)
    return column_of(kind, "x", seconds, states == VALUE), (states == DOUBTFUL).nonzero()[0].tolist()


@pytest.mark.parametrize(
    "pattern",
    [
        "%y-%m-%d", "%d %b %Y", "%Y-%m-%dT%H:%M:%S.%f", "%Y%z", "%j", "%Y-%Y", "%d\u00b7%m", "%", "%%", "%d\0%m",
        "%Y-%m-%d, at %H hours and %M minutes",
    ],
)  # fmt: skip
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
        (
            FieldType.DATETIME,
            "%Y-%m-%d, %H hours %M minutes",
            "2024-02-29, 09 hours 05 minutes",
            datetime(2024, 2, 29, 9, 5),  # noqa: DTZ001
        ),
        (FieldType.DATETIME, "%H:%M", "10:30", datetime(1900, 1, 1, 10, 30)),  # noqa: DTZ001
    ],
)
def test_moments_are_read(kind: FieldType, pattern: str, text: str, value: Any) -> None:
    values, doubtful = read(kind, pattern, ["short", text, "", f" {text}\u2003"])

    assert doubtful == [0, 2]
    assert values.to_list() == [None, value, None, value]


@settings(max_examples=300, deadline=None)
@given(moments=st.lists(st.datetimes().map(lambda moment: moment.replace(microsecond=0)), max_size=20))
def test_every_second_of_the_calendar_is_read_back(moments: list[datetime]) -> None:
    cells = [moment.isoformat() for moment in moments]

    for kind, pattern, values in (
        (FieldType.DATETIME, "%Y-%m-%dT%H:%M:%S", moments),
        (FieldType.DATE, "%Y-%m-%dT%H:%M:%S", [moment.date() for moment in moments]),
        (FieldType.TIME, "%Y-%m-%dT%H:%M:%S", [moment.time() for moment in moments]),
    ):
        found, doubtful = read(kind, pattern, cells)

        assert doubtful == []
        assert found.to_list() == values


def test_every_day_and_no_other_is_read() -> None:
    cells = [
        f"{year:04}-{month:02}-{day:02}"
        for year in (0, 1, 4, 100, 400, 1600, 1800, 1900, 1970, 2000, 2023, 2024, 2100, 9999)
        for month in range(14)
        for day in range(33)
    ]

    values, doubtful = read(FieldType.DATE, "%Y-%m-%d", cells)

    days = [_day(cell) for cell in cells]
    assert values.to_list() == days
    assert doubtful == [index for index, day in enumerate(days) if day is None]


def _day(cell: str) -> date | None:
    try:
        return date.fromisoformat(cell)
    except ValueError:
        return None


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "2024-01-00", "0000-01-01",
        "+024-01-01", " 024-01-01", "2024-1 -01", "2024/01/01", "2024-01-0:", "202\u00e9-01-1", "\u0662024-01-1",
        "2024-01-0/", "-024-01-01", "2024-01-1\x1c",
    ],
)  # fmt: skip
def test_what_is_as_long_and_no_date_is_doubtful(text: str) -> None:
    values, doubtful = read(FieldType.DATE, "%Y-%m-%d", [text])

    assert len(text.encode()) == 10
    assert doubtful == [0]
    assert values.to_list() == [None]


@pytest.mark.parametrize("text", ["24:00:00", "23:60:00", "23:59:60", "1:00:000", "01:00:0", "01:00:000"])
def test_what_no_clock_shows_is_doubtful(text: str) -> None:
    assert read(FieldType.TIME, "%H:%M:%S", [text])[1] == [0]


def test_no_texts_are_no_moments() -> None:
    for texts in ([], ["nothing"]):
        values, doubtful = read(FieldType.TIME, "%H:%M:%S", texts)

        assert values.dtype == pl.Time
        assert len(values) == len(texts)
        assert doubtful == list(range(len(texts)))
