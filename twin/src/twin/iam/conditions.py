"""The Condition element of a policy statement.

Source: "IAM JSON policy elements: Condition operators" and "Conditions with multiple context keys or values" (IAM user
guide).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Context = Mapping[str, tuple[str, ...]]
"""The context of a request: values by context key, the key in lower case."""

_NOT_MODELLED = (
    "dynamodb:",
    "ec2:",
    "ecs:",
    "kms:",
    "lambda:",
    "secretsmanager:",
    "sqs:",
    "sns:",
    "states:",
    "ssm:",
)
_MODELLED_EXCEPTIONS = frozenset({"dynamodb:leadingkeys"})
RESOURCE_TAGS_KNOWN = "twin:resource-tags-known"
"""In a request's context: the tags of its resource are there too, and a tag that is missing is one that the resource lacks."""
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class UnsupportedCondition(Exception):
    """The condition uses an operator or a context key that the twin does not model."""


def hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether every condition holds for a request.

    Raises
    ------
    UnsupportedCondition
        One of them cannot be decided here.
    """
    return all(
        _holds(operator, key.lower(), _as_strings(wanted), context)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def substitute(text: str, context: Context) -> str | None:
    """Put the request's values in the place of policy variables; None when one of them has no single value.

    The result is a pattern: a value stands for itself, also when it holds ``*`` or ``?``.
    """
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = match.group(1).partition(",")
        if name in ("*", "?", "$"):
            return _LITERALS[name]
        values = context.get(name.strip().lower(), ())
        if len(values) == 1:
            return values[0].replace("*", _LITERALS["*"]).replace("?", _LITERALS["?"])
        if default:
            return default.strip().strip("'")
        missing = True
        return ""

    replaced = _VARIABLE.sub(value, text)
    return None if missing else replaced


def like(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern, in which ``*`` stands for any text and ``?`` for any character."""
    return _compiled(pattern).fullmatch(text) is not None


_LITERALS = {"*": "\0star\0", "?": "\0mark\0", "$": "$"}


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    for character in "*?":
        expression = expression.replace(re.escape(_LITERALS[character]), re.escape(character))
    return re.compile(expression, re.DOTALL)


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    quantifier, _, name = operator.rpartition(":")
    base = name.removesuffix("IfExists")
    values = context.get(key, ())
    if base == "Null":
        return (not values) == (wanted[0].lower() == "true")
    if not values and _is_unknown(key, context):
        raise UnsupportedCondition(f"the twin does not model the condition key {key}")
    test, negated = _test(base)
    if not values:
        return base != name or negated or quantifier == "ForAllValues"
    expected = [text for text in (substitute(want, context) for want in wanted) if text is not None]
    matches = [any(test(want, value) for want in expected) != negated for value in values]
    return any(matches) if quantifier == "ForAnyValue" else all(matches)


def _is_unknown(key: str, context: Context) -> bool:
    """Whether a request may have the key on AWS although its context does not have it here."""
    if key.startswith("aws:resourcetag/"):
        return RESOURCE_TAGS_KNOWN not in context
    return key.startswith(_NOT_MODELLED) and key not in _MODELLED_EXCEPTIONS


def _test(operator: str) -> tuple[Callable[[str, str], bool], bool]:
    """The comparison of a condition operator, and whether the operator is its negation."""
    positive = operator.replace("Not", "", 1) if operator not in _TESTS else operator
    if positive not in _TESTS:
        raise UnsupportedCondition(f"the twin does not model the condition operator {operator}")
    return _TESTS[positive], positive != operator


def _plain(pattern: str) -> str:
    return pattern.replace(_LITERALS["*"], "*").replace(_LITERALS["?"], "?")


def _string_equals(wanted: str, value: str) -> bool:
    return _plain(wanted) == value


def _string_equals_ignore_case(wanted: str, value: str) -> bool:
    return _plain(wanted).lower() == value.lower()


def _arn_like(wanted: str, value: str) -> bool:
    """Each of the six parts of an ARN is compared by itself, so that a wildcard does not span a colon before the last."""
    patterns, parts = wanted.split(":", 5), value.split(":", 5)
    return len(patterns) == len(parts) and all(
        like(pattern, part) for pattern, part in zip(patterns, parts, strict=True)
    )


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def test(wanted: str, value: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return test


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    def test(wanted: str, value: str) -> bool:
        try:
            return compare(_moment(value), _moment(wanted))
        except ValueError:
            return False

    return test


def _moment(text: str) -> datetime:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_network(wanted: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _string_equals,
    "StringEqualsIgnoreCase": _string_equals_ignore_case,
    "StringLike": like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _string_equals_ignore_case,
    "BinaryEquals": _string_equals,
    "IpAddress": _in_network,
    "NumericEquals": _number(lambda value, wanted: value == wanted),
    "NumericLessThan": _number(lambda value, wanted: value < wanted),
    "NumericLessThanEquals": _number(lambda value, wanted: value <= wanted),
    "NumericGreaterThan": _number(lambda value, wanted: value > wanted),
    "NumericGreaterThanEquals": _number(lambda value, wanted: value >= wanted),
    "DateEquals": _date(lambda value, wanted: value == wanted),
    "DateLessThan": _date(lambda value, wanted: value < wanted),
    "DateLessThanEquals": _date(lambda value, wanted: value <= wanted),
    "DateGreaterThan": _date(lambda value, wanted: value > wanted),
    "DateGreaterThanEquals": _date(lambda value, wanted: value >= wanted),
}


def _as_strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
