"""How a call of the fake AWS is made: one at a time, whoever's turn it is, through a fuse that can end the caller at any of them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Crashed(BaseException):
    """The caller's process is gone. Not an `Exception`: no code of the caller's sees it."""


class Refusal(ClientError):
    """An AWS error; subclasses are what `client.exceptions` names."""

    def __init__(self, **more: Any) -> None:
        response: Any = {"Error": {"Code": type(self).__name__, "Message": "refused"}, **more}
        super().__init__(response, "Call")


class ConditionalCheckFailedException(Refusal):
    pass


class ExecutionAlreadyExists(Refusal):
    pass


class ExecutionDoesNotExist(Refusal):
    pass


class TaskTimedOut(Refusal):
    pass


class TaskDoesNotExist(Refusal):
    pass


class InvalidToken(Refusal):
    pass


class NoSuchKey(Refusal):
    pass


class PreconditionFailed(Refusal):
    pass


class ClientException(Refusal):
    pass


class InternalServerError(Refusal):
    """What is left of a throttled or failing call after the SDK's own retries."""


class TransactionCanceledException(Refusal):
    pass


@dataclass
class Fuse(threading.local):
    """Ends the caller, or loses an answer, once `calls` more calls were carried out.

    A thread stands for a function's process, and each has a fuse of its own.
    """

    calls: int | None = None
    ending: Callable[[], BaseException] = Crashed

    def burn(self) -> None:
        if self.calls is None:
            return
        if self.calls == 0:
            self.calls = None
            raise self.ending()
        self.calls -= 1


class Turns:
    """Lets several functions run at once, one AWS call at a time, in an order that is told: no two runs of it differ."""

    def __init__(self) -> None:
        self._mine = threading.local()

    def pause(self) -> None:
        """Give the turn away before a call; a function that runs alone just goes on."""
        turn: _Turn | None = getattr(self._mine, "turn", None)
        if turn is not None:
            turn.give_away()

    def run(self, functions: Sequence[Callable[[], object]], order: Iterable[int]) -> None:
        """Run functions to their ends. `order` says, modulo those that are left, who makes the next call; then it goes round."""
        turns = [_Turn(self._mine, function) for function in functions]
        told = iter(order)
        waiting = list(turns)
        for at in range(100_000):
            if not waiting:
                break
            turn = waiting[next(told, at) % len(waiting)]
            if turn.ended_after_taking():
                waiting.remove(turn)
        for turn in turns:
            turn.answer()


class _Turn:
    """One function in a thread of its own, which moves only while it has the turn."""

    def __init__(self, mine: threading.local, function: Callable[[], object]) -> None:
        self._mine, self._function = mine, function
        self._taken, self._given = threading.Semaphore(0), threading.Semaphore(0)
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._mine.turn = self
        self._taken.acquire()
        try:
            self._function()
        except BaseException as error:  # noqa: BLE001  told to whoever let it run
            self._error = error
        self._ended = True
        self._given.release()

    def give_away(self) -> None:
        self._given.release()
        self._taken.acquire()

    def ended_after_taking(self) -> bool:
        self._taken.release()
        self._given.acquire()
        return self._ended

    def answer(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error


@dataclass
class Line:
    """What every call goes through. `counts` is how often each operation was called; a listing counts its pages."""

    fuse: Fuse = field(default_factory=Fuse)
    turns: Turns = field(default_factory=Turns)
    counts: Counter[str] = field(default_factory=Counter)

    def count_pages(self, operation: str, items: int, of: int) -> None:
        """Count the pages of a listing that come after the first one."""
        self.counts[operation] += max(0, -(-items // of) - 1)


def call(method: Any) -> Any:
    """Make a method of a fake service a call."""

    @wraps(method)
    def through_line(self: Any, *args: Any, **arguments: Any) -> Any:
        fuse = self.line.fuse
        self.line.counts[method.__name__] += 1
        self.line.turns.pause()
        fuse.burn()
        answer = method(self, *args, **arguments)
        if fuse.calls == 0 and fuse.ending is not Crashed:
            fuse.burn()  # carried out, and its answer lost
        return answer

    return through_line


@dataclass
class Clock:
    """Time, which passes when it is told to."""

    now: datetime = datetime(2013, 2, 9, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by

    def milliseconds(self) -> int:
        return int(self.now.timestamp() * 1000)
