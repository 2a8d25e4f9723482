"""A container as a process: started with its own scratch folder, its output read line by line, stopped as ECS stops one.

SIGTERM goes to the container's first process only and SIGKILL to all of them, as ``docker stop`` and the end of a
container do. A first process that has no handler for SIGTERM does not notice it: the kernel spares process 1 of a PID
namespace every signal that it does not handle (pid_namespaces(7)), and so it runs until SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twin.compute.loop import Loop

_READ_BYTES = 1 << 16
_MAX_LINE_BYTES = (1 << 18) - 26
"""The ``awslogs`` driver cuts a line into events of this length, though CloudWatch Logs takes up to 1 MB by now.

The number is that of the driver which ECS uses on Fargate (github.com/aws/shim-loggers-for-containerd), and Docker's.
"""


class Spawn(Protocol):
    """How a process is started; `twin.guardian.spawn` is one."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str] | None,
        stdout: int,
        stderr: int,
    ) -> subprocess.Popen[bytes]:
        """Start `argv` in a session of its own."""


class LinePipe:
    """A pipe whose other end a process writes to; passes on whole lines as they come."""

    def __init__(self, loop: Loop, sink: Callable[[list[str]], None]) -> None:
        self._loop = loop
        self._sink = sink
        self._rest = b""
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._open = True

    def watch(self) -> None:
        """Begin to read; the writing end now belongs to the process alone."""
        os.close(self.writing)
        self._loop.on_readable(self._reading, self.read)

    def read(self) -> None:
        """Hand over what there is."""
        while self._open:
            try:
                chunk = os.read(self._reading, _READ_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self.close()
                return
            *ended, rest = (self._rest + chunk).split(b"\n")
            *cut, self._rest = _events(rest)
            lines = [event for line in ended for event in _events(line)] + cut
            if lines:
                self._sink([line.decode("utf-8", "replace").rstrip("\r") for line in lines])

    def close(self) -> None:
        """Hand over what has no end of line, and stop reading."""
        if not self._open:
            return
        self._open = False
        self._loop.close(self._reading)
        if self._rest:
            self._sink([self._rest.decode("utf-8", "replace")])


def _events(line: bytes) -> list[bytes]:
    """A line as the log's events: one, or several of a line that is longer than an event may be."""
    return [line[at : at + _MAX_LINE_BYTES] for at in range(0, len(line) or 1, _MAX_LINE_BYTES)]


class ContainerProcess:
    """A started container. Its methods may be called from any thread."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, has_init: bool) -> None:
        self._process = process
        self._folder = folder
        self._has_init = has_init

    @property
    def pid(self) -> int:
        """The first process's id, which is also its session's."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the first process still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int:
        """The exit code as a container runtime tells it: 128 and the number when a signal ended the process."""
        status = self._process.poll()
        if status is None:
            raise RuntimeError("a running process has no exit code")
        return status if status >= 0 else 128 - status

    def terminate(self) -> None:
        """SIGTERM to the container's first process, which notices it if it handles it or has an init process above."""
        if self.running and (self._has_init or _handles_sigterm(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to every process of the container."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Wait until the first process has ended, at most `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def remove_folder(self) -> None:
        """Remove the container's scratch folder with all it left there."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _handles_sigterm(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM; assumed where the kernel does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return caught is None or bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def start(
    loop: Loop,
    spawn: Spawn,
    argv: Sequence[str],
    environment: Mapping[str, str],
    lines: Callable[[list[str]], None],
    ended: Callable[[ContainerProcess], None],
    has_init: bool = False,
    scratch: Path | None = None,
) -> ContainerProcess:
    """Start a container. For the loop's own thread.

    Parameters
    ----------
    argv, environment
        The program and all of its environment, but ``HOME`` and ``TMPDIR``, which are its own folder.
    lines
        Gets what it writes to its standard output and error, in lines.
    ended
        Called once, in the loop's thread, when its first process has ended and its output is handed over.
    has_init
        Whether an init process stands above its first process (``initProcessEnabled``).
    scratch
        Where its folder is made; the system's place for temporary files when None.

    Raises
    ------
    OSError
        The program cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="job-", dir=scratch))
    pipe = LinePipe(loop, lines)
    try:
        process = spawn(
            argv,
            env={**environment, "HOME": str(folder), "TMPDIR": str(folder)},
            cwd=folder,
            stdout=pipe.writing,
            stderr=pipe.writing,
        )
    except OSError:
        os.close(pipe.writing)
        pipe.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    pipe.watch()
    container = ContainerProcess(process, folder, has_init)

    def on_exit() -> None:
        container.wait(1.0)  # the end is announced: this reaps, it does not wait
        container.kill()  # what the first process left behind ends with it, as in a container
        pipe.read()
        pipe.close()
        ended(container)

    loop.on_exit(process.pid, lambda: not container.running, on_exit)
    return container
