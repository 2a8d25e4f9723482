"""Reading a JSON document strictly: every property is taken once, typed, and what nobody took is an error."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from spotline import documents
from spotline.contracts.errors import CONTRACT, ContractError
from spotline.documents import MIB, DocumentError, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_BYTES = 8 * MIB
"""How large a contract may be; 2,000 fields with constraints take half a megabyte."""

_MISSING = object()
_NAMED = 20


def parse_json(body: bytes) -> Any:
    """Parse a contract's JSON; see `spotline.documents` for what is refused."""
    try:
        return documents.parse_json(body, CONTRACT, MOST_BYTES)
    except DocumentError as cause:
        raise ContractError(cause.where, cause.problem) from cause


class Properties:
    """One JSON object, whose properties are taken one by one; `done` complains about those that nobody took."""

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise ContractError(where, f"expected an object, found {show(value)}")
        self.where = where
        self._left: dict[str, Any] = dict(value)
        self._asked: set[str] = set()

    def path(self, name: str) -> str:
        """Where a property stands, for messages."""
        return f"{self.where}.{name}" if self.where else name

    def take(self, name: str, default: Any = None) -> Any:
        """A property of any type."""
        return self._pop(name, default)

    def text(self, name: str, default: str | None = None) -> str | None:
        """A string, or the default."""
        value: str | None = self._typed(name, str, "a string", default)
        return value

    def character(self, name: str, default: str | None = None) -> str | None:
        """A string of one character, or the default."""
        value = self.text(name, default)
        if value is not None and len(value) != 1:
            raise ContractError(self.path(name), f"{value!r} must be one character")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value: bool = self._typed(name, bool, "true or false", default)
        return value

    def count(self, name: str, default: int | None = None, minimum: int = 0, maximum: int | None = None) -> int | None:
        """A whole number within limits, or the default."""
        value = self._pop(name, _MISSING)
        if value is _MISSING:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise ContractError(self.path(name), f"expected a whole number, found {show(value)}")
        if value < minimum or (maximum is not None and value > maximum):
            limits = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise ContractError(self.path(name), f"{value} must be {limits}")
        return value

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self._pop(name, _MISSING)
        if value is _MISSING:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ContractError(self.path(name), f"{show(value)} must be a number from 0 to 1 (0.05 is five per cent)")
        return float(value)

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
        """A list of different strings, or the default."""
        value = self._pop(name, _MISSING)
        if value is _MISSING:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ContractError(self.path(name), f"expected a list of strings, found {show(value)}")
        doubled = [item for item, times in Counter(value).items() if times > 1]
        if doubled:
            raise ContractError(self.path(name), f"{min(doubled)!r} is listed twice; remove one")
        return tuple(value)

    def choice(self, name: str, choices: Iterable[str], default: str | None = None) -> str | None:
        """One of a few strings, or the default."""
        value = self.text(name, default)
        if value is not None and value not in (known := tuple(choices)):
            raise ContractError(self.path(name), f"{value!r} is unknown; use {one_of(known)}")
        return value

    def object(self, name: str) -> Properties | None:
        """A nested object, or None."""
        value = self._pop(name, _MISSING)
        return None if value is _MISSING else Properties(self.path(name), value)

    def done(self, ignored: Iterable[str] = (), unsupported: Mapping[str, str] | None = None) -> None:
        """Complain about the first property left.

        `ignored` are descriptive ones that change nothing; `unsupported` are known ones with the way out for each.
        """
        for name in ignored:
            self._left.pop(name, None)
        for name in self._left:
            way_out = (unsupported or {}).get(name)
            if way_out is not None:
                raise ContractError(self.path(name), f"not supported: {way_out}")
            raise ContractError(self.path(name), f"unknown property; {suggest(name, self._asked)}")

    def _pop(self, name: str, default: Any) -> Any:
        self._asked.add(name)
        return self._left.pop(name, default)

    def _typed(self, name: str, kind: type, what: str, default: Any) -> Any:
        value = self._pop(name, _MISSING)
        if value is _MISSING:
            return default
        if not isinstance(value, kind):
            raise ContractError(self.path(name), f"expected {what}, found {show(value)}")
        return value


def one_of(choices: Iterable[str]) -> str:
    """`a, b or c`; of a long list, how many more there are."""
    *most, last = map(str, choices)
    if len(most) >= _NAMED:
        most, last = most[:_NAMED], f"one of {len(most) + 1 - _NAMED} more"
    return f"{', '.join(most)} or {last}" if most else last


def suggest(name: str, known: Iterable[str]) -> str:
    """The way out for a name that is unknown: the one that it resembles, or to remove it."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else "remove it or correct its spelling"


def check_zone(where: str, zone: str) -> None:
    """Refuse a name that is no IANA time zone."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as cause:
        raise ContractError(where, f"{zone!r} is no IANA zone such as 'Europe/Paris'") from cause
