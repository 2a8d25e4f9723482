"""Reading a template: YAML with CloudFormation's short forms, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from twin.deployment.errors import TemplateError
from twin.deployment.intrinsics import placeholders

if TYPE_CHECKING:
    from collections.abc import Hashable

Template = dict[str, Any]

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_WITHOUT_PREFIX = frozenset({"Ref", "Condition"})


class _TemplateLoader(_SafeLoader):
    """As CloudFormation reads YAML: dates stay text, `!Sub` and the like become objects, a key stands once."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the attribute of PyYAML that this class narrows
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise TemplateError(f"line {key.start_mark.line + 1}: the key {key.value} stands twice in one mapping")
            seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _intrinsic(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in _WITHOUT_PREFIX else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


_TemplateLoader.add_multi_constructor("!", _intrinsic)


def read(text: str) -> Template:
    """Parse a template's text.

    Raises
    ------
    TemplateError
        It is neither YAML nor JSON, or has no resources.
    """
    try:
        parsed = json.loads(text) if text.lstrip().startswith("{") else _load_yaml(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise TemplateError(f"the template cannot be read: {error}") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("Resources"), dict):
        raise TemplateError("the template has no Resources")
    return parsed


def _load_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_TemplateLoader)  # noqa: S506 - a subclass of the safe loader


def references(value: Any) -> set[str]:
    """Names that a part of a template refers to with Ref, GetAtt or Sub: parameters, resources, pseudo parameters."""
    found: set[str] = set()
    if isinstance(value, list):
        for item in value:
            found |= references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str) and len(value) == 1:
                found.add(item)
            elif key == "Fn::GetAtt" and len(value) == 1:
                found.add(item.split(".", 1)[0] if isinstance(item, str) else item[0])
            elif key == "Fn::Sub" and len(value) == 1:
                found |= _substituted(item)
            else:
                found |= references(item)
    return found


def _substituted(sub: Any) -> set[str]:
    text, local = (sub, {}) if isinstance(sub, str) else (sub[0], sub[1])
    names = {name.split(".", 1)[0] for name in placeholders(text) if name not in local}
    return names | references(local)
