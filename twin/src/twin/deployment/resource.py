"""A resource of a stack: what its template asks for, and what became of it.

A resource type is a function registered with `resource_type`: it takes a `Request`, *takes* each property it acts on,
*accepts* each that has no effect here, and calls its service. A property that is left over is refused by the engine.
"""

from __future__ import annotations

import functools
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import botocore.validate
from botocore import xform_name
from botocore.exceptions import ClientError

from twin import credentials
from twin.deployment.errors import NotModelled, ResourceFailed
from twin.deployment.shapes import to_api

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

NAME = "@name"
"""The attribute in which a resource keeps its name where its physical id is something else; no Fn::GetAtt reaches it."""

_SUFFIX_LENGTH = 12


@dataclass(frozen=True)
class Accepted:
    """Something that the template asks for and that has no effect on this machine.

    Parameters
    ----------
    logical_id, kind
        The resource and its CloudFormation type.
    what
        A property, or ``""`` for the resource as a whole.
    because
        Why it has no effect here.
    """

    logical_id: str
    kind: str
    what: str
    because: str


@dataclass
class Resource:
    """A resource that exists.

    Parameters
    ----------
    physical_id
        What ``Ref`` gives.
    attributes
        What ``Fn::GetAtt`` gives.
    logical_id, kind, properties
        What the template calls it, its CloudFormation type, and its properties as they were resolved.
    accepted
        What of it has no effect here.
    retained
        Whether its DeletionPolicy keeps it when it leaves the template.
    """

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    logical_id: str = ""
    kind: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    accepted: tuple[Accepted, ...] = ()
    retained: bool = False


class Request:
    """What a template asks of one resource, with every intrinsic function resolved.

    Parameters
    ----------
    logical_id, kind
        The resource and its CloudFormation type.
    stack_name
        The stack it belongs to.
    properties
        Its resolved properties.
    current
        The resource as it is, when it is to be updated.
    """

    def __init__(
        self,
        logical_id: str,
        kind: str,
        *,
        stack_name: str,
        properties: Mapping[str, Any],
        current: Resource | None = None,
    ) -> None:
        self.logical_id = logical_id
        self.kind = kind
        self.stack_name = stack_name
        self.current = current
        self.accepted: list[Accepted] = []
        self._properties = properties
        self._left = dict(properties)

    @property
    def existing(self) -> Resource:
        """The resource as it is, for an update; there is none while it is created."""
        if self.current is None:
            raise LookupError(f"{self.where} does not exist yet")
        return self.current

    @property
    def where(self) -> str:
        """What an error calls the resource."""
        return f"{self.logical_id} ({self.kind})"

    def take(self, name: str, default: Any = None) -> Any:
        """The property of that name, which the resource type now answers for."""
        return self._left.pop(name, default)

    def need(self, name: str) -> Any:
        """A property that the resource type requires."""
        if name not in self._left:
            raise ResourceFailed(self.logical_id, self.kind, f"the property {name} is missing")
        return self._left.pop(name)

    def has_changed(self, name: str) -> bool:
        """Whether an update brings another value of that property than the resource has."""
        return self.current is not None and self.current.properties.get(name) != self._properties.get(name)

    def take_some(self, *names: str) -> dict[str, Any]:
        """Those of the named properties that the template sets."""
        return {name: self._left.pop(name) for name in names if name in self._left}

    def take_rest(self) -> dict[str, Any]:
        """All properties that nobody has taken yet."""
        rest, self._left = self._left, {}
        return rest

    def flag(self, name: str) -> bool:
        """A boolean property; false where the template does not set it."""
        return str(self.take(name, False)).lower() == "true"

    def accept(self, name: str, because: str) -> None:
        """Record that a property, where it is set, has no effect here."""
        if self._left.pop(name, None) is not None:
            self.note(name, because)

    def note(self, what: str, because: str) -> None:
        """Record that something has no effect here."""
        self.accepted.append(Accepted(self.logical_id, self.kind, what, because))

    def refuse(self, name: str) -> None:
        """Refuse a property where it is set, because no part of the twin acts on it."""
        if name in self._left:
            raise NotModelled(f"the property {self.where}.{name}")

    def refuse_rest(self) -> None:
        """Refuse every property that nobody has taken or accepted."""
        for name in self._left:
            self.refuse(name)

    def name(self, prop: str, *, limit: int, lower: bool = False) -> str:
        """The physical name: the template's, or one made as CloudFormation makes it."""
        given = self.take(prop)
        if given is not None:
            return str(given)
        if self.current is not None:
            return str(self.current.attributes.get(NAME, self.current.physical_id))
        return self.generated_name(limit=limit, lower=lower)

    def generated_name(self, *, limit: int, lower: bool = False) -> str:
        """A name as CloudFormation makes it: from the stack's name and the logical id."""
        return generated_name(f"{self.stack_name}-{self.logical_id}", limit=limit, lower=lower)

    def shaped(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of an API call, shaped and validated by the service's model but not sent."""
        shape = cast("Shape", _service_model(service).operation_model(operation).input_shape)
        shaped = to_api(dict(parameters), shape, self.where)
        report = botocore.validate.ParamValidator().validate(shaped, shape)
        if report.has_errors():
            raise ResourceFailed(self.logical_id, self.kind, report.generate_report())
        return dict(shaped)

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call the service's public API with properties shaped by its model."""
        shaped = self.shaped(service, operation, parameters)
        try:
            answer = getattr(credentials.internal_client(service), xform_name(operation))(**shaped)
        except ClientError as error:
            raise ResourceFailed(self.logical_id, self.kind, f"{operation}: {_said(error)}") from error
        return dict(answer)


def _said(error: ClientError) -> str:
    if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        return "the twin itself failed, with the traceback that it wrote to stderr"
    return str(error.response["Error"]["Message"])


@functools.cache
def _service_model(service: str) -> ServiceModel:
    return credentials.botocore_session().get_service_model(service)


Maker = Callable[[Request], Resource]


@dataclass(frozen=True)
class ResourceType:
    """How resources of one CloudFormation type come to be, and how they change where the twin can change them."""

    create: Maker
    update: Maker | None = None


CATALOGUE: dict[str, ResourceType] = {}


def resource_type(kind: str, *, update: Maker | None = None, repeatable: bool = False) -> Callable[[Maker], Maker]:
    """Register the function that creates resources of a CloudFormation type.

    Parameters
    ----------
    kind
        The CloudFormation type.
    update
        Changes a resource in place, or replaces it; without one a change is refused.
    repeatable
        Creating the resource once more is its update, because the service's call is a Put.
    """

    def register(create: Maker) -> Maker:
        CATALOGUE[kind] = ResourceType(create, create if repeatable else update)
        return create

    return register


def generated_name(prefix: str, *, limit: int, lower: bool = False) -> str:
    """A prefix, cut so that the whole fits the service's limit, and a random suffix."""
    suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(_SUFFIX_LENGTH))
    name = prefix[: limit - _SUFFIX_LENGTH - 1].rstrip("-") + f"-{suffix}"
    return name.lower() if lower else name


def as_list(value: Any) -> list[Any]:
    """A list property, which a template may also give as one value."""
    return value if isinstance(value, list) else [value]


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """CloudFormation's list of tags as a map."""
    return {tag["Key"]: str(tag["Value"]) for tag in tags or ()}
