"""What a template, and the templates that it nests, ask for and the twin does not model: found before anything is deployed.

A resource that does not exist yet stands for itself: a ``Ref`` to it comes to its logical id. That is enough to decide conditions
and to read definitions. What cannot be read here is left to the service that will be asked to create the resource.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twin import credentials
from twin.deployment import template as templates
from twin.deployment import transforms
from twin.deployment.errors import DeploymentError
from twin.deployment.intrinsics import LANGUAGE_EXTENSIONS, Scope
from twin.deployment.packaging import template_url
from twin.deployment.resource import CATALOGUE, as_list
from twin.events import targets
from twin.executions import definition
from twin.functions.definition import find_unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twin.deployment.template import Template

Json = Any

_UNREADABLE = (DeploymentError, KeyError, TypeError, ValueError)
"""What evaluating an expression comes to when a resource's own value would be needed for it."""


def find_unmodelled(
    template: Template, parameters: Mapping[str, Json], artefacts: Mapping[str, bytes]
) -> Iterator[str]:
    """Name each resource whose type, or a part of which, the twin does not model, with the part.

    Parameters
    ----------
    template
        As packaged.
    parameters
        What the stack is deployed with; defaults are added.
    artefacts
        What was packaged, by its address: nested templates and definitions are read from here.
    """
    try:
        expanded = transforms.expand(template, parameters)
    except DeploymentError:
        return  # CreateStack will say why
    scope = _build_scope(expanded, parameters, extended=LANGUAGE_EXTENSIONS in transforms.declared(template))
    for logical_id, resource in expanded["Resources"].items():
        if not _is_created(resource, scope):
            continue
        kind, properties = str(resource.get("Type")), resource.get("Properties") or {}
        if kind not in CATALOGUE:
            yield f"{logical_id} ({kind})"
        elif kind == "AWS::CloudFormation::Stack":
            for found in _survey_nested(properties, scope, artefacts):
                yield f"{logical_id}.{found}"
        else:
            for problem in _find_problems(kind, properties, scope, artefacts):
                yield f"{logical_id} ({kind}): {problem}"


def _build_scope(template: Template, parameters: Mapping[str, Json], *, extended: bool) -> Scope:
    names: dict[str, Json] = {name: name for name in template["Resources"]}
    for name, slot in template.get("Parameters", {}).items():
        value = str(parameters.get(name, slot.get("Default", name)))
        names[name] = value.split(",") if "List" in str(slot.get("Type")) else value
    names |= {
        "AWS::AccountId": credentials.account(),
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": credentials.region(),
        "AWS::StackId": "stack",
        "AWS::StackName": "stack",
        "AWS::URLSuffix": "amazonaws.com",
    }
    return Scope(
        names,
        attribute=lambda logical_id, attribute: f"{logical_id}.{attribute}",
        mappings=template.get("Mappings"),
        conditions=template.get("Conditions"),
        zones=lambda name: [f"{name}{letter}" for letter in "abcdef"],
        extended=extended,
    )


def _is_created(resource: Mapping[str, Json], scope: Scope) -> bool:
    """Whether the resource's condition holds; one that cannot be decided is left to CreateStack."""
    try:
        return "Condition" not in resource or scope.condition(resource["Condition"])
    except _UNREADABLE:
        return False


def _resolve(value: Json, scope: Scope) -> Json:
    """The value of an expression; None where it cannot be read here."""
    try:
        return scope.resolve(value)
    except _UNREADABLE:
        return None


def _survey_nested(properties: Mapping[str, Json], scope: Scope, artefacts: Mapping[str, bytes]) -> Iterator[str]:
    bodies = {template_url(address): body for address, body in artefacts.items()}
    body = bodies.get(str(_resolve(properties.get("TemplateURL"), scope)))
    if body is None:
        return
    passed = {name: _resolve(value, scope) for name, value in (properties.get("Parameters") or {}).items()}
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in passed.items()
        if value is not None
    }
    yield from find_unmodelled(templates.read(body.decode()), texts, artefacts)


def _find_problems(
    kind: str, properties: Mapping[str, Json], scope: Scope, artefacts: Mapping[str, bytes]
) -> Iterator[str]:
    match kind:
        case "AWS::Lambda::Function":
            runtime = _resolve(properties.get("Runtime"), scope)
            package_type = _resolve(properties.get("PackageType", "Zip"), scope)
            if problem := find_unsupported(str(package_type), str(runtime)):
                yield problem
        case "AWS::StepFunctions::StateMachine":
            if (document := _read_definition(properties, scope, artefacts)) is not None:
                yield from definition.problems(document)
        case "AWS::Events::Rule":
            yield from _find_undeliverable(_resolve(properties.get("Targets", []), scope))
        case "AWS::Scheduler::Schedule":
            yield from _find_undeliverable(as_list(_resolve(properties.get("Target", []), scope)))


def _read_definition(
    properties: Mapping[str, Json], scope: Scope, artefacts: Mapping[str, bytes]
) -> dict[str, Json] | None:
    inline = _resolve(properties.get("DefinitionString") or properties.get("Definition"), scope)
    location = _resolve(properties.get("DefinitionS3Location"), scope) or {}
    if inline is None:
        body = artefacts.get(f"s3://{location.get('Bucket')}/{location.get('Key')}", b"")
        inline = body.decode()
    text = inline if isinstance(inline, str) else json.dumps(inline)
    for name, value in (_resolve(properties.get("DefinitionSubstitutions"), scope) or {}).items():
        text = text.replace("${" + name + "}", str(value))
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _find_undeliverable(found: Json) -> Iterator[str]:
    for target in found or []:
        arn = str(target.get("Arn"))
        if arn.startswith("arn:"):  # one of another resource of the template is a logical id here
            try:
                targets.check(target)
            except targets.UnsupportedTarget as error:
                yield str(error)
