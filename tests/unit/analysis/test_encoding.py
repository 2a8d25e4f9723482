"""Columns become the same numbers in every batch, shard and member."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analysis.encoding import FLOAT32_MAX, Feature, Kind, build_features, encode, encode_target, find_kind
from analysis.outcomes import AnalysisError


def encoded(values: pa.Array[Any], vocabulary: tuple[str, ...] = ()) -> list[float]:
    kind = find_kind(values.type)
    assert kind is not None
    numbers = encode(values, Feature("column", kind, vocabulary))
    assert numbers.dtype == np.float32
    return list(numbers.tolist())


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (pa.array([1, 2], pa.int64()), [1, 2]),
        (pa.array([1.5, -2.5]), [1.5, -2.5]),
        (pa.array([1.5, -2.5], pa.float32()), [1.5, -2.5]),
        (pa.array([True, False]), [1, 0]),
        (pa.array([dt.date(1970, 1, 2), dt.date(2013, 2, 9)]), [1, 15745]),
        (pa.array([dt.time(0, 1), dt.time(1)], pa.time64("us")), [60, 3600]),
        (pa.array([dt.datetime(1970, 1, 2, 12, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")), [1.5]),
        (pa.array([dt.datetime(1970, 1, 2, 12, tzinfo=dt.UTC)], pa.timestamp("ns")), [1.5]),
    ],
)
def test_each_type_has_its_number(values: pa.Array[Any], numbers: list[float]) -> None:
    assert encoded(values) == numbers


@pytest.mark.parametrize(
    "type_",
    [pa.int64(), pa.float64(), pa.float32(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.time64("us"), pa.string()],
)
def test_a_missing_value_is_nan_whatever_the_type(type_: pa.DataType) -> None:
    assert math.isnan(encoded(pa.array([None], type_), ("a",))[0])


def test_a_category_is_its_place_in_the_runs_vocabulary() -> None:
    assert encoded(pa.array(["b", "a", "b"]), ("a", "b", "c")) == [1, 0, 1]


def test_a_dictionary_column_counts_by_its_values_not_by_its_own_codes() -> None:
    column = pa.array(["b", "a"]).dictionary_encode()
    assert encoded(column, ("a", "b")) == [1, 0]


def test_a_value_outside_the_vocabulary_is_missing() -> None:
    assert math.isnan(encoded(pa.array(["z"]), ("a", "b"))[0])


def test_numbers_beyond_32_bits_stay_finite_and_ordered() -> None:
    low, big, huge = encoded(pa.array([-1e300, 3e38, math.inf]))
    assert low == pytest.approx(-FLOAT32_MAX)
    assert big < huge == pytest.approx(FLOAT32_MAX)


def test_a_target_that_is_too_large_for_the_engine_is_named() -> None:
    with pytest.raises(AnalysisError, match="the target 'price' holds a value beyond"):
        encode_target(pa.array([1e300]), "price")


def test_a_missing_target_is_nan() -> None:
    assert np.isnan(encode_target(pa.array([None, 1.0]), "price")).tolist() == [True, False]


def test_a_feature_that_is_no_column_is_named() -> None:
    with pytest.raises(AnalysisError, match=r"feature 'size' is not a column of the shards \(id\)"):
        build_features(pa.schema([("id", pa.int64())]), ["size"], {})


def test_text_without_a_vocabulary_is_named_with_the_way_out() -> None:
    with pytest.raises(AnalysisError, match="no categories for the text column 'note': name the features"):
        build_features(pa.schema([("note", pa.string())]), ["note"], {})


def test_a_type_without_a_rule_is_named() -> None:
    with pytest.raises(AnalysisError, match="'blob' is binary, which cannot be analysed"):
        build_features(pa.schema([("blob", pa.binary())]), ["blob"], {})


def test_the_engine_gets_categories_as_such() -> None:
    (feature,) = build_features(pa.schema([("colour", pa.string())]), ["colour"], {"colour": ["red"]})
    assert (feature.kind, feature.engine_type, feature.vocabulary) == (Kind.CATEGORY, "c", ("red",))
