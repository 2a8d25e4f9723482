"""Moments: those written in a fixed width, where `2013-02-09T10:30:00Z` has its digits and marks, and those of a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from preprocess.arrow import DATE, DATETIME, TIME, lend
from preprocess.native import MAX_WIDTH
from spotline.contracts import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from preprocess.arrow import Flags

_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_SECONDS_OF_A_DAY = 86_400

# Polars has no daylight saving time after 2037, and histories of zones before 1970 differ.
_CERTAIN = datetime(1970, 1, 2, tzinfo=UTC), datetime(2037, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Layout:
    """Where a pattern of strptime writes what, when every number is written with all its digits.

    Attributes
    ----------
    width
        Bytes of a cell.
    marks
        The bytes that are the same in each cell, by their place.
    numbers
        The place of each directive's first digit.
    """

    width: int
    marks: Mapping[int, int]
    numbers: Mapping[str, int]


def layout_of(pattern: str) -> Layout | None:
    """The layout of a pattern, or None when it has directives of another kind or letters that are not ASCII, or is too long."""
    marks: dict[int, int] = {}
    numbers: dict[str, int] = {}
    at = width = 0
    while at < len(pattern):
        if pattern[at] == "%":
            directive = pattern[at + 1 : at + 2]
            if directive not in _WIDTHS or directive in numbers:
                return None
            numbers[directive] = width
            width += _WIDTHS[directive]
            at += 2
        elif pattern[at].isascii() and pattern[at] != "\0":
            marks[width] = ord(pattern[at])
            width += 1
            at += 1
        else:
            return None
    return Layout(width, marks, numbers) if width <= MAX_WIDTH else None


def column_of(kind: FieldType, name: str, seconds: npt.NDArray[np.int64], valid: Flags) -> pl.Series:
    """Dates, times, or datetimes without a zone from seconds since 1970, null where not `valid`."""
    if kind is FieldType.TIME:
        return lend(name, TIME, [seconds % _SECONDS_OF_A_DAY * 1_000_000_000], valid)
    if kind is FieldType.DATETIME:
        return lend(name, DATETIME, [seconds * 1_000_000], valid)
    return lend(name, DATE, [(seconds // _SECONDS_OF_A_DAY).astype(np.int32)], valid)


def to_utc(values: pl.Series, zone: str | None) -> pl.Series:
    """Local times of a zone (None: UTC) as moments, null where that is not certain."""
    moments = values.dt.replace_time_zone("UTC")
    if zone is None:
        return moments
    values = values.set(~moments.is_between(*_CERTAIN), None)
    return values.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.convert_time_zone("UTC")


def to_local(moments: pl.Series, zone: str) -> pl.Series:
    """Moments as local times of a zone, which `to_utc` or the contract's rules read as the same moments."""
    values = moments.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    uncertain = np.flatnonzero((~moments.is_between(*_CERTAIN)).fill_null(value=False).to_numpy())
    if not len(uncertain):
        return values
    local = ZoneInfo(zone)
    found = [moment.astimezone(local).replace(tzinfo=None) for moment in moments.gather(uncertain)]
    return values.scatter(uncertain, pl.Series(found, dtype=values.dtype))
