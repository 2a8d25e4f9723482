"""What the twin itself costs, with margin; `benchmarks/twin.py` measures it, and `make soak` has the great counts.

Processor time says more than wall time on a machine that others use, too: budgets are held in it, with a factor for a slower
processor. Wall time only has to be of the right order.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import psutil
import pytest

from benchmarks.demo import proportional_bytes
from benchmarks.twin import DEPLOY_SECONDS, MEMORY_BYTES, RUN_SECONDS, NoopTwin, Runs, noop_twin, run_after_run

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOWER_PROCESSOR, BUSY_MACHINE = 3, 10

pytestmark = [pytest.mark.ours, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def twin() -> Iterator[NoopTwin]:
    with noop_twin() as running:
        yield running


def processor_seconds(twin: NoopTwin) -> float:
    """Of the twin and of all its processes, also of those that have ended."""
    main = psutil.Process(twin.process.pid)
    times = [main.cpu_times(), *(child.cpu_times() for child in main.children(recursive=True))]
    return sum(time.user + time.system + time.children_user + time.children_system for time in times)


def test_starting_and_deploying_keep_their_budget(twin: NoopTwin) -> None:
    assert processor_seconds(twin) <= DEPLOY_SECONDS * SLOWER_PROCESSOR


def test_a_run_whose_jobs_do_nothing_keeps_its_budget(twin: NoopTwin) -> None:
    runs = Runs(twin)
    run_after_run(twin, runs, 1)  # every function is cold
    before = processor_seconds(twin)
    seconds, _ = run_after_run(twin, runs, 3)
    assert statistics.median(seconds) <= RUN_SECONDS * BUSY_MACHINE
    assert (processor_seconds(twin) - before) / 3 <= RUN_SECONDS * SLOWER_PROCESSOR


def test_runs_at_once_end_and_need_little_memory(twin: NoopTwin) -> None:
    runs = Runs(twin)
    for _ in range(5):
        runs.drop()
    runs.wait()
    assert proportional_bytes(twin.process.pid) <= MEMORY_BYTES
