"""A worker's side of the talk with its supervisor: beats and news out, the tracker's address and the wish to stop in."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from queue import Queue
from typing import TYPE_CHECKING, Any

from spotline.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.outcomes import ExitReason
    from analysis.watch import Phase


class Beats:
    """The pipe to the supervisor. Writes are single lines below the size that a pipe keeps whole."""

    def __init__(self, descriptor: int, interval: float) -> None:
        self._descriptor = descriptor
        self._interval = interval
        self._stop = threading.Event()
        self.tracker: Queue[tuple[str, int]] = Queue()

    @classmethod
    def start(cls, environ: Mapping[str, str], interval: float) -> Beats:
        """Begin to show that the process runs, and to listen to the supervisor, each in a thread of its own."""
        beats = cls(int(environ["BEATS"]), interval)
        threading.Thread(target=beats._show_life, daemon=True).start()
        threading.Thread(target=beats._listen, daemon=True).start()
        return beats

    @property
    def asked_to_stop(self) -> bool:
        """Whether the gang is to leave at the next boundary."""
        return self._stop.is_set()

    def say(self, **message: Any) -> None:
        """Tell the supervisor something."""
        try:
            os.write(self._descriptor, json.dumps(message).encode() + b"\n")
        except OSError:
            _leave()

    def enter(self, phase: Phase) -> None:
        """A new phase begins."""
        self.say(phase=phase)

    def beat(self) -> None:
        """A batch is done."""
        self.say(beat=1)

    def end(self, exit_reason: ExitReason, *, engine: bool = False) -> None:
        """The last word. `engine` marks an error of the collective, whose cause is probably the loss of a peer."""
        self.say(end=exit_reason.to_message(), engine=engine)

    def _show_life(self) -> None:
        while True:
            self.say(cpu=time.process_time())
            time.sleep(self._interval)

    def _listen(self) -> None:
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
