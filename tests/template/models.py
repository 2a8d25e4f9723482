"""AWS's own models of its services, as botocore ships them: enumerations, limits, and the API reference's text."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape


@cache
def read_service(service: str) -> ServiceModel:
    """The model of a service."""
    return botocore.session.get_session().get_service_model(service)


def find_shape(service: str, where: str) -> Shape:
    """A shape, or what a member of a shape is: `ComputeResource`, `ComputeResource.type`."""
    name, _, member = where.partition(".")
    shape: Any = read_service(service).shape_for(name)
    found: Shape = shape.members[member] if member else shape
    return found


def read_documentation(service: str, where: str) -> str:
    """AWS's text on an operation, a shape or a member, without its mark-up."""
    model = read_service(service)
    text = (
        model.operation_model(where).documentation
        if where in model.operation_names
        else find_shape(service, where).documentation
    )
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def list_values(service: str, where: str) -> frozenset[str]:
    """The values of an enumeration."""
    return frozenset(find_shape(service, where).enum)  # type: ignore[attr-defined]


def list_members(service: str, shape: str, words: str) -> frozenset[str]:
    """The members of a shape of which AWS says these words, named as CloudFormation names them."""
    found: Any = find_shape(service, shape)
    return frozenset(
        member[0].upper() + member[1:]
        for member in found.members
        if words in read_documentation(service, f"{shape}.{member}")
    )
