"""Partial sums: what a part must hold so that the run's metrics follow from its parts alone, without its rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# |residual| is counted in buckets (GROWTH^(k-1), GROWTH^k]: a quantile read from them is within 1 %.
GROWTH = 1.02
SCORE_BINS = 10_000


def sum_regression(actual: np.ndarray, prediction: np.ndarray) -> dict[str, Any]:
    """Sums over rows with a target, both arrays float64 of shape (n,).

    `mean` and `m2` (the sum of squared deviations from it) merge by Chan's formula without losing digits to a large mean.
    """
    error = prediction - actual
    mean = float(np.mean(actual)) if actual.size else 0.0
    return {
        "rows": int(actual.size),
        "mean": mean,
        "m2": math.fsum((actual - mean) ** 2),
        "error": math.fsum(error),
        "absolute_error": math.fsum(np.abs(error)),
        "squared_error": math.fsum(error**2),
        "residuals": count_residuals(-error),
    }


def count_residuals(residuals: np.ndarray) -> dict[str, Any]:
    """How many residuals lie in each bucket, by sign."""

    def counts(magnitudes: np.ndarray) -> dict[str, int]:
        buckets, numbers = np.unique(np.ceil(np.log(magnitudes) / math.log(GROWTH)).astype(int), return_counts=True)
        return {str(bucket): int(number) for bucket, number in zip(buckets, numbers, strict=True)}

    return {
        "growth": GROWTH,
        "zero": int(np.sum(residuals == 0)),
        "positive": counts(residuals[residuals > 0]),
        "negative": counts(-residuals[residuals < 0]),
    }


def sum_binary(actual: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """Sums over rows with a target: `actual` 0 or 1, `probability` of 1, both float64 of shape (n,)."""
    epsilon = np.finfo(np.float32).eps
    safe = np.clip(probability, epsilon, 1 - epsilon)
    bins = np.minimum((probability * SCORE_BINS).astype(int), SCORE_BINS - 1)
    found, where = np.unique(bins, return_inverse=True)
    positives = np.bincount(where, weights=actual, minlength=found.size)
    everything = np.bincount(where, minlength=found.size)
    return {
        "rows": int(actual.size),
        "positives": int(actual.sum()),
        "log_loss": -math.fsum(actual * np.log(safe) + (1 - actual) * np.log1p(-safe)),
        "brier": math.fsum((probability - actual) ** 2),
        "scores": {
            "bins": SCORE_BINS,
            "counts": {
                str(bin_): [int(yes), int(all_ - yes)]
                for bin_, yes, all_ in zip(found, positives, everything, strict=True)
            },
        },
    }
