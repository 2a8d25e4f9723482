"""Every process of the twin dies with the twin: at its end, and also when it is killed without a chance to clean up.

A process started by `spawn` carries a mark in its environment, which its descendants inherit even through `setsid`. A
watchdog process holds the reading end of a pipe whose writing end only the twin has. The kernel closes that end
however the twin ends; the watchdog then kills whatever carries the mark and removes the twin's scratch folder.

Linux could kill children by itself (`PR_SET_PDEATHSIG`), but it does so when the *thread* that started the child ends,
and the twin starts most processes from short-lived request threads; grandchildren would be left out besides.

What escapes: a process that empties its environment, opens a session of its own, and outlives all its marked ancestors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MARK = "TWIN_PROCESS"
"""Environment variable that names the twin a process belongs to, and the `spawn` that it or an ancestor came from."""

_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.05
_KILL_LIMIT_SECONDS = 30.0


class Process(subprocess.Popen[bytes]):
    """A process of the twin; `mark` is what it and its descendants carry in their environment."""

    mark: str = ""


class _Watch:
    """One twin's mark, its scratch folder, and the watchdog that outlives it."""

    def __init__(self) -> None:
        self.twin = uuid.uuid4().hex
        self.scratch = Path(tempfile.mkdtemp(prefix="twin-"))
        self.spawned = 0
        self._pipe: int | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def ensure_watchdog(self) -> None:
        """Start the watchdog, also again if somebody has killed it."""
        if self._watchdog is not None and self._watchdog.poll() is None:
            return
        if self._pipe is not None:
            os.close(self._pipe)
        reading, self._pipe = os.pipe()
        try:
            self._watchdog = subprocess.Popen(
                [sys.executable, __file__, self.twin, str(self.scratch)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # Ctrl-C in the twin's terminal must not reach it
            )
        finally:
            os.close(reading)

    def close(self) -> None:
        """Kill what carries this twin's mark, then let the watchdog, which finds nothing left, remove the scratch."""
        _kill_all(lambda mark: mark.startswith(f"{self.twin}."))
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        if self._watchdog is not None:
            self._watchdog.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)


_lock = threading.Lock()
_watches: list[_Watch] = []
"""The present twin's, or none."""


def _current() -> _Watch:
    if not _watches:
        _watches.append(_Watch())
    _watches[0].ensure_watchdog()
    return _watches[0]


def install(_options: Any = None, _clock: Any = None) -> None:
    """Start the watchdog before there is anything to watch. Every part of the twin is installed alike."""
    with _lock:
        _current()


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str] | None = None,
    stdout: int | IO[bytes] | None = subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a process in a session of its own that cannot outlive the twin.

    Parameters
    ----------
    argv
        The program and its arguments, as for `subprocess.Popen`.
    env
        The whole environment of the process; the twin's mark is added to it, nothing is inherited.
    cwd, stdout, stderr, pass_fds
        As for `subprocess.Popen`. Standard input is empty.

    Returns
    -------
    Process
        A `subprocess.Popen`. End it and what it started with `kill`.

    Raises
    ------
    OSError
        The program cannot be started.
    """
    with _lock:
        watch = _current()
        watch.spawned += 1
        mark = f"{watch.twin}.{watch.spawned}"
    process = Process(
        list(argv),
        env={**env, MARK: mark},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
    )
    process.mark = mark
    return process


def kill(process: Process) -> int:
    """SIGKILL a spawned process and all it started, as the end of a container does, and return its exit status.

    Also right for a process that has ended by itself: what it left running is killed.
    """
    import psutil  # noqa: PLC0415  see _kill_once

    # Once the process is gone its number may have been given to a stranger, whose session is not ours to kill.
    recycled = process.poll() is not None and psutil.pid_exists(process.pid)
    _kill_all(lambda mark: mark == process.mark, session=None if recycled else process.pid)
    return process.wait()


def scratch(name: str) -> Path:
    """A folder of this name for the twin's temporary files; it is removed when the twin ends, however it ends."""
    with _lock:
        folder = _current().scratch / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def stop() -> None:
    """Kill every process spawned so far, with its descendants, and remove the scratch folder; `spawn` works afterwards."""
    with _lock:
        watches = list(_watches)
        _watches.clear()
    for watch in watches:
        watch.close()


def _kill_all(belongs: Callable[[str], bool], session: int | None = None) -> None:
    """Kill until a look finds nothing: a process may be forking while we look."""
    end, pause = time.monotonic() + _KILL_LIMIT_SECONDS, _FIRST_PAUSE_SECONDS
    while _kill_once(belongs, session) and time.monotonic() < end:
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _kill_once(belongs: Callable[[str], bool], session: int | None) -> bool:
    """Kill the processes whose mark belongs, their descendants and their sessions; say whether there were any."""
    import psutil  # noqa: PLC0415  the watchdog idles for the twin's whole life: it pays for psutil only when it acts

    own_session = os.getsid(0)
    sessions = {session}
    found: dict[int, psutil.Process] = {}
    unmarked: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            marked = belongs(process.environ().get(MARK, ""))
        except psutil.Error:
            continue
        if not marked:
            unmarked.append(process)
            continue
        found[process.pid] = process
        sessions.add(_read_session(process.pid))
        try:
            found.update((child.pid, child) for child in process.children(recursive=True))
        except psutil.Error:
            continue
    sessions -= {None, own_session}
    found.update((process.pid, process) for process in unmarked if _read_session(process.pid) in sessions)
    found.pop(os.getpid(), None)
    for process in found.values():
        try:
            process.kill()
        except psutil.Error:
            continue
    return bool(found)


def _read_session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _watch_over(twin: str, scratch_folder: str) -> None:
    """The watchdog: wait for the end of the twin, then clean up after it."""
    while os.read(0, 1):
        pass
    # A child caught between fork and exec does not carry the mark yet, hence more than one pass.
    for _ in range(3):
        _kill_all(lambda mark: mark.startswith(f"{twin}."))
        time.sleep(_LONGEST_PAUSE_SECONDS)
    shutil.rmtree(scratch_folder, ignore_errors=True)


if __name__ == "__main__":
    _watch_over(*sys.argv[1:3])
