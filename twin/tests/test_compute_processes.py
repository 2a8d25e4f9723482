"""A container as a process: its output in lines, its loop without threads of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from twin import guardian
from twin.compute.loop import Loop
from twin.compute.memory import resident_mib
from twin.compute.processes import ContainerProcess, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop("test")
    yield running
    running.stop()


def run(loop: Loop, scratch: Path, *program: str) -> tuple[list[str], int]:
    """Run Python with `program` as its code; returns its lines and its exit code."""
    lines: list[str] = []
    ended = threading.Event()
    containers: list[ContainerProcess] = []

    def begin() -> None:
        argv = [sys.executable, "-c", *program]
        containers.append(start(loop, guardian.spawn, argv, {}, lines.extend, lambda _: ended.set(), scratch=scratch))

    loop.soon(begin)
    assert ended.wait(20)
    containers[0].remove_folder()
    return lines, containers[0].exit_code


@pytest.mark.ours
def test_output_comes_in_whole_lines_and_the_last_needs_no_end(loop: Loop, tmp_path: Path) -> None:
    program = "import sys, time; w = sys.stdout; [(w.write(p), w.flush(), time.sleep(0.02)) for p in ('a', 'b\\nc', '\\r\\nd')]"
    assert run(loop, tmp_path, program) == (["ab", "c", "d"], 0)


@pytest.mark.ours
def test_what_is_not_text_is_kept_as_well_as_it_can_be(loop: Loop, tmp_path: Path) -> None:
    lines, _ = run(loop, tmp_path, "import os; os.write(1, b'caf\\xc3\\xa9 \\xff\\n')")
    assert lines == ["café \ufffd"]


@pytest.mark.documented(
    "https://github.com/aws/shim-loggers-for-containerd/blob/main/logger/awslogs/logger.go",
    "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html",
)
def test_a_line_longer_than_a_log_event_is_cut(loop: Loop, tmp_path: Path) -> None:
    """By the log driver, at 256 KB less the 26 bytes that each event costs; the service itself takes 1 MB."""
    lines, _ = run(loop, tmp_path, "print('x' * 700_000); print('short')")
    assert [len(line) for line in lines] == [262_118, 262_118, 175_764, 5]


@pytest.mark.ours
def test_a_signal_s_exit_code_is_128_and_its_number(loop: Loop, tmp_path: Path) -> None:
    assert run(loop, tmp_path, "import os; os.kill(os.getpid(), 9)")[1] == 137


@pytest.mark.ours
def test_a_program_that_cannot_be_started_leaves_nothing(loop: Loop, tmp_path: Path) -> None:
    failures: list[OSError] = []
    tried = threading.Event()

    def begin() -> None:
        try:
            start(loop, guardian.spawn, ["/no/such/program"], {}, lambda _: None, lambda _: None, scratch=tmp_path)
        except OSError as error:
            failures.append(error)
        tried.set()

    loop.soon(begin)
    assert tried.wait(10)
    assert len(failures) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ours
def test_a_cancelled_timer_does_nothing(loop: Loop) -> None:
    fired: list[str] = []
    done = threading.Event()
    loop.later(0.02, fired.append, "cancelled").cancel()
    loop.later(0.05, done.set)
    assert done.wait(10)
    assert fired == []


@pytest.mark.ours
def test_memory_counts_all_processes_of_a_session() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'held = b\"x\" * (64 << 20); input()'])"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, start_new_session=True) as process:
        used = 0.0
        while process.poll() is None and used < 64:
            used = resident_mib({process.pid}).get(process.pid, 0.0)
        process.communicate(b"\n")
    assert 64 <= used < 256
    assert resident_mib({process.pid}) == {}
    assert os.getpid() not in resident_mib({process.pid})
