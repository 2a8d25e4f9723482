"""Ctrl-C and `kill` as something that a command waits for, so that it can end in order."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Waits for SIGINT or SIGTERM, whichever thread of the process receives it.

    Python runs a signal's handler in the main thread, but only when that has something to do: where another thread was
    interrupted and the main thread waits for a lock, nobody wakes it, and Ctrl-C is never seen. What does happen at once, in
    any thread, is that Python writes to its wake-up descriptor; that is what is waited for here.

    For the main thread; the earlier handlers are put back at the end of the block.
    """

    def __enter__(self) -> Self:
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _noted) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._reading.close()
        self._writing.close()

    def wait(self) -> None:
        """Return when the process was, or has been, asked to stop."""
        while not any(number in _SIGNALS for number in self._reading.recv(16)):
            pass  # another signal that somebody has a handler for


def _noted(signum: int, frame: FrameType | None) -> None:
    """Nothing: without a handler of Python's the signal would end the process."""
