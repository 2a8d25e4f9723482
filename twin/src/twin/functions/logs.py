"""A function's logs: one stream an instance, in the function's log group, with the lines that Lambda itself adds."""

from __future__ import annotations

import math
import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moto.logs.models import logs_backends

if TYPE_CHECKING:
    from twin.functions.definition import Definition

TAIL_BYTES = 4096
"""How much of an invocation's log an Invoke with ``LogType=Tail`` returns. Source: Lambda API, Invoke."""


class LogStream:
    """What one instance of a function has printed, line by line, in CloudWatch Logs.

    Parameters
    ----------
    definition
        The function, which names the log group.
    allowed
        Whether its role may write there. If not, the lines are lost, as on Lambda; their tail is returned all the same.
    """

    def __init__(self, definition: Definition, *, allowed: bool) -> None:
        self._allowed = allowed
        today = datetime.now(UTC)
        self._group = definition.log_group
        # In a group that functions may share, streams name theirs: "Configuring CloudWatch log groups".
        owner = "" if self._group == f"/aws/lambda/{definition.name}" else definition.name
        self.name = f"{today:%Y/%m/%d}/{owner}[{definition.version}]{uuid.uuid4().hex}"
        self._backend = logs_backends[definition.account][definition.region]
        self._lock = threading.Lock()
        self._unfinished = b""
        self._tail = b""

    def write(self, data: bytes) -> None:
        """Take output of the process; a line is logged when it is complete."""
        with self._lock:
            *lines, self._unfinished = (self._unfinished + data).split(b"\n")
            self._put(lines)

    def say(self, line: str) -> None:
        """Add a line of Lambda's own, after what the process has printed."""
        with self._lock:
            lines = [self._unfinished] if self._unfinished else []
            self._unfinished = b""
            self._put([*lines, line.encode()])

    def forget_tail(self) -> None:
        """Begin a new tail: an invocation starts."""
        with self._lock:
            self._tail = b""

    def tail(self) -> bytes:
        """The last 4 KB logged since `forget_tail`."""
        with self._lock:
            return self._tail

    def _put(self, lines: list[bytes]) -> None:
        now = int(datetime.now(UTC).timestamp() * 1000)
        # The runtime ends the lines of a traceback with a carriage return, so that it stays one log event.
        messages = [line.decode(errors="replace").replace("\r", "\n") + "\n" for line in lines if line.strip()]
        if not messages:
            return
        self._tail = (self._tail + "".join(messages).encode())[-TAIL_BYTES:]
        if not self._allowed:
            return
        self._backend.ensure_log_group(self._group)
        self._backend.ensure_log_stream(self._group, self.name)
        events = [{"timestamp": now, "message": message} for message in messages]
        self._backend.put_log_events(self._group, self.name, events)


def start_line(request_id: str, version: str) -> str:
    """The first line of an invocation."""
    return f"START RequestId: {request_id} Version: {version}"


def end_line(request_id: str) -> str:
    """The line after the last of the function's own."""
    return f"END RequestId: {request_id}"


def init_start_line(runtime: str) -> str:
    """The first line of an instance."""
    return f"INIT_START Runtime Version: {runtime.replace('python', 'python:')}"


def init_report_line(milliseconds: float, phase: str, status: str, error_type: str) -> str:
    """The line about an init phase that failed. Source: "Understanding the Lambda execution environment lifecycle"."""
    return (
        f"INIT_REPORT Init Duration: {milliseconds:.2f} ms\tPhase: {phase}\tStatus: {status}\tError Type: {error_type}"
    )


def report_line(
    request_id: str,
    *,
    milliseconds: float,
    init_milliseconds: float | None,
    memory_mib: int,
    used_mib: int,
    status: str = "",
    error_type: str = "",
) -> str:
    """The line that sums an invocation up. Source: "Viewing CloudWatch logs for Lambda functions".

    Billed is the time of the invocation and, since August 2025, of the initialisation, rounded up to a millisecond.
    """
    billed = math.ceil(milliseconds + (init_milliseconds or 0.0))
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {milliseconds:.2f} ms",
        f"Billed Duration: {billed} ms",
        f"Memory Size: {memory_mib} MB",
        f"Max Memory Used: {used_mib} MB",
    ]
    if init_milliseconds is not None:
        parts.append(f"Init Duration: {init_milliseconds:.2f} ms")
    if status:
        parts.append(f"Status: {status}")
    if error_type:
        parts.append(f"Error Type: {error_type}")
    return "\t".join(parts) + "\t"
