"""Every process of the twin dies with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from clouds.processes import alive, eventually
from twin import guardian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.ours

PATH = {"PATH": os.environ["PATH"]}

# A shell whose grandchildren leave it: one in a session of its own, one there and orphaned, one without environment.
FAMILY = """
echo $$ >> "$PIDS"
setsid sh -c 'echo $$ >> "$PIDS"; exec sleep 300' &
sh -c 'setsid sh -c "echo \\$\\$ >> \\"$PIDS\\"; exec sleep 300" & exit 0'
sh -c 'echo $$ >> "$PIDS"; exec env -i sleep 300' &
sh -c 'echo $$ >> "$PIDS"; exec env -i setsid sleep 300' &
exec sleep 300
"""
FAMILY_SIZE = 5

A_TWIN = """
import os, sys, time
from twin import guardian
guardian.spawn(["sh", "-c", sys.argv[1]], env={"PATH": os.environ["PATH"], "PIDS": sys.argv[2]})
print(guardian.scratch("code"), flush=True)
time.sleep(300)
"""


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    guardian.stop()


def watchdogs(scratch: str) -> list[psutil.Process]:
    """The watchdogs of the twin that has this scratch folder; this process may have other children, of other tests too."""
    return [child for child in psutil.Process().children() if alive(child.pid) and scratch in _command(child)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def family_of(file: Path) -> list[int]:
    """The pids of a family, once all its members have written theirs."""
    assert eventually(lambda: file.exists() and len(file.read_text().split()) == FAMILY_SIZE), (
        "the family did not start"
    )
    return [int(pid) for pid in file.read_text().split()]


def start_twin(pids: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A process that spawns a family and waits, as a twin does; and its scratch folder."""
    twin = subprocess.Popen([sys.executable, "-c", A_TWIN, FAMILY, str(pids)], stdout=subprocess.PIPE)
    assert twin.stdout is not None
    return twin, twin.stdout.readline().decode().strip()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_descendants_die_when_the_twin_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    # Given a twin with a job whose grandchildren have left its session, its parentage and its environment
    twin, scratch = start_twin(tmp_path / "pids")
    family = family_of(tmp_path / "pids")
    # When it is killed
    twin.send_signal(number)
    twin.wait()
    # Then nothing of it is left, not even its files
    assert eventually(lambda: not any(alive(pid) for pid in family)), [pid for pid in family if alive(pid)]
    assert eventually(lambda: not os.path.exists(os.path.dirname(scratch)))  # noqa: PTH110, PTH120


def test_a_twin_outlives_the_death_of_another(tmp_path: Path) -> None:
    # Given two twins side by side
    one, _ = start_twin(tmp_path / "one")
    other, _ = start_twin(tmp_path / "other")
    family, others = family_of(tmp_path / "one"), family_of(tmp_path / "other")
    # When one of them is killed
    one.kill()
    one.wait()
    # Then the other's processes live on
    assert eventually(lambda: not any(alive(pid) for pid in family))
    assert all(alive(pid) for pid in others)
    other.kill()
    other.wait()
    assert eventually(lambda: not any(alive(pid) for pid in others))


def test_killing_a_process_kills_what_it_started_and_nothing_else(tmp_path: Path) -> None:
    # Given two processes with families
    first, second = (
        guardian.spawn(["sh", "-c", FAMILY], env={**PATH, "PIDS": str(tmp_path / name)}) for name in ("first", "second")
    )
    family, others = family_of(tmp_path / "first"), family_of(tmp_path / "second")
    # When one of them is killed
    status = guardian.kill(first)
    # Then its whole family is gone at once and the other one is whole
    assert status == -signal.SIGKILL
    assert not any(alive(pid) for pid in family)
    assert all(alive(pid) for pid in others)
    assert second.poll() is None


def test_killing_a_process_that_has_ended_kills_what_it_left_behind(tmp_path: Path) -> None:
    # Given a process that leaves a daemon behind and ends
    pids = tmp_path / "pids"
    script = "setsid sh -c 'echo $$ > \"$PIDS\"; exec sleep 300' & exit 7"
    process = guardian.spawn(["sh", "-c", script], env={**PATH, "PIDS": str(pids)})
    process.wait()
    assert eventually(lambda: pids.exists() and pids.read_text().strip() != "")
    # When it is killed all the same
    status = guardian.kill(process)
    # Then its own status stands, and the daemon is gone
    assert status == 7
    assert not alive(int(pids.read_text()))


def test_stop_leaves_no_process_and_no_file_and_spawn_works_again(tmp_path: Path) -> None:
    # Given a family and a scratch folder
    guardian.spawn(["sh", "-c", FAMILY], env={**PATH, "PIDS": str(tmp_path / "pids")})
    scratch = guardian.scratch("code")
    family = family_of(tmp_path / "pids")
    # When the twin stops
    guardian.stop()
    # Then both are gone, and the watchdog too
    assert not any(alive(pid) for pid in family)
    assert not scratch.parent.exists()
    assert eventually(lambda: watchdogs(scratch.parent.name) == [])
    # And another twin can start
    assert guardian.spawn(["true"], env=PATH).wait() == 0


def test_a_killed_watchdog_is_replaced_before_the_next_process(tmp_path: Path) -> None:
    # Given a watchdog that somebody has killed
    guardian.install()
    twin = guardian.scratch("code").parent.name
    assert eventually(lambda: len(watchdogs(twin)) == 1)  # a process that has only just begun has no command line yet
    (watchdog,) = watchdogs(twin)
    watchdog.kill()
    assert eventually(lambda: not alive(watchdog.pid))
    # When the next process is started
    guardian.spawn(["sleep", "300"], env=PATH)
    # Then there is a watchdog again
    assert eventually(lambda: len(watchdogs(twin)) == 1)
    assert watchdogs(twin) != [watchdog]


def test_a_process_gets_its_own_environment_and_the_mark_only(tmp_path: Path) -> None:
    # When a process prints its environment
    with (tmp_path / "out").open("wb") as out:
        guardian.spawn(["/usr/bin/env"], env={"GIVEN": "1"}, stdout=out).wait()
    # Then it has what it was given, and what makes it ours
    names = {line.split("=")[0] for line in (tmp_path / "out").read_text().splitlines()}
    assert names == {"GIVEN", guardian.MARK}


def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        guardian.spawn(["/nowhere/program"], env=PATH)
