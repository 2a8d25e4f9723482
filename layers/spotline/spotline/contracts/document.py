"""Reading a JSON document strictly: every property is taken once, typed, and what nobody took is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from spotline.contracts.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MISSING = object()


def parse_json(body: bytes) -> Any:
    """Parse JSON in UTF-8, refusing what JSON parsers commonly let pass: doubled keys, NaN, and halves of surrogate pairs."""
    try:
        document = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except UnicodeDecodeError as cause:
        raise ContractError("", f"not UTF-8 (byte {cause.start}); save it as UTF-8") from cause
    except json.JSONDecodeError as cause:
        raise ContractError("", f"not JSON: {cause.msg} at line {cause.lineno}, column {cause.colno}") from cause
    for where, text in _texts("", document):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ContractError(
                where, f"{text!a} holds half a surrogate pair, which is no character; write the character"
            )
    return document


class Properties:
    """One JSON object, whose properties are taken one by one; `done` complains about those that nobody took."""

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise ContractError(where, f"expected an object, found {shown(value)}")
        self.where = where
        self._left: dict[str, Any] = dict(value)

    def path(self, name: str) -> str:
        """Where a property stands, for messages."""
        return f"{self.where}.{name}" if self.where else name

    def take(self, name: str, default: Any = None) -> Any:
        """A property of any type."""
        return self._left.pop(name, default)

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
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise ContractError(self.path(name), f"expected a whole number, found {shown(value)}")
        if value < minimum or (maximum is not None and value > maximum):
            limits = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise ContractError(self.path(name), f"{value} must be {limits}")
        return value

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ContractError(self.path(name), f"{shown(value)} must be a number from 0 to 1 (0.05 is five per cent)")
        return float(value)

    def texts(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
        """A list of different strings, or the default."""
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ContractError(self.path(name), f"expected a list of strings, found {shown(value)}")
        doubled = sorted({item for item in value if value.count(item) > 1})
        if doubled:
            raise ContractError(self.path(name), f"{doubled[0]!r} is listed twice; remove one")
        return tuple(value)

    def choice(self, name: str, choices: Iterable[str], default: str | None = None) -> str | None:
        """One of a few strings, or the default."""
        value = self.text(name, default)
        if value is not None and value not in (known := tuple(choices)):
            raise ContractError(self.path(name), f"{value!r} is unknown; use {one_of(known)}")
        return value

    def object(self, name: str) -> Properties | None:
        """A nested object, or None."""
        value = self._left.pop(name, _MISSING)
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
            raise ContractError(self.path(name), "unknown property; remove it or mend its spelling")

    def _typed(self, name: str, kind: type, what: str, default: Any) -> Any:
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            return default
        if not isinstance(value, kind):
            raise ContractError(self.path(name), f"expected {what}, found {shown(value)}")
        return value


def shown(value: Any) -> str:
    """A JSON value for a message, cut short."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def one_of(choices: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = map(str, choices)
    return f"{', '.join(most)} or {last}" if most else last


def check_zone(where: str, zone: str) -> None:
    """Refuse a name that is no IANA time zone."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as cause:
        raise ContractError(where, f"{zone!r} is no IANA zone such as 'Europe/Paris'") from cause


def _texts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every string in a document, names of properties among them, and where it stands."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(f"{where}[{index}]", item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield where, name
            yield from _texts(f"{where}.{name}" if where else name, item)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ContractError("", f"the property {doubled!r} stands twice in one object; remove one")
    return found


def _no_constant(name: str) -> Any:
    raise ContractError("", f"{name} is not JSON; write a number")
