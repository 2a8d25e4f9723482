"""The instances of one function: a warm one is used again, a concurrent invocation gets one of its own.

Lambda grows without asking; this machine cannot. Up to `limit` processes run at a time and further invocations wait for
one, which delays them and changes nothing else. Reserved concurrency is Lambda's: what exceeds it is refused.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.functions.definition import Definition
    from twin.functions.instance import Instance


_CLOSE_LIMIT_SECONDS = 5.0


class Throttled(Exception):
    """The function's reserved concurrency is in use. Source: TooManyRequestsException of the Lambda API."""

    def __init__(self) -> None:
        super().__init__("Rate Exceeded.")

    reason = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Closed(Exception):
    """The twin is ending."""

    def __init__(self) -> None:
        super().__init__("the twin is ending")


class InstancePool:
    """Lends instances of one function.

    Parameters
    ----------
    start
        Starts a new instance of a definition.
    limit
        Processes at a time.
    """

    def __init__(self, start: Callable[[Definition], Instance], limit: int) -> None:
        self._start = start
        self._limit = limit
        self._changed = threading.Condition()
        self._idle: list[tuple[float, Instance]] = []
        self._lent: set[Instance] = set()
        self._starting = 0
        self._invocations = 0
        self._closed = False

    def enter(self, reserved: int | None) -> None:
        """Count an invocation in.

        Raises
        ------
        Throttled
            As many invocations run as `reserved` allows.
        """
        with self._changed:
            if reserved is not None and self._invocations >= reserved:
                raise Throttled
            self._invocations += 1

    def leave(self) -> None:
        """Count an invocation out."""
        with self._changed:
            self._invocations -= 1
            self._changed.notify_all()

    def borrow(self, definition: Definition) -> tuple[Instance, bool]:
        """An instance of exactly this definition, and whether it is warm; waits for one to become free.

        Raises
        ------
        Closed
            The pool was closed.
        """
        outdated: list[Instance] = []
        try:
            with self._changed:
                while True:
                    if self._closed:
                        raise Closed
                    outdated += self._take_unusable(definition)
                    if self._idle:
                        instance = self._idle.pop()[1]
                        self._lent.add(instance)
                        return instance, True
                    if len(self._lent) + self._starting < self._limit:
                        self._starting += 1
                        break
                    self._changed.wait()
        finally:
            for instance in outdated:
                instance.close()
        return self._started(definition), False

    def give_back(self, instance: Instance) -> None:
        """Keep a borrowed instance warm for the next invocation, or close it if it cannot be used again."""
        with self._changed:
            self._lent.discard(instance)
            keep = instance.usable and not self._closed
            if keep:
                self._idle.append((time.monotonic(), instance))
            self._changed.notify_all()
        if not keep:
            instance.close()

    def retire(self, idle_seconds: float, keep: int) -> None:
        """Close instances that have been idle for so long, but `keep` of them; the one used last stays longest."""
        now = time.monotonic()
        with self._changed:
            spare = self._idle[: max(0, len(self._idle) - keep)]
            old = [entry for entry in spare if now - entry[0] >= idle_seconds]
            self._idle = [entry for entry in self._idle if entry not in old]
        for _, instance in old:
            instance.close()

    def close(self) -> None:
        """Close every instance, also those that work, and wait for their invocations to end as a killed process does."""
        with self._changed:
            self._closed = True
            instances = [*self._lent, *(instance for _, instance in self._idle)]
            self._idle.clear()
            self._changed.notify_all()
        for instance in instances:
            instance.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._invocations, timeout=_CLOSE_LIMIT_SECONDS)

    def _take_unusable(self, definition: Definition) -> list[Instance]:
        """Remove idle instances of an older deployment, or whose process is gone."""
        fit = [entry for entry in self._idle if entry[1].definition == definition and entry[1].alive()]
        unfit = [instance for _, instance in self._idle if all(instance is not other for _, other in fit)]
        self._idle = fit
        return unfit

    def _started(self, definition: Definition) -> Instance:
        try:
            instance = self._start(definition)
        except BaseException:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
            raise
        with self._changed:
            self._starting -= 1
            self._lent.add(instance)
            closed = self._closed
        if closed:
            self.give_back(instance)
            raise Closed
        return instance
