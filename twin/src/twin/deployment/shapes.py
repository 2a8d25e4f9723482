"""A CloudFormation property tree made into the parameters of an API call, with botocore's model as the measure.

CloudFormation and the services name the same things nearly alike, differing in case (`ContainerProperties`,
`containerProperties`) and in how types are written (`"true"`, `"2"`, tags as a list or a map). Walking the service's own
input shape settles each difference, and a property that the shape has no member for is an error, never a silent loss.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twin.deployment.errors import NotModelled

if TYPE_CHECKING:
    from botocore.model import Shape

_NUMBERS: dict[str, type[int] | type[float]] = {"integer": int, "long": int, "float": float, "double": float}


def to_api(value: Any, shape: Shape, where: str) -> Any:
    """Shape `value` as `shape` wants it.

    Parameters
    ----------
    value
        A property tree of a template without intrinsic functions.
    shape
        A botocore shape, such as the input shape of an operation.
    where
        Logical id, type and property path, for errors.

    Raises
    ------
    NotModelled
        A property has no counterpart in the shape.
    """
    kind = shape.type_name
    if kind == "structure":
        return _structure(value, shape, where)
    if kind == "list":
        items = [{"Key": key, "Value": item} for key, item in value.items()] if isinstance(value, dict) else value
        return [to_api(item, shape.member, f"{where}[{at}]") for at, item in enumerate(_expect(items, list, where))]  # type: ignore[attr-defined]
    if kind == "map":
        pairs = {item["Key"]: item["Value"] for item in value} if isinstance(value, list) else value
        return {key: to_api(item, shape.value, f"{where}.{key}") for key, item in _expect(pairs, dict, where).items()}  # type: ignore[attr-defined]
    if kind in _NUMBERS:
        return _number(value, kind, where)
    if kind == "boolean":
        return _boolean(value, where)
    if kind == "string":
        return _text(value)
    return value


def _structure(value: Any, shape: Any, where: str) -> dict[str, Any]:
    if shape.is_document_type:
        return dict(value)
    members = {name.lower(): name for name in shape.members}
    shaped = {}
    for key, item in _expect(value, dict, where).items():
        name = members.get(key.lower())
        if name is None:
            raise NotModelled(f"the property {where}.{key}")
        shaped[name] = to_api(item, shape.members[name], f"{where}.{key}")
    return shaped


def _expect(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise NotModelled(f"{where} as {type(value).__name__}: a {kind.__name__} is wanted")
    return value


def _number(value: Any, kind: str, where: str) -> int | float:
    try:
        return _NUMBERS[kind](value)
    except (TypeError, ValueError):
        raise NotModelled(f"{where} = {value!r}: a number is wanted") from None


def _boolean(value: Any, where: str) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise NotModelled(f"{where} = {value!r}: true or false is wanted")
    return text == "true"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value)
