"""Task tokens: who waits behind one, and what becomes of those that nobody waits behind any more."""

from __future__ import annotations

import base64
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

Json = Any

# AWS's tokens are opaque texts of several hundred characters; a short one would hide what does not fit somewhere.
_TOKEN_BYTES = 384


class UnknownToken(LookupError):
    """No Task was ever given this token."""


class ClosedToken(LookupError):
    """The Task has its answer, timed out, or was stopped."""


@dataclass(frozen=True)
class Success:
    """What SendTaskSuccess was given, parsed."""

    output: Json


@dataclass(frozen=True)
class Failure:
    """What SendTaskFailure was given."""

    error: str | None
    cause: str | None


@dataclass
class Callback:
    """One attempt of a Task that waits for an answer."""

    token: str
    woken: threading.Event = field(default_factory=threading.Event)
    answer: Success | Failure | None = None
    heartbeats: int = 0


class Tokens:
    """All task tokens of an account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Callback] = {}
        self._closed: set[str] = set()

    def issue(self) -> Callback:
        """A new token, as each attempt of a Task gets one."""
        callback = Callback(base64.b64encode(secrets.token_bytes(_TOKEN_BYTES)).decode())
        with self._lock:
            self._open[callback.token] = callback
        return callback

    def answer(self, token: str, answer: Success | Failure) -> None:
        """Give the Task its answer; the token is used up.

        Raises
        ------
        UnknownToken, ClosedToken
        """
        with self._lock:
            callback = self._find(token)
            callback.answer = answer
            self._retire(token)
        callback.woken.set()

    def heartbeat(self, token: str) -> None:
        """Say that the Task is still being worked on.

        Raises
        ------
        UnknownToken, ClosedToken
        """
        with self._lock:
            callback = self._find(token)
            callback.heartbeats += 1
        callback.woken.set()

    def close(self, callback: Callback) -> None:
        """The attempt has ended without an answer."""
        with self._lock:
            self._retire(callback.token)

    def _find(self, token: str) -> Callback:
        if token in self._closed:
            raise ClosedToken(token)
        if token not in self._open:
            raise UnknownToken(token)
        return self._open[token]

    def _retire(self, token: str) -> None:
        if self._open.pop(token, None):
            self._closed.add(token)
