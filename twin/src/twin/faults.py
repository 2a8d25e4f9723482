"""Faults of AWS's own services, on demand and by a seeded die.

They throttle, they fail before they have done anything, and, the worst for a caller, they do what was asked and the answer is
lost. Struck are the calls of deployed roles: functions, jobs, executions, rules and schedules with a role. The twin's own work
and its administrator, who are whoever tests or operates, are spared, so that what a test sees is the system's answer to faults
and not its own.

Events have faults of their own, because what happens to them on their way is no API's answer: see `twin.events.faults`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import random
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from twin import credentials
from twin.iam import refusals, requests
from twin.iam.permissions import needed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from twin.clock import Clock
    from twin.iam.requests import Call

    Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Trouble(StrEnum):
    """What becomes of a call that is struck."""

    THROTTLED = "throttled"
    """Refused as one call too many; nothing was done."""
    FAILED = "failed"
    """An error of the service's own; nothing was done."""
    UNANSWERED = "unanswered"
    """Done, but the caller gets an error of the service's own."""


@dataclass(frozen=True)
class Fault:
    """A share of the calls of some actions gets into trouble.

    Parameters
    ----------
    actions
        As in a policy, with ``*`` and ``?``: ``states:StartExecution``, ``batch:*``, ``*``. S3's operations have the names that
        policies give them (``s3:GetObject`` is HeadObject too), everybody else's those of the API.
    share
        Probability, 0 to 1, that one call is struck. The SDKs' own repetitions are calls like any other.
    trouble
        What becomes of such a call.

    Raises
    ------
    ValueError
        `share` is no probability.
    """

    actions: str
    share: float
    trouble: Trouble = Trouble.THROTTLED

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"the share of calls that a fault strikes is between 0 and 1, not {self.share}")

    def concerns(self, action: str) -> bool:
        """Whether it may strike this action; policies' actions have no case."""
        return fnmatch.fnmatchcase(action.lower(), self.actions.lower())


class FaultInjector:
    """Decides, by a seeded die, which call is struck by which fault, and counts."""

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self.struck: Counter[tuple[str, Trouble]] = Counter()
        self._faults = tuple(faults)
        self._die = random.Random(seed)  # noqa: S311  no secret
        self._lock = threading.Lock()

    @property
    def idle(self) -> bool:
        """Whether nothing is ever struck."""
        return not self._faults

    def strikes(self, action: str) -> Trouble | None:
        """What becomes of one call of `action`; the first fault that strikes it decides."""
        with self._lock:
            for fault in self._faults:
                if fault.concerns(action) and self._die.random() < fault.share:
                    self.struck[action, fault.trouble] += 1
                    return fault.trouble
        return None


class _Running:
    """The injector of the running twin."""

    def __init__(self) -> None:
        self.injector = FaultInjector()


_running = _Running()


def install(options: Any, _clock: Clock | None = None) -> None:
    """Let the faults of the twin's options strike from its first call on."""
    _running.injector = FaultInjector(options.faults, options.seed)


def stop() -> None:
    """Inject no more faults."""
    _running.injector = FaultInjector()


@contextlib.contextmanager
def injected(*faults: Fault, seed: int = 0) -> Iterator[FaultInjector]:
    """Let `faults`, and no others, strike within the block; the injector that is yielded counts them.

    Examples
    --------
    >>> with injected(Fault("states:*", 0.2), Fault("batch:SubmitJob", 0.1, Trouble.UNANSWERED), seed=7) as injector:
    ...     injector.strikes("s3:GetObject")
    """
    before, _running.injector = _running.injector, FaultInjector(faults, seed)
    try:
        yield _running.injector
    finally:
        _running.injector = before


def struck() -> Counter[tuple[str, Trouble]]:
    """How many calls of which action have been struck how, by the present faults."""
    return Counter(_running.injector.struck)


def before(application: Application) -> Application:
    """Strike calls on their way to `application`, a WSGI application that is an AWS endpoint."""

    def answering(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        injector = _running.injector
        call = None if injector.idle else _call_of_a_role(environ)
        trouble = None if call is None else injector.strikes(_action(call))
        if call is None or trouble is None:
            return application(environ, start_response)
        if trouble is Trouble.UNANSWERED:
            _drop_answer(application, environ)
        else:
            requests.discard_body(environ)
        answer = refusals.build_service_error(call.service, call.method, throttled=trouble is Trouble.THROTTLED)
        start_response(answer.status, list(answer.headers))
        return [answer.body]

    return answering


def _call_of_a_role(environ: dict[str, Any]) -> Call | None:
    """The call that a request makes; None for one that is nobody's, unsigned or the administrator's."""
    try:
        signed = requests.signature(environ)
    except requests.Malformed:
        return None
    if signed is None or signed.access_key == credentials.administrator()["AWS_ACCESS_KEY_ID"]:
        return None
    return requests.read(environ, signed)


def _action(call: Call) -> str:
    """What a policy calls this operation."""
    if call.operation:
        return f"{call.service}:{call.operation}"
    return next((ask.action for ask in needed(call)), f"{call.service}:")


def _drop_answer(application: Application, environ: dict[str, Any]) -> None:
    answered = application(environ, lambda *_: io.BytesIO().write)
    try:
        for _ in answered:
            pass
    finally:
        if callable(close := getattr(answered, "close", None)):
            close()
