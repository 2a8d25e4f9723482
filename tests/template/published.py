"""Which properties a template sets, so that ours can be compared with those that AWS publishes.

`published.json` records facts of the public templates, not their text: for each file its address and commit, and by resource type the names
of the properties that it sets, with the values of enumerations and switches. To record a newer version or another file:
`python -m tests.template.published FILE`.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.template import schemas
from tests.template.system import read_texts
from twin.deployment import template as templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Properties = dict[str, dict[str, set[str]]]
"""By resource type, by property: the literal values, where they are of an enumeration; `*` for what a parameter decides."""

RECORDED = Path(__file__).with_suffix(".json")
ANY = "*"

# Below these a template's author chooses the names: tags, environment variables, policies, a driver's options.
_FREE = {
    "AssumeRolePolicyDocument",
    "DefinitionSubstitutions",
    "Environment",
    "EventPattern",
    "InputPathsMap",
    "KeyPolicy",
    "Options",
    "Parameters",
    "PolicyDocument",
    "Tags",
    "UserData",
}
# No enumerations in the schema, and yet AWS's templates and ours chose their values with care.
_CHOSEN = {
    "HttpPutResponseHopLimit",
    "HttpTokens",
    "InterfaceType",
    "Iops",
    "MarketType",
    "SharedMemorySize",
    "TargetNodes",
    "Version",
    "VolumeType",
}
# A member of a multi-node job and a job of its own have the same properties in two places.
_CONTAINERS = {
    "ContainerProperties": "Container",
    "NodeProperties.NodeRangeProperties.Container": "Container",
}


def list_properties(template: Mapping[str, Any]) -> Properties:
    """Every property that the template sets on any resource, by resource type."""
    found: Properties = defaultdict(lambda: defaultdict(set))
    for resource in template["Resources"].values():
        kind = resource["Type"]
        properties = found[kind]
        for path, value in _walk(resource.get("Properties", {}), ""):
            properties[_rename(path)] |= _literals(kind, path, value)
    return {kind: dict(properties) for kind, properties in found.items()}


def list_ours() -> Properties:
    """Every property that any template of this project sets."""
    ours: Properties = {}
    for name, text in read_texts().items():
        if name.endswith(".yaml"):
            _merge(ours, list_properties(templates.read(text)))
    return ours


def list_theirs() -> Properties:
    """Every property that any of the recorded templates sets."""
    theirs: Properties = {}
    for entry in read_recorded().values():
        _merge(theirs, entry["sets"])
    return theirs


def _merge(into: Properties, more: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
    for kind, properties in more.items():
        merged = into.setdefault(kind, {})
        for path, values in properties.items():
            merged.setdefault(path, set()).update(values)


def read_recorded() -> dict[str, dict[str, Any]]:
    """The recorded templates: name, then address, commit, date and properties."""
    recorded: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text())
    return recorded


def _walk(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Leaves with their dotted paths, through both branches of a condition."""
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, at)
    elif isinstance(value, dict) and "Fn::If" in value:
        for branch in value["Fn::If"][1:]:
            yield from _walk(branch, at)
    elif isinstance(value, dict) and value and not _is_intrinsic(value) and at.rsplit(".", 1)[-1] not in _FREE:
        for name, item in value.items():
            yield from _walk(item, f"{at}.{name}".lstrip("."))
    elif at and value != {"Ref": "AWS::NoValue"}:
        yield at, value


def _is_intrinsic(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))


def _rename(path: str) -> str:
    for place, name in _CONTAINERS.items():
        if path == place or path.startswith(f"{place}."):
            return name + path.removeprefix(place)
    return path


def _literals(kind: str, path: str, value: Any) -> set[str]:
    try:
        allowed = {item.casefold() for item in schemas.list_values(kind, path)}
    except schemas.UnknownResourceType:
        allowed = set()
    if isinstance(value, dict):
        return {ANY}
    text = str(value).casefold()
    return {text} if text in allowed or path.rsplit(".", 1)[-1] in _CHOSEN else set()


def main(files: list[str]) -> None:
    """Print what `published.json` records of each file."""
    for file in files:
        found = list_properties(templates.read(Path(file).read_text()))
        plain = {
            kind: {path: sorted(values - {ANY}) for path, values in sorted(properties.items())}
            for kind, properties in sorted(found.items())
        }
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
