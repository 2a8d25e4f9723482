"""One thread that waits for everything jobs do: their output, their end, timers, requests for metadata.

A hundred jobs cost a hundred file descriptors here, not a hundred threads.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

_T = TypeVar("_T")
_POLL_SECONDS = 0.05
"""How often a process is looked at where the kernel cannot announce its end (other systems than Linux)."""


class Cancellable(Protocol):
    """Something that will happen later unless it is cancelled."""

    def cancel(self) -> None:
        """Let it not happen."""


class Loop:
    """An event loop in a thread of its own; every method may be called from any thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._descriptors: set[int] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def soon(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do `action` in the loop's thread, after what is already waiting there. A stopped loop does nothing more."""
        try:
            self._loop.call_soon_threadsafe(action, *arguments)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def later(self, seconds: float, action: Callable[..., None], *arguments: Any) -> Cancellable:
        """Do `action` in the loop's thread in `seconds`."""
        timer = _Timer(self._loop)
        self.soon(timer.start, seconds, action, *arguments)
        return timer

    def on_readable(self, descriptor: int, action: Callable[..., None], *arguments: Any) -> None:
        """Do `action` whenever `descriptor`, which the loop owns from now on, can be read. For the loop's own thread."""
        self._descriptors.add(descriptor)
        self._loop.add_reader(descriptor, action, *arguments)

    def close(self, descriptor: int) -> None:
        """Watch `descriptor` no longer, and close it. For the loop's own thread."""
        self._descriptors.discard(descriptor)
        self._loop.remove_reader(descriptor)
        os.close(descriptor)

    def on_exit(self, pid: int, ended: Callable[[], bool], action: Callable[[], None]) -> None:
        """Do `action` once when the child process `pid` has ended; `ended` tells whether it has. For the loop's thread."""
        if hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(pid)
            except OSError:
                self._poll(ended, action)
                return
            self.on_readable(descriptor, self._exited, descriptor, action)
        else:
            self._poll(ended, action)

    def _exited(self, descriptor: int, action: Callable[[], None]) -> None:
        self.close(descriptor)
        action()

    def _poll(self, ended: Callable[[], bool], action: Callable[[], None]) -> None:
        if ended():
            action()
        else:
            self._loop.call_later(_POLL_SECONDS, self._poll, ended, action)

    def run(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run a coroutine in the loop; wait for what it returns from any thread but the loop's own."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """End the thread; what still waits is dropped."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for descriptor in list(self._descriptors):
            self.close(descriptor)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class _Timer:
    """A timer that can be cancelled from any thread, even before the loop has heard of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._cancelled = False
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, action: Callable[..., None], *arguments: Any) -> None:
        if not self._cancelled:
            self._handle = self._loop.call_later(seconds, self._fire, action, *arguments)

    def _fire(self, action: Callable[..., None], *arguments: Any) -> None:
        if not self._cancelled:
            action(*arguments)

    def cancel(self) -> None:
        self._cancelled = True
        if self._handle is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._handle.cancel)  # frees what a timer of many hours would hold
