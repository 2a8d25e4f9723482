"""How good predictions are. Pure, and exact: sums are rounded once, so that neither order nor partition of the rows matters."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

# A probability of exactly 0 or 1 that turns out wrong would make the log loss infinite: the nearest a float32 model can mean.
_CERTAIN = 1e-15


@dataclass(frozen=True)
class RegressionScores:
    """Errors in the target's unit. `r2` is None where all actual values are equal: there is no variance to explain."""

    rows: int
    rmse: float
    mae: float
    r2: float | None


@dataclass(frozen=True)
class BinaryScores:
    """`log_loss` in nats. `auc` is None where only one class occurs."""

    rows: int
    log_loss: float
    auc: float | None


def score_regression(actual: Numbers, prediction: Numbers) -> RegressionScores:
    """Score predicted numbers of at least one row."""
    rows = len(actual)
    errors = actual - prediction
    squares = sum_exactly(errors * errors)
    deviations = actual - sum_exactly(actual) / rows
    variance = sum_exactly(deviations * deviations)
    return RegressionScores(
        rows=rows,
        rmse=math.sqrt(squares / rows),
        mae=sum_exactly(np.abs(errors)) / rows,
        r2=1 - squares / variance if variance else None,
    )


def score_binary(actual: Numbers, probability: Numbers) -> BinaryScores:
    """Score predicted probabilities of class 1 of at least one row."""
    rows = len(actual)
    of_actual = np.where(actual == 1, probability, 1 - probability)
    losses = -np.log(np.clip(of_actual, _CERTAIN, 1))
    return BinaryScores(
        rows=rows, log_loss=sum_exactly(losses) / rows, auc=compute_area_under_curve(actual, probability)
    )


def compute_area_under_curve(actual: Numbers, score: Numbers) -> float | None:
    """Area under the ROC curve: how often a row of class 1 scores above one of class 0, ties counting half.

    From the ranks (Mann-Whitney), in whole numbers, so that the result is exact up to its last division.
    """
    positives = int(np.count_nonzero(actual == 1))
    negatives = len(actual) - positives
    if positives == 0 or negatives == 0:
        return None
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    doubled_ranks = 2 * below + counts + 1
    doubled = int(doubled_ranks[place][actual == 1].sum()) - positives * (positives + 1)
    return doubled / (2 * positives * negatives)


def compute_residual_quantiles(residual: Numbers) -> dict[str, float]:
    """Quantiles of the residuals, by linear interpolation, named `p01` to `p99`; empty when there are no rows."""
    if len(residual) == 0:
        return {}
    values = np.quantile(residual, QUANTILES)
    return {f"p{round(share * 100):02d}": float(value) for share, value in zip(QUANTILES, values, strict=True)}


def sum_exactly(values: Iterable[float]) -> float:
    """The sum, correctly rounded once (Shewchuk's algorithm in `math.fsum`)."""
    return math.fsum(values)
