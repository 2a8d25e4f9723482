"""Which rows a worker works on, and which rows validate the model: pure functions of row numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

# Any odd constants would do; these are SplitMix64's (Steele, Lea and Flood, 2014), whose bits are well mixed.
_GAMMA = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


@dataclass(frozen=True)
class RowRange:
    """Rows `start` to `stop` (excluded) of one shard."""

    shard: int
    start: int
    stop: int


def compute_share(total: int, worker: int, workers: int) -> tuple[int, int]:
    """The rows of all shards, put end to end, that one worker takes: shares differ by at most one row.

    >>> [compute_share(10, worker, 4) for worker in range(4)]
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return worker * total // workers, (worker + 1) * total // workers


def split_into_ranges(shard_rows: Sequence[int], start: int, stop: int) -> Iterator[RowRange]:
    """Split rows `start` to `stop` of all shards into ranges of single shards, in order."""
    offset = 0
    for shard, rows in enumerate(shard_rows):
        first, last = max(start, offset), min(stop, offset + rows)
        if first < last:
            yield RowRange(shard, first - offset, last - offset)
        offset += rows


def is_validation(shard: int, rows: np.ndarray, share_of_rows: float) -> np.ndarray:
    """Which rows of a shard validate the model instead of training it.

    A hash of the row's identity (shard, row) decides, so every worker gets the same answer, in any order.

    Parameters
    ----------
    rows
        Row numbers in the shard, unsigned 64-bit, shape (n,).

    Returns
    -------
    numpy.ndarray
        Booleans, shape (n,).
    """
    import numpy as np  # noqa: PLC0415  the supervisor imports this module's siblings, never numpy

    mixed = (rows.astype(np.uint64) + (np.uint64(shard) << np.uint64(40)) + np.uint64(1)) * np.uint64(_GAMMA)
    for shift, factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53 < share_of_rows
