"""CloudFormation's resource schemas, as cfn-lint ships them: what creates a resource anew, what has a name, what is an enumeration."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cfnlint.schema import ResourceNotFoundError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

if TYPE_CHECKING:
    from collections.abc import Mapping

_REGION = "us-east-1"  # the schemas of other regions are subsets of its own


class UnknownResourceType(LookupError):
    """CloudFormation has no schema of that type, or not in the pinned cfn-lint."""


@cache
def read_schema(kind: str) -> Mapping[str, Any]:
    """The schema of a resource type."""
    try:
        schema: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(_REGION, kind).schema
    except ResourceNotFoundError as error:
        raise UnknownResourceType(f"cfn-lint has no schema of {kind}") from error
    return schema


def list_types(region: str) -> frozenset[str]:
    """The resource types that CloudFormation has in a region."""
    return frozenset(PROVIDER_SCHEMA_MANAGER.get_resource_types(region))


def list_create_only(kind: str) -> frozenset[str]:
    """Properties whose change replaces the resource, as dotted paths."""
    return _dotted(read_schema(kind).get("createOnlyProperties", ()))


def list_identifiers(kind: str) -> frozenset[str]:
    """Properties that identify a resource and that a template may set. Two resources cannot share one."""
    schema = read_schema(kind)
    found = [
        *schema.get("primaryIdentifier", ()),
        *(path for ids in schema.get("additionalIdentifiers", ()) for path in ids),
    ]
    return _dotted(found) - _dotted(schema.get("readOnlyProperties", ()))


def find_property(kind: str, path: str) -> Mapping[str, Any]:
    """The schema of one property, by its dotted path; empty where the schema does not go that deep."""
    schema = read_schema(kind)
    found: Mapping[str, Any] = schema
    for name in path.split("."):
        found = _resolve(schema, _resolve(schema, found).get("properties", {}).get(name, {}))
    return found


def find_value(properties: Mapping[str, Any], path: str) -> Any:
    """What a resource's properties hold at a dotted path, or None."""
    found: Any = properties
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def list_values(kind: str, path: str) -> tuple[str, ...]:
    """The values of an enumeration, or of a property that is true or false; empty for everything else."""
    found = find_property(kind, path)
    if found.get("type") == "boolean":
        return ("true", "false")
    return tuple(str(value) for value in (*found.get("enum", ()), *found.get("enumCaseInsensitive", ())))


def _resolve(schema: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and lists down to what the property holds."""
    while True:
        if "$ref" in found:
            found = schema["definitions"][str(found["$ref"]).removeprefix("#/definitions/")]
        elif "items" in found:
            found = found["items"]
        else:
            return found


def _dotted(pointers: Any) -> frozenset[str]:
    return frozenset(str(pointer).removeprefix("/properties/").replace("/", ".") for pointer in pointers)
