"""Mean and standard deviation of a column that comes in blocks, for every finite number.

Sums of squares of numbers beyond about 1e154 overflow, and those of numbers below 1e-154 vanish. Deviations are therefore kept and merged
as they are, not as squares, and a block whose sums overflow is measured in a unit of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_VANISHED = 1e-290  # a variance below it has lost digits


@dataclass(frozen=True)
class Spread:
    """Some numbers: how many there are, their mean, and their standard deviation (of a whole population)."""

    count: int = 0
    mean: float = 0.0
    deviation: float = 0.0

    def merge(self, other: Spread) -> Spread:
        """Both together."""
        total = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        share = other.count / total
        half = other.mean / 2 - self.mean / 2  # the whole difference may overflow
        weight = 2 * math.sqrt(share * (self.count / total))
        deviation = math.hypot(
            self.deviation * math.sqrt(self.count / total), other.deviation * math.sqrt(share), half * weight
        )
        return Spread(total, self.mean + half * share + half * share, deviation)


def measure(cells: pl.Series, mean: float, variance: float) -> Spread:
    """The spread of the numbers of a column, some of them, given polars' own mean and variance (which may have overflowed)."""
    count = len(cells) - cells.null_count()
    if math.isfinite(mean) and math.isfinite(variance) and variance > _VANISHED:
        return Spread(count, mean, math.sqrt(variance))
    low, high = float(cells.min()), float(cells.max())  # type: ignore[arg-type]
    if low == high:
        return Spread(count, low, 0.0)
    _, exponent = math.frexp(max(abs(low), abs(high)))
    # In two steps, each of them a power of two that is a normal number.
    steps = exponent // 2, exponent - exponent // 2
    scaled = cells.cast(float) * 2.0 ** -steps[0] * 2.0 ** -steps[1]
    scaled_mean, scaled_variance = scaled.mean(), scaled.var(ddof=0)
    deviation = math.sqrt(float(scaled_variance))  # type: ignore[arg-type]
    return Spread(count, math.ldexp(float(scaled_mean), exponent), math.ldexp(deviation, exponent))  # type: ignore[arg-type]
