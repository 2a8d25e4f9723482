"""Event patterns: which events a rule is for.

Pure functions over JSON values. The rules are those of the EventBridge user guide, "Comparison operators for use in event
patterns"; an operator that is not there is refused when the rule is made, never ignored.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

Json = Any
_Test = Callable[[Json], bool]

_ABSENT = object()
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class InvalidPattern(ValueError):
    """EventBridge would refuse this pattern; the text says which part and why."""


def check(pattern: Json) -> None:
    """Raise InvalidPattern unless `pattern` is an event pattern that EventBridge accepts."""
    _check_object(pattern, at="the pattern")


def matches(pattern: Mapping[str, Json], event: Mapping[str, Json]) -> bool:
    """Whether `event` is one of those that `pattern` describes.

    All fields of a pattern must match (and), any value of a field's list (or). A field of the event that is an array
    matches when one of its elements does.
    """
    return _object_matches(pattern, event)


def _check_object(pattern: Json, at: str) -> None:
    if not isinstance(pattern, Mapping):
        raise InvalidPattern(f"{at} must be an object")
    if not pattern:
        raise InvalidPattern(f"{at} is empty")
    for name, wanted in pattern.items():
        where = f'"{name}"'
        if name == "$or":
            if not isinstance(wanted, list) or len(wanted) < 2:
                raise InvalidPattern("$or needs a list of at least two patterns")
            for alternative in wanted:
                _check_object(alternative, at="an alternative of $or")
        elif isinstance(wanted, list):
            if not wanted:
                raise InvalidPattern(f"{where}: empty arrays are not allowed")
            for value in wanted:
                _test(value, where)
        elif isinstance(wanted, Mapping):
            _check_object(wanted, where)
        else:
            raise InvalidPattern(f"{where} must be an object or an array")


def _object_matches(pattern: Mapping[str, Json], event: Json) -> bool:
    if isinstance(event, list):
        return any(_object_matches(pattern, element) for element in event)
    fields: Mapping[str, Json] = event if isinstance(event, Mapping) else {}
    return all(_field_matches(name, wanted, fields) for name, wanted in pattern.items())


def _field_matches(name: str, wanted: Json, fields: Mapping[str, Json]) -> bool:
    if name == "$or":
        return any(_object_matches(alternative, fields) for alternative in wanted)
    value = fields.get(name, _ABSENT)
    if isinstance(wanted, Mapping):
        return _object_matches(wanted, {} if value is _ABSENT else value)
    return any(_value_matches(_test(one, name), value) for one in wanted)


def _value_matches(test: _Test, value: Json) -> bool:
    if isinstance(value, list):
        return any(test(element) for element in value)
    return test(value)


def _test(wanted: Json, where: str) -> _Test:
    """The test that one value of a pattern's list stands for."""
    if not isinstance(wanted, Mapping):
        if isinstance(wanted, list):
            raise InvalidPattern(f"{where}: an array within an array")
        return lambda value: _equal(wanted, value)
    if len(wanted) != 1:
        raise InvalidPattern(f"{where}: a match expression has exactly one operator, not {sorted(wanted)}")
    ((operator, operand),) = wanted.items()
    maker = _OPERATORS.get(operator)
    if maker is None:
        raise InvalidPattern(f"{where}: unrecognized match type {operator}")
    return maker(operand, where)


def _equal(wanted: Json, value: Json) -> bool:
    # 300 and 300.0 differ for EventBridge, which compares how numbers are written (user guide, "Event patterns").
    return type(wanted) is type(value) and bool(wanted == value)


def _text(test: Callable[[str], bool]) -> _Test:
    return lambda value: isinstance(value, str) and test(value)


def _affix(operand: Json, where: str, ends: Callable[[str, str], bool]) -> _Test:
    if isinstance(operand, Mapping) and list(operand) == ["equals-ignore-case"]:
        folded = _string(operand["equals-ignore-case"], where).lower()
        return _text(lambda value: ends(value.lower(), folded))
    affix = _string(operand, where)
    return _text(lambda value: ends(value, affix))


def _prefix(operand: Json, where: str) -> _Test:
    return _affix(operand, where, str.startswith)


def _suffix(operand: Json, where: str) -> _Test:
    return _affix(operand, where, str.endswith)


def _equals_ignore_case(operand: Json, where: str) -> _Test:
    folded = _string(operand, where).lower()
    return _text(lambda value: value.lower() == folded)


def _wildcard(operand: Json, where: str) -> _Test:
    """`*` stands for any text; a backslash takes the meaning from `*` and from itself."""
    wildcard = _string(operand, where)
    pieces: list[str] = []
    for piece in re.findall(r"\\.|\\|\*+|[^*\\]+", wildcard, re.DOTALL):
        if piece == "*":
            pieces.append(".*")
        elif piece.startswith("*"):
            raise InvalidPattern(f"{where}: consecutive wildcard characters in {wildcard!r}")
        elif piece.startswith("\\"):
            if piece not in ("\\*", "\\\\"):
                raise InvalidPattern(f"{where}: invalid escape in {wildcard!r}")
            pieces.append(re.escape(piece[1]))
        else:
            pieces.append(re.escape(piece))
    compiled = re.compile("".join(pieces), re.DOTALL)
    return _text(lambda value: compiled.fullmatch(value) is not None)


def _numeric(operand: Json, where: str) -> _Test:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise InvalidPattern(f'{where}: numeric needs one or two comparisons, as in [">", 0, "<=", 5]')
    tests: list[tuple[Callable[[float, float], bool], float]] = []
    for sign, limit in zip(operand[::2], operand[1::2], strict=True):
        if sign not in _COMPARISONS or not _is_number(limit):
            raise InvalidPattern(f"{where}: numeric does not know [{sign!r}, {limit!r}]")
        tests.append((_COMPARISONS[sign], limit))
    return lambda value: _is_number(value) and all(compare(value, limit) for compare, limit in tests)


def _exists(operand: Json, where: str) -> _Test:
    if not isinstance(operand, bool):
        raise InvalidPattern(f"{where}: exists is true or false")
    # "Exists matching only works on leaf nodes": an object with fields of its own does not exist.
    return lambda value: (value is not _ABSENT and not isinstance(value, Mapping)) is operand


def _cidr(operand: Json, where: str) -> _Test:
    try:
        network = ipaddress.ip_network(_string(operand, where))
    except ValueError as error:
        raise InvalidPattern(f"{where}: cidr: {error}") from error

    def inside(value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return _text(inside)


def _anything_but(operand: Json, where: str) -> _Test:
    if isinstance(operand, Mapping):
        if len(operand) != 1 or not set(operand) <= {"prefix", "suffix", "equals-ignore-case", "wildcard"}:
            raise InvalidPattern(f"{where}: anything-but does not know {sorted(operand)}")
        ((operator, values),) = operand.items()
        excluded = [_test({operator: value}, where) for value in (values if isinstance(values, list) else [values])]
    else:
        excluded = [_test(value, where) for value in (operand if isinstance(operand, list) else [operand])]
    if not excluded:
        raise InvalidPattern(f"{where}: anything-but needs a value")
    return lambda value: value is not _ABSENT and not any(test(value) for test in excluded)


def _string(value: Json, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidPattern(f"{where}: expected a string, not {value!r}")
    return value


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_OPERATORS: dict[str, Callable[[Json, str], _Test]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "exists": _exists,
    "cidr": _cidr,
    "anything-but": _anything_but,
}
