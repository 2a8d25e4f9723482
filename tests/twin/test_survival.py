"""What its user, his other twins and his disk do to a twin, and how it goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from benchmarks.twin import Runs, noop_twin, run_after_run
from clouds.processes import alive, eventually
from tests.twin.test_up import Up, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.twin import NoopTwin

pytestmark = [pytest.mark.ours, pytest.mark.timeout(300)]

DISK_MEBIBYTES = 256


def processes_of(twin: NoopTwin, what: str) -> list[psutil.Process]:
    """The twin's processes that have `what` in their command."""
    found = []
    for child in psutil.Process(twin.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if what in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_a_function_whose_process_is_killed_gets_another_one() -> None:
    with noop_twin() as twin:
        # Given functions that are warm
        runs = Runs(twin)
        run_after_run(twin, runs, 1)
        warm = processes_of(twin, "awslambdaric")
        assert warm
        # When all their processes are killed
        for process in warm:
            process.kill()
        assert eventually(lambda: not any(alive(process.pid) for process in warm))
        # Then the next run does not notice
        run_after_run(twin, runs, 1)


def test_two_twins_side_by_side_know_nothing_of_each_other() -> None:
    with noop_twin() as one, noop_twin() as other:
        # Given two twins at work
        runs = Runs(other)
        run_after_run(one, Runs(one), 1)
        run_after_run(other, runs, 1)
        machines = [twin.output("StateMachineArn") for twin in (one, other)]
        executions = [
            twin.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
            for twin, machine in zip((one, other), machines, strict=True)
        ]
        assert [len(found) for found in executions] == [1, 1]
        # When one is killed
        gone = psutil.Process(one.process.pid).children(recursive=True)
        one.process.kill()
        # Then its processes die with it, and the other one goes on
        assert psutil.wait_procs(gone, timeout=60)[1] == []
        run_after_run(other, runs, 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for a twin's temporary files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("a disk that can be filled needs the right to mount one")
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEBIBYTES}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave not a byte free."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(b"x"):
            pass
    return ballast


def test_what_a_full_disk_held_up_goes_on_when_there_is_room_again(small_disk: Path) -> None:
    # Given a twin whose disk is full before any function has been unpacked there
    up = Up("--jobs", "noop", "--time-scale", "60", TMPDIR=str(small_disk))
    try:
        ballast = fill(small_disk)
        # When a file lands
        up.aws("s3api", "put-object", "--bucket", up.output("IngestBucket"), "--key", "data/flights/20130209/f.csv")
        # Then nothing is started, and the twin still answers,
        machine = up.output("StateMachineArn")

        def executions() -> Any:
            return up.aws("stepfunctions", "list-executions", "--state-machine-arn", machine)["executions"]

        assert executions() == []
        # and once there is room the file's run starts by itself and comes to its end.
        ballast.unlink()
        wait_for(lambda: [execution["status"] for execution in executions()] == ["SUCCEEDED"], 200)
    finally:
        up.stop()
