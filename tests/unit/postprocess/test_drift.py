"""Drift: two days are alike when their distributions are, and far apart when they are not."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postprocess.drift import (
    SHARES,
    Distribution,
    EarlierDay,
    build_drift,
    compare_days,
    compute_stability_index,
    read_columns,
    read_distribution,
)
from postprocess.table import to_attribute, to_plain
from postprocess.table_items import read_earlier_days


def numbers(*values: float, missing: float = 0.0) -> Distribution:
    return Distribution(missing, quantiles=tuple(float(value) for value in np.quantile(values, SHARES)))


def column(values: list[Any], kind: str = "string", missing: int = 0, top: int = 10) -> dict[str, Any]:
    """A column of the quality report, as cleaning counts it."""
    counts = {value: values.count(value) for value in dict.fromkeys(values)}
    ordered = sorted(counts.items(), key=lambda item: -item[1])[:top]
    report: dict[str, Any] = {
        "type": kind,
        "missing": missing,
        "distinct": len(counts),
        "min": min(values, default=None),
        "top": [{"value": value, "count": count} for value, count in ordered],
    }
    if kind in ("integer", "number") and values:
        report["quantiles"] = dict(zip(map(str, SHARES), np.quantile(values, SHARES).tolist(), strict=True))
    return report


def test_the_index_is_the_one_of_the_textbook() -> None:
    before = Distribution(0.0, values={"a": 0.5, "b": 0.5})
    now = Distribution(0.0, values={"a": 0.8, "b": 0.2})

    assert compute_stability_index(before, now) == pytest.approx(0.3 * math.log(1.6) - 0.3 * math.log(0.4))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.floats(0, 0.9))
def test_a_day_does_not_differ_from_itself(values: list[float], missing: float) -> None:
    day = numbers(*values, missing=missing)

    assert compute_stability_index(day, day) == pytest.approx(0.0, abs=1e-9)


def test_samples_of_one_population_are_alike_and_a_shift_is_not() -> None:
    random = np.random.default_rng(1)
    first, second = numbers(*random.normal(0, 1, 900)), numbers(*random.normal(0, 1, 900))

    assert compute_stability_index(first, second) < 0.1
    assert compute_stability_index(first, numbers(*random.normal(1, 1, 900))) > 0.25
    assert compute_stability_index(first, numbers(*random.normal(0, 3, 900))) > 0.25


def test_days_of_the_largest_numbers_are_compared_like_any_others() -> None:
    largest = float(np.finfo(float).max)

    def days(unit: float) -> tuple[Distribution, Distribution]:
        wide = (-unit, -unit, -unit, -unit, unit, unit, unit)
        narrow = (-unit, -unit / 2, -unit / 4, 0.0, unit / 4, unit / 2, unit)
        return Distribution(0.0, quantiles=narrow), Distribution(0.0, quantiles=wide)

    assert compute_stability_index(*days(largest)) == pytest.approx(compute_stability_index(*days(4.0)))


def test_values_that_go_missing_are_drift() -> None:
    assert compute_stability_index(numbers(1, 2, 3), numbers(1, 2, 3, missing=0.4)) > 0.25
    assert compute_stability_index(numbers(1, 2, 3), Distribution(1.0, values={})) > 0.25


def test_a_new_value_is_drift_and_a_rare_one_below_the_commonest_is_not() -> None:
    whole = Distribution(0.0, values={"a": 0.6, "b": 0.4})
    assert compute_stability_index(whole, Distribution(0.0, values={"a": 0.4, "b": 0.3, "c": 0.3})) > 0.25

    cut = Distribution(0.0, values={"a": 0.3, "b": 0.2, "c": 0.1})
    assert compute_stability_index(cut, Distribution(0.0, values={"a": 0.3, "b": 0.2, "d": 0.1})) < 0.1


@pytest.mark.parametrize("kind", ["date", "datetime", "time", "yearmonth"])
def test_moments_move_by_nature_and_are_not_compared(kind: str) -> None:
    assert read_distribution(column(["2013-02-09"], kind), 1) is None


def test_names_of_rows_are_not_compared() -> None:
    assert read_distribution(column([f"N{number}" for number in range(100)]), 100) is None


def test_a_number_with_few_values_is_compared_by_them() -> None:
    found = read_distribution(column([1, 1, 2], "integer"), 3)

    assert found is not None
    assert found.values == {"1": 2 / 3, "2": 1 / 3}


def test_a_number_with_many_values_is_compared_by_its_quantiles() -> None:
    found = read_distribution(column(list(range(100)), "integer"), 100)

    assert found is not None
    assert found.values is None
    assert found.quantiles is not None
    assert len(found.quantiles) == len(SHARES)


@pytest.mark.parametrize(
    "one", [Distribution(0.1, {"a": 0.9}), Distribution(0.0, None, (1.0, 2.5)), Distribution(1.0, {})]
)
def test_the_table_gives_back_what_it_was_given(one: Distribution) -> None:
    item = {"day": "20130208", "metrics": METRICS, "columns": {"x": one.to_item()}}
    [day] = read_earlier_days([to_plain(to_attribute(item))])
    assert day.columns == {"x": one}


METRICS = {"rows": {"read": 1, "rejected_share": 0.0}, "quality": None}


def earlier(date: str, **columns: Distribution) -> EarlierDay:
    return EarlierDay(date, {"rows": {}}, columns)


def test_one_odd_day_before_does_not_make_the_next_one_look_odd() -> None:
    usual, odd = numbers(*range(100)), numbers(*range(900, 1000))

    (found,) = compare_days({"x": usual}, [earlier("1", x=usual), earlier("2", x=odd), earlier("3", x=usual)])

    assert found.index == pytest.approx(0.0, abs=1e-9)


def test_the_furthest_column_comes_first_and_a_new_one_is_left_out() -> None:
    now = {"calm": numbers(1, 2), "moved": numbers(7, 8), "new": numbers(1)}

    found = compare_days(now, [earlier("1", calm=numbers(1, 2), moved=numbers(1, 2))])

    assert [drift.column for drift in found] == ["moved", "calm"]


def test_a_column_that_names_the_day_is_no_drift_and_one_that_changed_is() -> None:
    def one(value: str) -> Distribution:
        return Distribution(0.0, values={value: 1.0})

    before = [earlier("1", number=one("7"), unit=one("km")), earlier("2", number=one("8"), unit=one("km"))]

    found = compare_days({"number": one("9"), "unit": one("miles")}, before)

    assert [drift.column for drift in found] == ["unit"]


def test_without_a_day_before_there_is_nothing_to_compare() -> None:
    assert build_drift({"x": numbers(1)}, []) is None


def test_every_column_of_a_wide_file_is_compared() -> None:
    quality = {"columns": {f"c{at}": column(["a"]) for at in range(500)}}

    assert list(read_columns(quality, 1)) == [f"c{at}" for at in range(500)]
