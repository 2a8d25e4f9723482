"""Between the names of a state machine definition and those of an AWS API.

A definition writes every parameter in PascalCase and gets every result so, whatever the API itself uses ("Learning to use
AWS service SDK integrations in Step Functions"). Keys of maps (tags, metadata) are data and stay as they are. The shapes are
those of botocore's service models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

Json = Any


def request(value: Json, shape: Shape | None) -> Json:
    """`value` as the API with this input shape takes it; a member it does not know keeps its name, to be refused there."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {
            (member := member_name(name, shape) or name): request(inner, shape.members.get(member))
            for name, inner in value.items()
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [request(inner, shape.member) for inner in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {name: request(inner, shape.value) for name, inner in value.items()}
    if shape is not None and shape.type_name == "blob" and not isinstance(value, bytes):
        return (value if isinstance(value, str) else _json(value)).encode()
    if shape is not None and shape.type_name == "string" and not isinstance(value, str):
        return _json(value)
    return value


def response(value: Json, shape: Shape | None) -> Json:
    """`value`, as botocore returned it, as a Task's result: PascalCase and JSON."""
    if isinstance(value, Mapping):
        if isinstance(shape, StructureShape):
            return {
                _pascal(name): response(inner, shape.members[name])
                for name, inner in value.items()
                if name in shape.members
            }
        inner_shape = shape.value if isinstance(shape, MapShape) else None
        return {name: response(inner, inner_shape) for name, inner in value.items()}
    if isinstance(value, list):
        inner_shape = shape.member if isinstance(shape, ListShape) else None
        return [response(inner, inner_shape) for inner in value]
    if isinstance(value, datetime):
        return timestamp(value)
    if hasattr(value, "read"):
        value = value.read()
    return value.decode() if isinstance(value, bytes) else value


def member_name(name: str, shape: StructureShape) -> str | None:
    """The API's member that a definition means by `name`; None when there is none."""
    for candidate in (name, name[:1].lower() + name[1:]):
        if candidate in shape.members:
            return candidate
    return None


def unknown_members(template: Json, shape: Shape | None, path: str = "") -> Iterator[str]:
    """Paths within a parameter template that name no member of the API, such as ``ContainerOverrides.Memroy``."""
    if isinstance(shape, StructureShape) and isinstance(template, Mapping):
        for name, inner in template.items():
            plain = name.removesuffix(".$")
            member = member_name(plain, shape)
            if member is None:
                yield f"{path}{plain}"
            else:
                yield from unknown_members(inner, shape.members[member], f"{path}{plain}.")
    elif isinstance(shape, ListShape) and isinstance(template, list):
        for inner in template:
            yield from unknown_members(inner, shape.member, path)


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC as Java's Instant writes it: milliseconds only where there are any."""
    utc = moment.astimezone(UTC)
    text = utc.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{utc.microsecond // 1000:03d}Z" if utc.microsecond // 1000 else f"{text}Z"


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def _json(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
