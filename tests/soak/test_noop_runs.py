"""A thousand runs one after another leave nothing behind: no process, thread, file, descriptor or port, and memory stays flat.

`NOOP_SOAK_RUNS=40` makes fewer for a look; docs/soak.md is written after the full count only.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from benchmarks.demo import proportional_bytes
from benchmarks.twin import MEMORY_BYTES, NoopTwin, Runs, noop_twin, runs_at_once
from tests.soak.document import table, write_section
from twin.functions.service import IDLE_SECONDS

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open descriptors are counted in /proc"),
]

FULL_COUNT = 1000
COUNT = int(os.environ.get("NOOP_SOAK_RUNS", FULL_COUNT))
WARM_UP = max(10, COUNT // 10)
"""Runs after which every function is warm and every cache is filled; growth is counted from here."""

RUNS_AT_ONCE = 100

GROWTH_PER_RUN_BYTES = 350_000
"""What a finished run may add to memory: its history, with every state's input and output, and its objects, jobs, logs and records,
which the twin keeps to be looked at (240 kB of Python objects, by tracemalloc)."""

QUIET_SECONDS = 60.0


@dataclass(frozen=True)
class Held:
    """What the twin and all its processes hold."""

    processes: int
    threads: int
    descriptors: int
    ports: int
    files: int
    bytes: int


def held(twin: NoopTwin) -> Held:
    """What is held once the twin has come to rest: instances that a burst left behind are given back after a while."""
    main = psutil.Process(twin.process.pid)
    children = main.children(recursive=True)
    scratch = next(
        Path(word)
        for child in children
        for word in child.cmdline()
        if Path(word).name.startswith("twin-") and Path(word).is_dir()
    )
    return Held(
        processes=len(children),
        threads=main.num_threads(),
        descriptors=main.num_fds(),
        ports=sum(connection.status == psutil.CONN_LISTEN for connection in main.net_connections()),
        files=sum(1 for path in scratch.rglob("*") if path.is_file()),
        bytes=proportional_bytes(main.pid),
    )


def at_rest(twin: NoopTwin) -> Held:
    """The least that is held, of looks over the time in which a twin gives idle instances back."""
    looks, end = [held(twin)], time.monotonic() + IDLE_SECONDS * 3
    while time.monotonic() < end:
        time.sleep(1)
        looks.append(held(twin))
    return Held(*(min(values) for values in zip(*(vars(look).values() for look in looks), strict=True)))


def test_a_thousand_runs_leave_nothing_behind() -> None:
    with noop_twin() as twin:
        runs = Runs(twin)
        seconds = [run_once(runs) for _ in range(WARM_UP)]
        sweep_once(twin)
        before = at_rest(twin)
        began = time.monotonic()
        seconds += [run_once(runs) for _ in range(COUNT - WARM_UP)]
        took = time.monotonic() - began
        after = at_rest(twin)
        children = psutil.Process(twin.process.pid).children(recursive=True)
    # Then it holds what it held before, but for what the runs left to be looked at,
    growth = (after.bytes - before.bytes) / (COUNT - WARM_UP)
    assert (after.processes, after.threads, after.ports) == (before.processes, before.threads, before.ports)
    assert after.descriptors <= before.descriptors + 5, (before, after)
    assert after.files == before.files
    assert growth <= GROWTH_PER_RUN_BYTES, (before, after)
    # and at its end nothing at all.
    _, alive = psutil.wait_procs(children, timeout=QUIET_SECONDS)
    assert alive == []
    if COUNT == FULL_COUNT:
        _write(before, after, growth, statistics.median(seconds), took)


def test_a_hundred_runs_at_once_end_within_the_memory_budget() -> None:
    count = min(COUNT, RUNS_AT_ONCE)
    with noop_twin() as twin:
        seconds, most = runs_at_once(twin, Runs(twin), count)
    assert most <= MEMORY_BYTES
    if COUNT == FULL_COUNT:
        write_section(
            "No-op runs at once",
            f"{count} runs at once on one twin whose jobs do nothing, on {os.cpu_count()} cores: the last one had succeeded after "
            f"{seconds:.0f} s, and all processes together never needed more than {most / 1e6:.0f} MB.",
        )


def run_once(runs: Runs) -> float:
    began = time.monotonic()
    runs.drop()
    runs.wait()
    return time.monotonic() - began


def sweep_once(twin: NoopTwin) -> None:
    """Its schedule may come before the runs are over or not; the function stays warm then, as the others do."""
    answer = twin.client("lambda").invoke(FunctionName=twin.output("SweepFunction"), Payload=b'{"kind": "sweep"}')
    assert "FunctionError" not in answer, answer["Payload"].read()


def _write(before: Held, after: Held, growth: float, median: float, took: float) -> None:
    rows = [
        (name, getattr(before, name), getattr(after, name))
        for name in ("processes", "threads", "descriptors", "ports", "files")
    ]
    write_section(
        "No-op runs",
        f"{COUNT} runs one after another on one twin whose jobs do nothing (`tests/soak/test_noop_runs.py`), on {os.cpu_count()} "
        f"cores: {median:.2f} s each (median), the last {COUNT - WARM_UP} in {took / 60:.0f} minutes.\n\n"
        + table(
            ("held at rest", f"after {WARM_UP} runs", f"after {COUNT} runs"),
            [*rows, ("memory of all processes, MB", f"{before.bytes / 1e6:.0f}", f"{after.bytes / 1e6:.0f}")],
        )
        + f"\n\nA finished run keeps {growth / 1000:.0f} kB: its objects, history, jobs, logs and records, to be looked at.",
    )
