"""Bringing a stack's resources to what its template says: in the order of their dependencies, and nothing silently."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from twin.deployment import parameters as parameter_values
from twin.deployment import rules, transforms
from twin.deployment.errors import DeploymentError, NotModelled, ResourceFailed, TemplateError
from twin.deployment.intrinsics import LANGUAGE_EXTENSIONS, Scope, as_text
from twin.deployment.resource import CATALOGUE, Request, Resource, ResourceType
from twin.deployment.template import Template, references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
        "Transform",
    }
)
# Metadata and the two policies say what becomes of a resource at its end: the twin's account ends as a whole.
_RESOURCE_KEYS = frozenset(
    {"Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
)


@dataclass(frozen=True)
class Account:
    """Where stacks live, and what they may look up there.

    Parameters
    ----------
    account, region
        The account's number and the region's name.
    zones
        Availability zones of a region.
    stored_parameter
        Value of a parameter of Systems Manager.
    exports
        Values that stacks export, by name.
    """

    account: str
    region: str
    zones: Callable[[str], list[str]]
    stored_parameter: Callable[[str], str]
    exports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A template that was found good with these parameters, ready to be applied.

    Parameters
    ----------
    template
        The template, transforms expanded.
    scope
        What its expressions refer to; resources are added as they come to be.
    order
        Logical ids of the resources whose conditions hold, each after those it needs.
    parameters, shown_parameters
        Parameters as texts, defaults included; and with NoEcho values masked.
    """

    template: Template
    scope: Scope
    order: list[str]
    parameters: dict[str, str]
    shown_parameters: dict[str, str]


@dataclass(frozen=True)
class Output:
    """A stack's output."""

    value: str
    description: str | None
    export: str | None


def plan(template: Template, given: Mapping[str, str], *, stack_name: str, stack_id: str, account: Account) -> Plan:
    """Check a template and its parameters, and find the order of its resources, before anything is created.

    Raises
    ------
    DeploymentError
        The template or a parameter is wrong, a rule is violated, or something is not modelled.
    """
    declared = template.get("Parameters", {})
    extended = LANGUAGE_EXTENSIONS in transforms.declared(template)
    values = parameter_values.bind(declared, given, stored=account.stored_parameter)
    expanded = transforms.expand(template, given)
    for section in sorted(set(expanded) - _SECTIONS):
        raise NotModelled(f"the template section {section}")
    names = {
        **values,
        "AWS::AccountId": account.account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": account.region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com",
    }
    scope = Scope(
        names,
        attribute=_no_attribute_yet,
        mappings=expanded.get("Mappings"),
        conditions=expanded.get("Conditions"),
        exports=account.exports,
        zones=account.zones,
        extended=extended,
    )
    rules.check(expanded.get("Rules", {}), scope)
    wanted = {
        logical_id: resource
        for logical_id, resource in expanded["Resources"].items()
        if "Condition" not in resource or scope.condition(resource["Condition"])
    }
    _refuse_unknown(wanted)
    order = _in_order_of_dependencies(wanted, set(expanded["Resources"]) | set(names))
    texts = parameter_values.texts(declared, given)
    return Plan(expanded, scope, order, texts, parameter_values.masked(declared, texts))


class LiveStack:
    """The resources of one stack, and what its template's outputs come to.

    Parameters
    ----------
    name, stack_id
        The stack.
    """

    def __init__(self, name: str, stack_id: str) -> None:
        self.name = name
        self.stack_id = stack_id
        self.resources: dict[str, Resource] = {}
        self.outputs: dict[str, Output] = {}

    def apply(self, planned: Plan) -> None:
        """Create what is missing, update what has changed, leave the rest alone.

        Raises
        ------
        ResourceFailed
            A service refused; what was done before stays.
        NotModelled
            A change that the twin cannot make: a resource removed, or of a type that has no update.
        """
        scope = planned.scope
        scope.attribute = self._attribute
        self._forget_removed(set(planned.order))
        for logical_id in planned.order:
            self.resources[logical_id] = self._bring_about(logical_id, planned.template["Resources"][logical_id], scope)
            scope.names[logical_id] = self.resources[logical_id].physical_id
        self.outputs = dict(_outputs(planned.template.get("Outputs") or {}, scope))

    def _forget_removed(self, wanted: set[str]) -> None:
        removed = [resource for name, resource in self.resources.items() if name not in wanted]
        lost = sorted(resource.logical_id for resource in removed if not resource.retained)
        if lost:
            raise NotModelled(f"the removal of {', '.join(lost)} from a stack (start the twin afresh)")
        for resource in removed:
            del self.resources[resource.logical_id]

    def _bring_about(self, logical_id: str, wanted: Mapping[str, Any], scope: Scope) -> Resource:
        kind = wanted["Type"]
        current = self.resources.get(logical_id)
        try:
            properties = scope.resolve(wanted.get("Properties") or {})
            if current is not None and current.kind == kind and current.properties == properties:
                return current
            request = Request(
                logical_id,
                kind,
                stack_name=self.name,
                properties=properties,
                current=current,
            )
            made = _maker(CATALOGUE[kind], current, request, properties)(request)
            request.refuse_rest()
        except ResourceFailed:
            raise
        except DeploymentError as error:
            message = str(error)
            raise error if logical_id in message else ResourceFailed(logical_id, kind, message) from error
        except KeyError as error:
            raise ResourceFailed(logical_id, kind, f"the property {error} is missing") from error
        return replace(
            made,
            logical_id=logical_id,
            kind=kind,
            properties=properties,
            accepted=tuple(request.accepted),
            retained=wanted.get("DeletionPolicy") == "Retain",
        )

    def _attribute(self, logical_id: str, name: str) -> Any:
        resource = self.resources.get(logical_id)
        if resource is None:
            raise TemplateError(f"Fn::GetAtt of {logical_id}, which is not a resource that is created")
        if name not in resource.attributes:
            raise NotModelled(f"the attribute {name} of {logical_id} ({resource.kind})")
        return resource.attributes[name]


def _maker(
    model: ResourceType, current: Resource | None, request: Request, properties: Mapping[str, Any]
) -> Callable[[Request], Resource]:
    if current is None:
        return model.create
    if model.update is None or current.kind != request.kind:
        raise NotModelled(f"an update of {request.where} (start the twin afresh)")
    for name in sorted(set(current.properties) - set(properties)):
        raise NotModelled(f"an update of {request.where} that takes its {name} away (start the twin afresh)")
    return model.update


def _no_attribute_yet(logical_id: str, name: str) -> Any:
    raise TemplateError(f"Fn::GetAtt {logical_id}.{name} where only parameters have values")


def _refuse_unknown(resources: Mapping[str, Mapping[str, Any]]) -> None:
    unknown = [f"{name} ({it.get('Type')})" for name, it in resources.items() if it.get("Type") not in CATALOGUE]
    if unknown:
        raise NotModelled(f"the resource type of {', '.join(unknown)}")
    for name, resource in resources.items():
        for key in sorted(set(resource) - _RESOURCE_KEYS):
            raise NotModelled(f"{key} of {name} ({resource['Type']})")


def _in_order_of_dependencies(resources: Mapping[str, Mapping[str, Any]], defined: set[str]) -> list[str]:
    """Logical ids such that each comes after what it refers to or depends on; else as the template has them."""
    graph: dict[str, list[str]] = {}
    for logical_id, resource in resources.items():
        depends = resource.get("DependsOn", [])
        needed = references(resource.get("Properties") or {}) | set([depends] if isinstance(depends, str) else depends)
        undefined = sorted(name for name in needed - defined if not name.startswith("AWS::"))
        if undefined:
            raise TemplateError(f"{logical_id} refers to {', '.join(undefined)}, which the template does not define")
        graph[logical_id] = [name for name in resources if name in needed]
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise TemplateError(f"Circular dependency between resources: [{', '.join(error.args[1])}]") from error


def _outputs(declared: Mapping[str, Mapping[str, Any]], scope: Scope) -> Iterator[tuple[str, Output]]:
    for name, output in declared.items():
        if "Condition" in output and not scope.condition(output["Condition"]):
            continue
        value = as_text(scope.resolve(output["Value"]))
        if not isinstance(value, str):
            raise TemplateError(f"the output {name} is not a text: {value!r}")
        export = scope.resolve(output["Export"]["Name"]) if "Export" in output else None
        yield name, Output(value, output.get("Description"), export)
