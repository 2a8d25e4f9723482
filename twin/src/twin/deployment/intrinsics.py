"""The intrinsic functions of a template, evaluated against the stack as far as it exists.

Source: "Intrinsic function reference" and "Condition functions" of the AWS CloudFormation template reference.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any

from twin.deployment.errors import NotModelled, TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PLACEHOLDER = re.compile(r"\$\{([^!{}][^{}]*)\}")
_LITERAL = re.compile(r"\$\{!([^{}]*)\}")
_CONDITION_FUNCTIONS = frozenset({"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Condition"})
LANGUAGE_EXTENSIONS = "AWS::LanguageExtensions"


class _NoValue:
    """What ``AWS::NoValue`` stands for: the property is left out."""


NO_VALUE = _NoValue()


class Scope:
    """What a template's expressions may refer to.

    Parameters
    ----------
    names
        Values of ``Ref``: parameters, pseudo parameters, and the physical ids of resources that exist by now.
    attribute
        Answers ``Fn::GetAtt``: takes a logical id and an attribute's name.
    mappings, conditions
        The template's sections of that name.
    exports
        Values that other stacks export.
    zones
        Availability zones of the region.
    extended
        Whether the template names the transform AWS::LanguageExtensions, which adds functions.
    """

    def __init__(
        self,
        names: dict[str, Any],
        *,
        attribute: Callable[[str, str], Any],
        mappings: Mapping[str, Any] | None = None,
        conditions: Mapping[str, Any] | None = None,
        exports: Mapping[str, str] | None = None,
        zones: Callable[[str], list[str]] | None = None,
        extended: bool = False,
    ) -> None:
        self.names = names
        self.attribute = attribute
        self.mappings = mappings or {}
        self.conditions = conditions or {}
        self.exports = exports or {}
        self.zones = zones or (lambda _region: [])
        self.extended = extended
        self._decided: dict[str, bool] = {}

    def resolve(self, value: Any) -> Any:
        """Replace every intrinsic function in `value` by what it comes to; what is NO_VALUE is left out."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            function = _FUNCTIONS.get(name)
            if function is not None:
                return function(self, argument)
            if name in _CONDITION_FUNCTIONS - {"Condition"}:
                return self.decide(value)
            if name.startswith("Fn::"):
                raise NotModelled(f"the intrinsic function {name}")
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def condition(self, name: str) -> bool:
        """Whether the template's condition of that name holds."""
        if name not in self.conditions:
            raise TemplateError(f"the template has no condition {name}")
        if name not in self._decided:
            self._decided[name] = self.decide(self.conditions[name])
        return self._decided[name]

    def decide(self, expression: Any) -> bool:
        """Evaluate a condition's expression."""
        if isinstance(expression, bool):
            return expression
        if not isinstance(expression, dict) or len(expression) != 1:
            raise TemplateError(f"not a condition: {expression!r}")
        name, argument = next(iter(expression.items()))
        match name:
            case "Condition":
                return self.condition(argument)
            case "Fn::And":
                return all(self.decide(item) for item in argument)
            case "Fn::Or":
                return any(self.decide(item) for item in argument)
            case "Fn::Not":
                return not self.decide(argument[0])
            case "Fn::Equals":
                left, right = (as_text(self.resolve(item)) for item in argument)
                return bool(left == right)
        raise NotModelled(f"the condition function {name}")


def as_text(value: Any) -> Any:
    """A scalar as CloudFormation compares and joins it: every parameter is text, and so is a number or a boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return value


def placeholders(text: str) -> Iterator[str]:
    """Names within ``${...}`` of a Fn::Sub text."""
    return (match.group(1).strip() for match in _PLACEHOLDER.finditer(text))


def _ref(scope: Scope, name: Any) -> Any:
    if name == "AWS::NoValue":
        return NO_VALUE
    if name not in scope.names:
        raise TemplateError(f"Ref to {name}, which is neither a parameter nor a resource that is created")
    return scope.names[name]


def _get_att(scope: Scope, argument: Any) -> Any:
    logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return scope.attribute(logical_id, str(scope.resolve(attribute)))


def _sub(scope: Scope, argument: Any) -> str:
    text, local = (argument, {}) if isinstance(argument, str) else argument
    values = {key: scope.resolve(item) for key, item in local.items()}

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1).strip()
        if name in values:
            found = values[name]
        elif "." in name and name not in scope.names:
            found = _get_att(scope, name)
        else:
            found = _ref(scope, name)
        if isinstance(found, dict | list):
            raise TemplateError(f"Fn::Sub: ${{{name}}} is not a text")
        return str(as_text(found))

    return _LITERAL.sub(r"${\1}", _PLACEHOLDER.sub(replacement, text))


def _if(scope: Scope, argument: Any) -> Any:
    condition, then, otherwise = argument
    return scope.resolve(then if scope.condition(condition) else otherwise)


def _find_in_map(scope: Scope, argument: Any) -> Any:
    if len(argument) > 3 and not scope.extended:
        raise TemplateError(f"Fn::FindInMap with a default needs the transform {LANGUAGE_EXTENSIONS}")
    name, first, second = (as_text(scope.resolve(item)) for item in argument[:3])
    try:
        return scope.resolve(scope.mappings[name][first][second])
    except KeyError:
        if len(argument) > 3 and "DefaultValue" in argument[3]:
            return scope.resolve(argument[3]["DefaultValue"])
        raise TemplateError(f"Fn::FindInMap: no {name}.{first}.{second} in the template's mappings") from None


def _join(scope: Scope, argument: Any) -> str:
    delimiter, items = argument
    return str(delimiter).join(str(as_text(item)) for item in scope.resolve(items))


def _split(scope: Scope, argument: Any) -> list[str]:
    delimiter, text = argument
    return str(scope.resolve(text)).split(delimiter)


def _select(scope: Scope, argument: Any) -> Any:
    index, items = int(scope.resolve(argument[0])), scope.resolve(argument[1])
    if not 0 <= index < len(items):
        raise TemplateError(f"Fn::Select: there is no item {index} among {len(items)}")
    return items[index]


def _cidr(scope: Scope, argument: Any) -> list[str]:
    block, count, *bits = (scope.resolve(item) for item in argument)
    network = ipaddress.ip_network(block)
    length = network.max_prefixlen - int(bits[0]) if bits else network.prefixlen + (int(count) - 1).bit_length()
    subnets = [str(subnet) for _, subnet in zip(range(int(count)), network.subnets(new_prefix=length), strict=False)]
    if len(subnets) < int(count):
        raise TemplateError(f"Fn::Cidr: {block} has no room for {count} blocks of /{length}")
    return subnets


def _zones(scope: Scope, argument: Any) -> list[str]:
    return scope.zones(scope.resolve(argument) or scope.names["AWS::Region"])


def _base64(scope: Scope, argument: Any) -> str:
    return base64.b64encode(str(scope.resolve(argument)).encode()).decode()


def _import_value(scope: Scope, argument: Any) -> str:
    name = scope.resolve(argument)
    if name not in scope.exports:
        raise TemplateError(f"no stack exports {name}")
    return scope.exports[name]


def _to_json_string(scope: Scope, argument: Any) -> str:
    _need_language_extensions(scope, "Fn::ToJsonString")
    return json.dumps(scope.resolve(argument), separators=(",", ":"))


def _length(scope: Scope, argument: Any) -> int:
    _need_language_extensions(scope, "Fn::Length")
    return len(scope.resolve(argument))


def _need_language_extensions(scope: Scope, function: str) -> None:
    if not scope.extended:
        raise TemplateError(f"{function} needs the transform {LANGUAGE_EXTENSIONS}")


_FUNCTIONS: dict[str, Callable[[Scope, Any], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::Cidr": _cidr,
    "Fn::GetAZs": _zones,
    "Fn::Base64": _base64,
    "Fn::ImportValue": _import_value,
    "Fn::ToJsonString": _to_json_string,
    "Fn::Length": _length,
}
