"""A few threads that do work when it is due."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger(__name__)


class Pool:
    """Runs callables on a small, fixed number of threads, now or after a delay.

    A waiting callable costs no thread, so thousands may wait for their next attempt.

    Parameters
    ----------
    workers
        How many threads work at a time. They start with the first piece of work.
    name
        What the threads are called, for whoever looks at a stack.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._workers = workers
        self._name = name
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._working = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[[], None], delay: float = 0.0) -> None:
        """Do `work` in `delay` seconds, or as soon after as a thread is free. Work given to a stopped pool is dropped."""
        with self._changed:
            if self._stopped:
                return
            heapq.heappush(self._waiting, (time.monotonic() + delay, next(self._order), work))
            if len(self._threads) < self._workers:
                number = len(self._threads)
                thread = threading.Thread(target=self._serve, name=f"{self._name}-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is waiting or being done; False when `timeout` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._working, timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Drop what waits, let what is being done end, and end the threads."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:
                # One bad piece of work must not take the thread, and with it everybody's deliveries, along.
                _logger.exception("work of %s failed", self._name)
            finally:
                with self._changed:
                    self._working -= 1
                    self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                if not self._waiting:
                    self._changed.wait()
                    continue
                due = self._waiting[0][0] - time.monotonic()
                if due > 0:
                    self._changed.wait(due)
                    continue
                self._working += 1
                return heapq.heappop(self._waiting)[2]
            return None
