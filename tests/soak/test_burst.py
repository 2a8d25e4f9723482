"""A thousand files at once, each event twice and shuffled, Step Functions throttling a fifth of all calls.

`BURST_SOAK_FILES=100` lands fewer for a look; docs/soak.md is written after the full count only.
"""

from __future__ import annotations

import os

import pytest

from tests.soak.document import table, write_section
from tests.twin.burst import SHUFFLED_WITHIN_SECONDS, THROTTLED_SHARE, land_at_once

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

FULL_COUNT = 1000
FILES = int(os.environ.get("BURST_SOAK_FILES", FULL_COUNT))
SEED = 1


def test_no_file_of_a_great_burst_is_lost_or_run_twice() -> None:
    burst = land_at_once(FILES, seed=SEED, patience_seconds=3000)
    assert len(burst.executions) == FILES
    assert set(burst.executions.values()) == {1}
    assert burst.dead_letters
    assert not any(burst.dead_letters.values()), burst.dead_letters
    assert burst.statuses.keys() <= {"RUNNING", "SUCCEEDED"}
    if FILES == FULL_COUNT:
        _write(burst.throttled, burst.seconds)


def _write(throttled: int, seconds: float) -> None:
    write_section(
        "A burst of files",
        f"{FILES} files landed at once (`tests/soak/test_burst.py`, seed {SEED}), jobs that do nothing; every event delivered "
        f"twice, each delivery held back by up to {SHUFFLED_WITHIN_SECONDS:.0f} s, {THROTTLED_SHARE:.0%} of the roles' calls of "
        f"Step Functions throttled, on {os.cpu_count()} cores.\n\n"
        + table(
            ("what", "measured"),
            [
                ("executions", f"{FILES}, one for each file"),
                ("calls of StartExecution that were throttled", throttled),
                ("messages in dead-letter and failure queues", 0),
                ("from the first file to the last execution", f"{seconds:.0f} s"),
                ("rate sustained", f"{FILES / seconds:.1f} files a second"),
            ],
        ),
    )
