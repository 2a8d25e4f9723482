"""Every row belongs to exactly one worker, however many shards and members there are."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from analysis.partition import RowRange, compute_share, is_validation, split_into_ranges


@given(total=some.integers(0, 10_000), workers=some.integers(1, 64))
def test_shares_cover_all_rows_once_and_differ_by_one_at_most(total: int, workers: int) -> None:
    shares = [compute_share(total, worker, workers) for worker in range(workers)]
    assert shares[0][0] == 0
    assert shares[-1][1] == total
    assert all(before[1] == after[0] for before, after in itertools.pairwise(shares))
    sizes = {stop - start for start, stop in shares}
    assert max(sizes) - min(sizes) <= 1


@given(rows=some.lists(some.integers(0, 50), max_size=8), workers=some.integers(1, 9))
def test_ranges_of_all_workers_are_the_rows_of_all_shards_in_order(rows: list[int], workers: int) -> None:
    cut = [
        (range_.shard, row)
        for worker in range(workers)
        for range_ in split_into_ranges(rows, *compute_share(sum(rows), worker, workers))
        for row in range(range_.start, range_.stop)
    ]
    assert cut == [(shard, row) for shard, number in enumerate(rows) for row in range(number)]


def test_a_range_never_crosses_a_shard() -> None:
    assert list(split_into_ranges([3, 0, 4], 2, 5)) == [RowRange(0, 2, 3), RowRange(2, 0, 2)]


def test_the_same_rows_validate_the_model_whoever_asks() -> None:
    whole = is_validation(3, np.arange(1000, dtype=np.uint64), 0.2)
    halves = [is_validation(3, np.arange(*ends, dtype=np.uint64), 0.2) for ends in ((0, 500), (500, 1000))]
    assert np.array_equal(whole, np.concatenate(halves))


def test_about_the_share_that_was_asked_for_is_held_out_in_every_shard() -> None:
    for shard in range(20):
        held_out = is_validation(shard, np.arange(20_000, dtype=np.uint64), 0.2)
        assert abs(held_out.mean() - 0.2) < 0.015


def test_shards_hold_out_different_rows() -> None:
    rows = np.arange(1000, dtype=np.uint64)
    assert not np.array_equal(is_validation(0, rows, 0.5), is_validation(1, rows, 0.5))


def test_this_release_holds_out_these_rows() -> None:
    """Checkpoints of a run outlive a deployment: the rows must not change places between them."""
    assert np.flatnonzero(is_validation(0, np.arange(40, dtype=np.uint64), 0.2)).tolist() == [2, 4, 6, 32, 33]
