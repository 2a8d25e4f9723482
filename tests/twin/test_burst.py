"""Fifty files at once, each event twice and shuffled, Step Functions throttling: `make soak` has a thousand."""

from __future__ import annotations

import pytest

from tests.twin.burst import land_at_once

pytestmark = [pytest.mark.timeout(300), pytest.mark.ours]


def test_every_file_of_a_burst_has_one_execution() -> None:
    burst = land_at_once(50, seed=1, patience_seconds=240)
    assert len(burst.executions) == 50
    assert set(burst.executions.values()) == {1}
    assert burst.throttled > 0
    assert burst.dead_letters
    assert not any(burst.dead_letters.values()), burst.dead_letters
    assert burst.statuses.keys() <= {"RUNNING", "SUCCEEDED"}
