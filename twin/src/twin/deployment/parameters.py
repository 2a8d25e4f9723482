"""A stack's parameters: defaults, types and the bounds that a template sets.

Source: "Parameters" in the AWS CloudFormation template reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twin.deployment.errors import NotModelled, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(?P<type>.+)>")
_AWS_ID = re.compile(r"AWS::EC2::[A-Za-z]+::[A-Za-z]+")


def bind(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str], *, stored: Callable[[str], str]
) -> dict[str, Any]:
    """Values of a template's parameters: text, or a list of texts for a list type.

    Parameters
    ----------
    declared
        The template's Parameters section.
    given
        What the stack was created with.
    stored
        Looks up the value of a parameter of Systems Manager by its name.

    Raises
    ------
    ParameterError
        A value is missing, not declared, or breaks a constraint.
    """
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ParameterError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = sorted(name for name, slot in declared.items() if name not in given and "Default" not in slot)
    if missing:
        raise ParameterError(f"Parameters: [{', '.join(missing)}] must have values")
    return {name: _value(name, slot, given.get(name, slot.get("Default")), stored) for name, slot in declared.items()}


def texts(declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]) -> dict[str, str]:
    """The parameters as texts, defaults included."""
    return {name: _plain(given.get(name, slot.get("Default", ""))) for name, slot in declared.items()}


def masked(declared: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]) -> dict[str, str]:
    """The parameters as DescribeStacks shows them: NoEcho values hidden."""
    hidden = {name for name, slot in declared.items() if str(slot.get("NoEcho", "")).lower() == "true"}
    return {name: "****" if name in hidden else value for name, value in values.items()}


def _value(name: str, slot: Mapping[str, Any], raw: Any, stored: Callable[[str], str]) -> Any:
    kind = slot.get("Type", "String")
    text = _plain(raw)
    ssm = _SSM_VALUE.fullmatch(kind)
    if ssm:
        text, kind = stored(text), ssm["type"]
    items = [item.strip() for item in text.split(",")]
    if kind == "CommaDelimitedList" or (kind.startswith("List<") and kind.endswith(">")):
        for item in items:
            _check(name, slot, item, number=kind == "List<Number>")
        return items
    if kind not in ("String", "Number", "AWS::SSM::Parameter::Name") and not _AWS_ID.fullmatch(kind):
        raise NotModelled(f"the type {kind} of the parameter {name}")
    _check(name, slot, text, number=kind == "Number")
    return text


def _plain(raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw)


def _check(name: str, slot: Mapping[str, Any], text: str, *, number: bool) -> None:
    def refuse(rule: str) -> ParameterError:
        hint = slot.get("ConstraintDescription")
        return ParameterError(f"Parameter {name} failed to satisfy constraint: {hint or rule}")

    allowed = [_plain(item) for item in slot.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise refuse(f"'{text}' is none of [{', '.join(allowed)}]")
    if number:
        try:
            size = float(text)
        except ValueError:
            raise ParameterError(
                f"Parameter validation failed: parameter value {text} for {name} is no number"
            ) from None
        if size < float(slot.get("MinValue", size)) or size > float(slot.get("MaxValue", size)):
            raise refuse(f"{text} is not between {slot.get('MinValue', '-∞')} and {slot.get('MaxValue', '∞')}")
        return
    if not int(slot.get("MinLength", 0)) <= len(text) <= int(slot.get("MaxLength", len(text))):
        raise refuse(f"'{text}' has a length outside {slot.get('MinLength', 0)} to {slot.get('MaxLength', '∞')}")
    if "AllowedPattern" in slot and not re.fullmatch(slot["AllowedPattern"], text):
        raise refuse(f"'{text}' does not match {slot['AllowedPattern']}")
