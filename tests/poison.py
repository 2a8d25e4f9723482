"""Documents that nobody can use: what every reader of something from outside must survive, and name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEP = 100_000

POISONS: dict[str, bytes] = {
    "empty": b"",
    "a space": b" ",
    "cut off": b'{"schema": "spotline/clea',
    "null": b"null",
    "a list": b"[]",
    "a list of objects": b'[{"a": 1}]',
    "a number": b"7",
    "a text": b'"spotline"',
    "true": b"true",
    "an empty object": b"{}",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "binary": bytes(range(256)),
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "half a surrogate pair as a key": b'{"\\udfff": 1}',
    "deep lists": b"[" * DEEP,
    "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep inside an object": b'{"cause": ' + b"[" * 900 + b"]" * 900 + b"}",
    "an integer of 400 digits": b'{"a": ' + b"9" * 400 + b"}",
    "an integer of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a number beyond all": b'{"a": 1e999}',
    "a key twice": b'{"a": 1, "a": 2}',
    "a document after another": b"{}{}",
}
"""By name, so that a failing test says which."""

WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    10**39,
    "",
    "x",
    "\0",
    "\ud800",
    "9" * 5000,
    [],
    [None],
    [[]],
    {},
    {"": None},
)
"""What may stand in the place of any value."""


def damage(document: Any) -> Iterator[tuple[str, bytes]]:
    """A document that can be read, with each value in turn replaced by one of another type, or taken away."""
    for path in _paths(document):
        for number, wrong in enumerate(WRONG):
            yield f"{'.'.join(map(str, path))} = {number}", json.dumps(_replaced(document, path, wrong)).encode()
        if path:
            yield f"{'.'.join(map(str, path))} is missing", json.dumps(_without(document, path)).encode()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


def _replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = json.loads(json.dumps(document))
    _parent(copy, path)[path[-1]] = value
    return copy


def _without(document: Any, path: tuple[Any, ...]) -> Any:
    copy = json.loads(json.dumps(document))
    del _parent(copy, path)[path[-1]]
    return copy


def _parent(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document
