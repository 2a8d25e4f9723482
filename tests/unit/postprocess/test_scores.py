"""Scores are the textbook's numbers, to the last digit, in whatever order and parts the rows come."""

import math
from fractions import Fraction
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postprocess import scores

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
pairs = st.lists(st.tuples(finite, finite), min_size=1, max_size=60)
classified = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=1, max_size=40
)


def columns(rows: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    first, second = zip(*rows, strict=True)
    return np.array(first, float), np.array(second, float)


def test_regression_scores_are_those_of_the_textbook() -> None:
    actual, prediction = np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 2.0, 4.0, 4.0])

    scored = scores.score_regression(actual, prediction)

    assert scored.rows == 4
    assert scored.rmse == math.sqrt(5 / 4)
    assert scored.mae == 3 / 4
    assert scored.r2 == 1 - 5 / 14


def test_a_constant_target_has_no_r2() -> None:
    scored = scores.score_regression(np.array([5.0, 5.0]), np.array([5.0, 7.0]))

    assert scored.r2 is None
    assert scored.mae == 1.0


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_digit(rows: list[tuple[float, float]], random: Random) -> None:
    shuffled = random.sample(rows, len(rows))

    assert scores.score_regression(*columns(rows)) == scores.score_regression(*columns(shuffled))


@given(pairs)
def test_the_mean_absolute_error_is_rounded_once(rows: list[tuple[float, float]]) -> None:
    actual, prediction = columns(rows)

    exact = sum(Fraction(float(error)) for error in np.abs(actual - prediction))

    assert scores.score_regression(actual, prediction).mae == float(exact) / len(rows)


@given(classified)
def test_the_area_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[bool, float]]) -> None:
    actual, score = columns([(float(yes), value) for yes, value in rows])
    ones, zeros = score[actual == 1], score[actual == 0]

    area = scores.compute_area_under_curve(actual, score)

    if len(ones) == 0 or len(zeros) == 0:
        assert area is None
        return
    won = sum(2 * (one > zero) + (one == zero) for one, zero in product(ones, zeros))
    assert area == won / (2 * len(ones) * len(zeros))


def test_a_certain_and_wrong_probability_costs_much_and_not_infinitely() -> None:
    scored = scores.score_binary(np.array([1.0, 0.0]), np.array([0.0, 1.0]))

    assert scored.log_loss == pytest.approx(-math.log(1e-15))
    assert scored.auc == 0.0


def test_a_coin_costs_the_logarithm_of_two() -> None:
    scored = scores.score_binary(np.array([1.0, 0.0]), np.array([0.5, 0.5]))

    assert scored.log_loss == pytest.approx(math.log(2))
    assert scored.auc == 0.5


def test_quantiles_of_known_residuals() -> None:
    quantiles = scores.compute_residual_quantiles(np.arange(101.0))

    assert quantiles == {"p01": 1.0, "p05": 5.0, "p25": 25.0, "p50": 50.0, "p75": 75.0, "p95": 95.0, "p99": 99.0}
    assert scores.compute_residual_quantiles(np.array([])) == {}
