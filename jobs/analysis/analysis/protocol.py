"""The messages of a gang: JSON lines between supervisors, and between a supervisor and its workers.

A message is an object, and its keys name its kind. All members of a gang run one image, so the protocol needs no version.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from enum import StrEnum
from queue import Queue
from typing import TYPE_CHECKING, Any

from spotline.documents import parse_object
from spotline.exits import ExitCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Mapping

    from analysis.outcomes import ExitReason

Message = dict[str, Any]


class Phase(StrEnum):
    """What a worker is doing, in order."""

    STARTING = "starting"
    JOINING = "joining"
    LOADING = "loading"
    SKETCHING = "sketching"
    TRAINING = "training"
    SCORING = "scoring"
    PUBLISHING = "publishing"


def encode(message: Message) -> bytes:
    """One message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def send(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send without waiting: messages are small, and the heartbeat timeout finds a peer that no longer reads."""
    if not writer.is_closing():
        writer.write(encode(message))


async def read_messages(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    """Every message until the other side closes, dies, or sends something else."""
    try:
        while line := await reader.readline():
            yield parse_object(line, "a message")
    except (OSError, ValueError):
        return


class SupervisorLink:
    """A worker's connection to its supervisor: heartbeats and progress out, the tracker's address and the request to stop in.

    The worker writes to a pipe, in single lines below the size that a pipe keeps whole, and reads its standard input.
    """

    def __init__(self, descriptor: int, interval: float) -> None:
        self._descriptor = descriptor
        self._interval = interval
        self._stop = threading.Event()
        self.tracker: Queue[tuple[str, int]] = Queue()

    @classmethod
    def start(cls, environ: Mapping[str, str], interval: float) -> SupervisorLink:
        """Begin to send heartbeats and to receive messages, each in a thread of its own."""
        link = cls(int(environ["SUPERVISOR_PIPE"]), interval)
        threading.Thread(target=link._send_heartbeats, daemon=True).start()
        threading.Thread(target=link._receive, daemon=True).start()
        return link

    @property
    def stop_requested(self) -> bool:
        """Whether the gang is to leave at the next boundary."""
        return self._stop.is_set()

    def send(self, **message: Any) -> None:
        """Send one message to the supervisor."""
        try:
            os.write(self._descriptor, json.dumps(message).encode() + b"\n")
        except OSError:
            _leave()

    def enter(self, phase: Phase) -> None:
        """Report that a new phase begins."""
        self.send(phase=phase)

    def report_batch(self) -> None:
        """Report that a batch is done."""
        self.send(batch=1)

    def send_exit_reason(self, exit_reason: ExitReason, *, engine: bool = False) -> None:
        """Send the last message. `engine` marks an error of the collective, whose cause is probably the loss of a peer."""
        self.send(end=exit_reason.to_message(), engine=engine)

    def _send_heartbeats(self) -> None:
        while True:
            self.send(heartbeat={"cpu_seconds": time.process_time()})
            time.sleep(self._interval)

    def _receive(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "tracker" in message:
                address, port = message["tracker"]
                self.tracker.put((address, port))
            if "stop" in message:
                self._stop.set()
        _leave()


def _leave() -> None:
    """The supervisor is gone: nobody watches any more, so nothing may go on."""
    os._exit(ExitCode.TRY_AGAIN)
