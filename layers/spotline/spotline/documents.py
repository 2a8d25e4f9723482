"""JSON from outside, read within bounds: strictly, and with an error that names the document.

An object in a bucket, an event, an execution's input or Cause: any of them can be empty, cut off, edited by hand or made to do harm.
Whoever reads one goes through here and catches `DocumentError`, so that a damaged document harms only what it belongs to.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from spotline.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

KIB, MIB = 1 << 10, 1 << 20
MOST_BYTES = MIB
"""How large a document may be unless its reader says otherwise. A parsed document takes up to 25 times its size in memory."""
MOST_DEPTH = 64
_MOST_DIGITS = 40  # DynamoDB's numbers hold 38; `float` overflows at 309, and `int` refuses to read 4,301
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SHOWN = 60


class DocumentError(ValueError):
    """A document cannot be read. The message names the document, and says what is wrong with it and where.

    `where` is the path of the value that is wrong, empty when the document as a whole is.
    """

    def __init__(self, name: str, problem: str, where: str = "") -> None:
        self.problem = make_printable(problem, 600)
        self.where = make_printable(where)
        super().__init__(f"{make_printable(name)}: {self.detail}")

    @property
    def detail(self) -> str:
        """The message without the document's name."""
        return f"{self.where}: {self.problem}" if self.where else self.problem


def parse_json(body: bytes | str, name: str, most_bytes: int = MOST_BYTES) -> Any:
    """Parse a JSON document in UTF-8.

    Parameters
    ----------
    body
        The document, whole.
    name
        What messages call it: an address that a person can look up, such as `s3://bucket/key`.
    most_bytes
        How large it may be.

    Raises
    ------
    DocumentError
        When it is not JSON, is too large or nested too deep, repeats a key, or holds what no reader of ours can use: NaN, infinity, an
        integer of hundreds of digits, half a surrogate pair.
    """
    text = _decode(body, name, most_bytes)
    try:
        document = json.loads(
            text,
            object_pairs_hook=_refuse_repeated_keys,
            parse_constant=_refuse_constant,
            parse_int=_read_integer,
            parse_float=_read_float,
        )
    except json.JSONDecodeError as cause:
        raise DocumentError(name, f"not JSON: {cause.msg} at line {cause.lineno}, column {cause.colno}") from cause
    except _Unusable as cause:
        raise DocumentError(name, str(cause)) from None
    except RecursionError:
        raise DocumentError(name, f"nested more than {MOST_DEPTH} levels deep") from None
    check(document, name, texts=_SURROGATE_ESCAPE.search(text) is not None)
    return document


def check(document: Any, name: str, *, texts: bool = True) -> None:
    """Refuse a parsed document that is nested too deep or, if its texts are to be looked at, holds half a surrogate pair.

    For documents that others have parsed, as Lambda does with an event.
    """
    if _is_deeper_than(MOST_DEPTH, document):
        raise DocumentError(name, f"nested more than {MOST_DEPTH} levels deep")
    for where, found in _walk_texts(document) if texts else ():
        if _has_surrogate(found):
            raise DocumentError(name, f"{found[:_SHOWN]!a} holds half a surrogate pair, which is no character", where)


def parse_object(
    body: bytes | str, name: str, most_bytes: int = MOST_BYTES, schema: str | None = None
) -> dict[str, Any]:
    """Parse a document that must be a JSON object and, if one is given, of that schema, whose name is taken off it."""
    document = parse_json(body, name, most_bytes)
    if not isinstance(document, dict):
        raise DocumentError(name, f"expected a JSON object, found {show(document)}")
    if schema is not None and (found := document.pop("schema", None)) != schema:
        raise DocumentError(name, f"expected schema {schema!r}, found {show(found)}")
    return document


def build(cls: type[T], document: Any, name: str, *, ignore_unknown: bool = False) -> T:
    """Build a dataclass from a JSON object whose values have exactly the types of its fields.

    A field with a default may be absent. Lists become tuples where the field is one.

    Raises
    ------
    DocumentError
        When a field is missing, of another type or, unless that is ignored, unknown.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Shard:
    ...     path: str
    ...     rows: int
    >>> build(Shard, {"path": "shard-0000.parquet", "rows": "2"}, "manifest.json")
    Traceback (most recent call last):
    spotline.documents.DocumentError: manifest.json: rows: expected a whole number, found "2"
    """
    return _Builder(name, ignore_unknown).build(cls, document, "")


def show(value: Any) -> str:
    """Show a JSON value in a message, cut short and in printable ASCII.

    >>> show({"a": [1, 2]}), show("x" * 99)
    ('{"a": [1, 2]}', '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...')
    """
    if isinstance(value, str):
        value = value[:_SHOWN]
    elif isinstance(value, dict | list) and (len(value) > _SHOWN or _is_deeper_than(4, value)):
        return f"a {'list' if isinstance(value, list) else 'JSON object'} of {len(value)}"
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class _Unusable(Exception):
    """The parser came upon a value that no reader can use."""


def _decode(body: bytes | str, name: str, most_bytes: int) -> str:
    if len(body) > most_bytes:
        raise DocumentError(name, f"has {len(body):,} bytes, more than the {most_bytes:,} that are read of it")
    try:
        if isinstance(body, bytes):
            return body.decode("utf-8-sig")
        body.encode()
    except UnicodeDecodeError as cause:
        raise DocumentError(name, f"not UTF-8 (byte {cause.start}); save it as UTF-8") from cause
    except UnicodeEncodeError as cause:
        raise DocumentError(name, f"character {cause.start} is half a surrogate pair, which is no character") from cause
    return body


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Unusable(f"the property {key[:_SHOWN]!r} stands twice in one object; remove one")
            seen.add(key)
    return found


def _refuse_constant(name: str) -> Any:
    raise _Unusable(f"{name} is not JSON; write a number")


def _read_integer(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > _MOST_DIGITS:
        raise _Unusable(f"an integer of {digits} digits is larger than any that can be used here")
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _Unusable(f"{text[:_SHOWN]} is larger than any number that can be used here")
    return value


def _is_deeper_than(most: int, document: Any) -> bool:
    """Whether containers are nested deeper, found level by level: a recursive search would fail on what it looks for."""
    level = [document]
    for _ in range(most):
        level = [item for value in level for item in _items(value) if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _items(value: Any) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()


def _walk_texts(document: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a document of bounded depth, names of properties among them, and where it stands."""
    if isinstance(document, str):
        yield where, document
    elif isinstance(document, list):
        for index, item in enumerate(document):
            yield from _walk_texts(item, f"{where}[{index}]")
    elif isinstance(document, dict):
        for key, item in document.items():
            yield where, key
            yield from _walk_texts(item, _join(where, key))


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _join(where: str, key: str) -> str:
    key = make_printable(key, _SHOWN)
    return f"{where}.{key}" if where else key


_resolve_hints: Callable[[Any], dict[str, Any]] = cache(get_type_hints)


_KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    str: ("a string", (str,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    bool: ("true or false", (bool,)),
}


@dataclass(frozen=True)
class _Builder:
    """Builds values of one document as the types of fields ask for them."""

    name: str
    ignore_unknown: bool

    def build(self, cls: type[T], document: Any, where: str) -> T:
        if not isinstance(document, dict):
            raise DocumentError(self.name, f"expected a JSON object, found {show(document)}", where)
        hints = _resolve_hints(cls)
        known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
        unknown = next((key for key in document if key not in known), None)
        if unknown is not None and not self.ignore_unknown:
            raise DocumentError(self.name, "unknown field", _join(where, unknown))
        values: dict[str, Any] = {}
        for key, field in known.items():
            if key in document:
                values[key] = self._convert(hints[key], document[key], _join(where, key))
            elif field.default is MISSING and field.default_factory is MISSING:
                raise DocumentError(self.name, "missing", _join(where, key))
        return cls(**values)

    def _convert(self, hint: Any, value: Any, where: str) -> Any:
        origin, arguments = get_origin(hint), get_args(hint)
        if hint is Any:
            return value
        if origin in (Union, types.UnionType):
            if value is None and type(None) in arguments:
                return None
            return self._convert(next(arm for arm in arguments if arm is not type(None)), value, where)
        if origin is tuple:
            return self._convert_items(arguments, value, where)
        if origin is list:
            return list(self._convert_items((arguments[0], ...), value, where))
        if origin in (dict, Mapping):
            if not isinstance(value, dict):
                raise DocumentError(self.name, f"expected a JSON object, found {show(value)}", where)
            return {key: self._convert(arguments[1], item, _join(where, key)) for key, item in value.items()}
        if isinstance(hint, type) and is_dataclass(hint):
            return self.build(hint, value, where)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return self._choose(hint, value, where)
        what, kinds = _KINDS[hint]
        if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
            raise DocumentError(self.name, f"expected {what}, found {show(value)}", where)
        number: Any = value
        return float(number) if hint is float else value

    def _convert_items(self, kinds: Sequence[Any], value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise DocumentError(self.name, f"expected a list, found {show(value)}", where)
        if kinds[1:] == (...,):
            kinds = [kinds[0]] * len(value)
        if len(kinds) != len(value):
            raise DocumentError(self.name, f"expected a list of {len(kinds)}, found {show(value)}", where)
        return tuple(self._convert(kinds[at], item, f"{where}[{at}]") for at, item in enumerate(value))

    def _choose(self, choices: type[Enum], value: Any, where: str) -> Enum:
        for choice in choices:
            if choice.value == value:
                return choice
        known = ", ".join(str(choice.value) for choice in choices)
        raise DocumentError(self.name, f"{show(value)} is none of {known}", where)
