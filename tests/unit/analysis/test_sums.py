"""The run's metrics follow from the parts' sums alone."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from analysis.sums import GROWTH, sum_binary, sum_regression

numbers = some.floats(-1e6, 1e6, allow_nan=False, width=32)


def merged_m2(parts: list[dict[str, Any]]) -> float:
    """Chan's formula, as whoever reads parts applies it."""
    rows, mean, m2 = 0, 0.0, 0.0
    for part in parts:
        if not part["rows"]:
            continue
        delta, before = part["mean"] - mean, rows
        rows += part["rows"]
        mean += delta * part["rows"] / rows
        m2 += part["m2"] + delta**2 * before * part["rows"] / rows
    return m2


@given(some.lists(some.tuples(numbers, numbers), min_size=2, max_size=60), some.integers(0, 60))
def test_parts_merge_to_the_sums_of_the_whole(pairs: list[tuple[float, float]], cut: int) -> None:
    actual, prediction = np.array(pairs, np.float64).T
    whole = sum_regression(actual, prediction)
    parts = [sum_regression(actual[half], prediction[half]) for half in (slice(0, cut), slice(cut, None))]
    for name in ("rows", "error", "absolute_error", "squared_error"):
        assert sum(part[name] for part in parts) == pytest.approx(whole[name], rel=1e-9, abs=1e-9)
    assert merged_m2(parts) == pytest.approx(whole["m2"], rel=1e-6, abs=1e-6)


def test_a_large_mean_costs_no_digits() -> None:
    actual = 1e9 + np.array([1.0, 2.0, 3.0])
    assert sum_regression(actual, actual)["m2"] == pytest.approx(2.0)


def test_residuals_are_counted_within_one_percent() -> None:
    counts = sum_regression(np.array([10.0, -10.0, 3.0]), np.zeros(3))["residuals"]
    (bucket,) = counts["negative"]
    assert GROWTH ** (int(bucket) - 0.5) == pytest.approx(10, rel=0.01)
    assert sorted(counts["positive"].values()) == [1, 1]
    assert sum_regression(np.ones(2), np.ones(2))["residuals"]["zero"] == 2


def test_binary_sums_give_log_loss_and_accuracy() -> None:
    sums = sum_binary(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.2, 0.3]))
    assert sums["positives"] == 2
    assert sums["log_loss"] == pytest.approx(-math.log(0.9) - math.log(0.8) - math.log(0.3))
    assert sums["brier"] == pytest.approx(0.01 + 0.04 + 0.49)
    assert sums["scores"]["counts"] == {"9000": [1, 0], "2000": [0, 1], "3000": [1, 0]}


def test_a_certain_and_wrong_probability_stays_finite() -> None:
    assert math.isfinite(sum_binary(np.array([1.0]), np.array([0.0]))["log_loss"])
    assert sum_binary(np.array([1.0]), np.array([1.0]))["scores"]["counts"] == {"9999": [1, 0]}


@pytest.mark.parametrize("sums_of", [sum_regression, sum_binary])
def test_no_rows_give_zeros_that_json_can_hold(sums_of: Any) -> None:
    sums = sums_of(np.empty(0), np.empty(0))
    assert sums["rows"] == 0
    json.dumps(sums, allow_nan=False)
