"""One execution environment of a function: a process that runs `awslambdaric`, used for one invocation at a time.

Between invocations it is frozen, as on Lambda: threads that the handler left behind stand still.
Source: "Understanding the Lambda execution environment lifecycle" (Lambda developer guide).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from twin import guardian
from twin.functions.runtime_api import (
    Answered,
    Ended,
    Failed,
    Idle,
    InitFailed,
    Invocation,
    RuntimeApi,
    Signal,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.functions.definition import Definition
    from twin.functions.logs import LogStream

INIT_LIMIT_SECONDS = 10.0
"""How long an initialisation may take before Lambda starts it again within the invocation."""

RESPONSE_LIMIT_BYTES = 6_291_556
"""The largest answer of a handler. Source: "Lambda quotas" and the text of Function.ResponseSizeTooLarge."""

_EXIT_WAIT_SECONDS = 2.0
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to: the handler's answer, or an error in the shape that Lambda gives it."""

    payload: bytes
    error_type: str = ""
    status: str = ""

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return bool(self.error_type)


class Instance:
    """A started process of a function.

    Parameters
    ----------
    definition
        The function.
    api
        Serves the process its Runtime API.
    environment
        All its variables but the address of the Runtime API.
    stream
        Where it logs.
    """

    def __init__(
        self,
        definition: Definition,
        api: RuntimeApi,
        environment: Mapping[str, str],
        stream: LogStream,
    ) -> None:
        self.definition = definition
        self.stream = stream
        self.usable = True
        self._peak_memory_mib = 0
        self._closing = threading.Lock()
        self._closed = False
        self._signals: queue.SimpleQueue[Signal] = queue.SimpleQueue()
        self._desk = api.open(self._signals.put, stream.write)
        reading, writing = os.pipe()
        try:
            self._process = guardian.spawn(
                [sys.executable, "-S", "-m", "awslambdaric", definition.handler],
                env={**environment, "AWS_LAMBDA_RUNTIME_API": self._desk.address},
                cwd=definition.task_root,
                stdout=writing,
                stderr=writing,
            )
        except OSError:
            os.close(reading)
            self._desk.close()
            raise
        finally:
            os.close(writing)
        self._desk.read_output(reading)

    def initialise(self, request_id: str, limit_seconds: float) -> Outcome | None:
        """Wait until the handler is loaded; the error if that fails or takes longer than `limit_seconds`."""
        match self._next_signal(limit_seconds):
            case Idle():
                self.peak_memory_mib()
                return None
            case InitFailed(error_type, body):
                outcome = Outcome(body, error_type, "error")
            case Ended():
                outcome = self._exit_outcome(request_id)
            case _:
                outcome = _timeout_outcome(request_id, limit_seconds)
        self.usable = False
        return outcome

    def invoke(self, invocation: Invocation, limit_seconds: float) -> Outcome:
        """Run the handler once. `settle` must follow."""
        self._signal_group(signal.SIGCONT)
        self._desk.offer(invocation)
        match self._next_signal(limit_seconds):
            case Answered(body) if len(body) > RESPONSE_LIMIT_BYTES:
                return _too_large_outcome(len(body))
            case Answered(body):
                return Outcome(body)
            case Failed(error_type, body):
                return Outcome(body, error_type)
            case Ended():
                outcome = self._exit_outcome(invocation.request_id)
            case _:
                outcome = _timeout_outcome(invocation.request_id, limit_seconds)
        self.usable = False
        self._desk.flush()
        return outcome

    def settle(self) -> None:
        """After an invocation: freeze the process once the runtime asks for the next one, else give the instance up."""
        if self.usable and isinstance(self._next_signal(_SETTLE_SECONDS), Idle):
            self._signal_group(signal.SIGSTOP)
        else:
            self.usable = False

    def peak_memory_mib(self) -> int:
        """The most memory the process has held so far, as far as it was seen."""
        self._peak_memory_mib = max(self._peak_memory_mib, _peak_memory_mib(self._process.pid))
        return self._peak_memory_mib

    def alive(self) -> bool:
        """Whether the process still runs; one that was killed from outside while it was idle does not."""
        return self.usable and self._process.poll() is None

    def close(self) -> None:
        """Kill the process and all it started; once is enough, and any thread may do it."""
        self.usable = False
        with self._closing:
            if self._closed:
                return
            self._closed = True
            guardian.kill(self._process)
            self._desk.close()

    def _next_signal(self, limit_seconds: float) -> Signal | None:
        try:
            return self._signals.get(timeout=limit_seconds)
        except queue.Empty:
            return None

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _exit_outcome(self, request_id: str) -> Outcome:
        try:
            status = self._process.wait(_EXIT_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        if status == 0:
            reason = "Runtime exited without providing a reason"
        elif status < 0:
            reason = f"Runtime exited with error: signal: {_SIGNAL_WORDS.get(-status, str(-status))}"
        else:
            reason = f"Runtime exited with error: exit status {status}"
        self.stream.say(f"RequestId: {request_id} Error: {reason}\nRuntime.ExitError")
        return _error_outcome("Runtime.ExitError", f"RequestId: {request_id} Error: {reason}", "error")


def _peak_memory_mib(pid: int) -> int:
    """The peak of a process's resident memory; where the system keeps none, its present one; 0 when it is gone."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return -(-int(line.split()[1]) // 1024)
    with contextlib.suppress(psutil.Error):
        return int(-(-psutil.Process(pid).memory_info().rss // 2**20))
    return 0


_SIGNAL_WORDS: dict[int, str] = {
    signal.SIGKILL: "killed",
    signal.SIGTERM: "terminated",
    signal.SIGSEGV: "segmentation fault",
}


def _error_outcome(error_type: str, message: str, status: str) -> Outcome:
    return Outcome(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), error_type, status)


def _timeout_outcome(request_id: str, limit_seconds: float) -> Outcome:
    message = f"RequestId: {request_id} Error: Task timed out after {limit_seconds:.2f} seconds"
    return _error_outcome("Sandbox.Timedout", message, "timeout")


def _too_large_outcome(size: int) -> Outcome:
    message = (
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({RESPONSE_LIMIT_BYTES} bytes)."
    )
    return _error_outcome("Function.ResponseSizeTooLarge", message, "error")
