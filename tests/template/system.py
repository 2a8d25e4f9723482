"""The whole system as its templates describe it: every stack transformed and resolved, without an account.

What exists only after a deployment stands as a name in braces: `{Compute.MainQueue}` is what `Ref` of the main queue would be,
`{IngestBucket.Arn}` what `GetAtt` of the bucket's ARN. So a rule can follow a reference from one stack into another.
"""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from twin.deployment import parameters as parameter_values
from twin.deployment import rules, transforms
from twin.deployment import template as templates
from twin.deployment.intrinsics import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "template.yaml"
IMAGES = "infrastructure/images.yaml"
"""A stack beside the root one, which the account's other stacks share; rules hold for it, too."""
DEFINITION = "statemachine/pipeline.asl.json"
ANALYSIS_IMAGE = "jobs/analysis/Dockerfile"
FILES = (
    TEMPLATE,
    *sorted(f"infrastructure/{path.name}" for path in (ROOT / "infrastructure").glob("*.yaml")),
    DEFINITION,
    ANALYSIS_IMAGE,
)

REGION = "eu-central-1"
DEV: dict[str, str] = {}
GUARDED = {
    "PermissionsBoundary": "arn:aws:iam::111122223333:policy/boundary",
    "RolePath": "/teams/data/",
    "KmsKeyArn": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}
PROD = {"Stage": "prod", "GangMembers": "4", "GangInstanceType": "p5.48xlarge", "Efa": "on", "Egress": "endpoints"}
EFA_1 = {"Efa": "on", "GangInstanceType": "g6.12xlarge"}
RESERVED = {**PROD, "CapacityReservationType": "capacity-block", "CapacityReservationId": "cr-0123456789abcdef0"}
SHARED = {
    "SharedFileSystemId": "fs-0123456789abcdef0",
    "SharedAccessPointId": "fsap-0123456789abcdef0",
    "SharedFileSystemSecurityGroup": "sg-0123456789abcdef0",
}
FARGATE = {"PostprocessOn": "fargate"}
TRIAL = {"GangInstanceType": "c7i.large", "JobsOn": "fargate", "MainMaxVcpus": "6", "Egress": "public"}
OWN_VPC = {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2", "MainFirst": "spot", "GangImageId": "ami-1"}

_ARTEFACTS = {"CodeUri", "ContentUri", "DefinitionUri"}


@dataclass(frozen=True)
class Resource:
    """One resource of one stack, its properties resolved. `stack` is empty for the root."""

    stack: str
    name: str
    type: str
    properties: dict[str, Any]

    @property
    def path(self) -> str:
        """Logical id, with the nested stack's before it."""
        return f"{self.stack}.{self.name}" if self.stack else self.name

    @property
    def ref(self) -> str:
        """What `Ref` of it resolves to."""
        return "{" + self.path + "}"


@dataclass
class System:
    """Every resource of every stack, and the state machine's definition with its substitutions made."""

    texts: Mapping[str, str]
    parameters: Mapping[str, str]
    region: str
    zones: Sequence[str]
    resources: list[Resource] = field(default_factory=list)

    def all(self, kind: str) -> list[Resource]:
        """Every resource of a type."""
        return [resource for resource in self.resources if resource.type == kind]

    def at(self, reference: Any) -> Resource:
        """The resource that a resolved reference names, attribute or not."""
        path = str(reference).strip("{}")
        found = [
            resource for resource in self.resources if path == resource.path or path.startswith(f"{resource.path}.")
        ]
        if not found:
            raise LookupError(f"{reference!r} is no reference to a resource of these stacks")
        return max(found, key=lambda resource: len(resource.path))

    def named(self, name: str) -> Resource:
        """The one resource of that logical id, whatever its stack."""
        (found,) = [resource for resource in self.resources if resource.name == name]
        return found

    @cached_property
    def states(self) -> dict[str, dict[str, Any]]:
        """States of the definition, by name, with what the template substitutes."""
        text = self.texts[DEFINITION]
        for key, value in self.named("Pipeline").properties["DefinitionSubstitutions"].items():
            text = text.replace("${" + key + "}", str(value))
        if "${" in text:
            raise ValueError(f"the definition keeps a placeholder: {text[text.index('${') :][:60]}")
        states: dict[str, dict[str, Any]] = json.loads(text)["States"]
        return states

    @property
    def declared(self) -> dict[str, Any]:
        """The root template's parameters as it declares them, whatever values they are given."""
        parameters: dict[str, Any] = templates.read(self.texts[TEMPLATE])["Parameters"]
        return parameters

    def job_definition(self, name: str) -> Resource:
        """The job definition of that name, as jobs are submitted."""
        (found,) = [
            resource
            for resource in self.all("AWS::Batch::JobDefinition")
            if resource.properties.get("JobDefinitionName") == name
        ]
        return found

    def environments(self, queue: Any) -> list[dict[str, Any]]:
        """Compute resources of a queue's environments, in order."""
        order = self.at(queue).properties["ComputeEnvironmentOrder"]
        ordered = sorted(order, key=lambda entry: int(entry["Order"]))
        return [self.at(entry["ComputeEnvironment"]).properties["ComputeResources"] for entry in ordered]

    def statements(self) -> Iterator[tuple[Resource, dict[str, Any]]]:
        """Every statement that a role of ours is given, with the role or policy it stands in."""
        for resource in self.resources:
            documents = [
                policy["PolicyDocument"]
                for policy in resource.properties.get("Policies", [])
                if "PolicyDocument" in policy
            ]
            if resource.type == "AWS::IAM::Policy":
                documents.append(resource.properties["PolicyDocument"])
            for document in documents:
                for statement in as_list(document["Statement"]):
                    yield resource, statement


def as_list(value: Any) -> list[Any]:
    """IAM and CloudFormation write one thing as itself or as a list of one."""
    return value if isinstance(value, list) else [value]


def read_texts() -> dict[str, str]:
    """The files as they are in the checkout."""
    return {name: (ROOT / name).read_text() for name in FILES}


def parameters_of(file: str) -> dict[str, Any]:
    """The parameters that a template declares."""
    declared: dict[str, Any] = templates.read((ROOT / file).read_text())["Parameters"]
    return declared


def load(
    parameters: Mapping[str, str],
    texts: Mapping[str, str] | None = None,
    *,
    region: str = REGION,
    zones: Sequence[str] | None = None,
) -> System:
    """Resolve the system as it would be deployed with these parameters, in a region with these zones (three, if not given)."""
    zones = [f"{region}{letter}" for letter in "abc"] if zones is None else zones
    system = System(read_texts() if texts is None else texts, parameters, region, zones)
    _Stack(system, "", TEMPLATE, parameters).resolve_all()
    shared = {name: value for name, value in parameters.items() if name in parameters_of(IMAGES)}
    _Stack(system, "Images", IMAGES, shared).resolve_all()
    return system


@cache
def _parse(text: str) -> bytes:
    """Parse a template once, however many parameters and regions it is resolved for; each takes a copy of its own."""
    return pickle.dumps(templates.read(text))


class _Stack:
    """One stack under resolution; a nested one is resolved when its first output is asked for."""

    def __init__(self, system: System, name: str, file: str, given: Mapping[str, str]) -> None:
        self._system, self._name = system, name
        template: templates.Template = pickle.loads(_parse(system.texts[file]))
        declared = template.get("Parameters", {})
        values = parameter_values.bind(declared, given, stored=lambda name: name)
        with mock.patch.dict(os.environ, AWS_DEFAULT_REGION=system.region):  # SAM asks the environment for it
            self._template = transforms.expand(packaged(template), {key: str(value) for key, value in given.items()})
        resources = self._template["Resources"]
        names = {logical_id: "{" + self._path(logical_id) + "}" for logical_id in resources}
        self._scope = Scope(
            {**names, **values, **_PSEUDO, "AWS::Region": system.region},
            attribute=self._attribute,
            mappings=self._template.get("Mappings"),
            conditions=self._template.get("Conditions"),
            zones=lambda _region: list(system.zones),
        )
        rules.check(self._template.get("Rules", {}), self._scope)
        self._nested: dict[str, _Stack] = {}
        self._resources = {
            logical_id: resource
            for logical_id, resource in resources.items()
            if "Condition" not in resource or self._scope.condition(resource["Condition"])
        }

    def resolve_all(self) -> None:
        for logical_id, resource in self._resources.items():
            properties = self._scope.resolve(resource.get("Properties", {}))
            self._system.resources.append(Resource(self._name, logical_id, resource["Type"], properties))
            if resource["Type"] == "AWS::CloudFormation::Stack":
                self._stack(logical_id).resolve_all()

    def _stack(self, logical_id: str) -> _Stack:
        if logical_id not in self._nested:
            properties = self._scope.resolve(self._resources[logical_id]["Properties"])
            self._nested[logical_id] = _Stack(
                self._system, logical_id, properties["TemplateURL"], properties["Parameters"]
            )
        return self._nested[logical_id]

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        if attribute.startswith("Outputs."):
            nested = self._stack(logical_id)
            return nested._scope.resolve(nested._template["Outputs"][attribute.removeprefix("Outputs.")]["Value"])
        return "{" + f"{self._path(logical_id)}.{attribute}" + "}"

    def _path(self, logical_id: str) -> str:
        return f"{self._name}.{logical_id}" if self._name else logical_id


_PSEUDO: dict[str, Any] = {
    "AWS::AccountId": "111122223333",
    "AWS::NotificationARNs": [],
    "AWS::Partition": "aws",
    "AWS::StackId": "arn:aws:cloudformation:eu-central-1:111122223333:stack/spotline/1",
    "AWS::StackName": "spotline",
    "AWS::URLSuffix": "amazonaws.com",
}


def packaged(template: dict[str, Any]) -> dict[str, Any]:
    """As `sam package` leaves it: SAM's transform takes no local paths."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for artefact in _ARTEFACTS & set(properties):
            properties[artefact] = {"Bucket": "artefacts", "Key": properties[artefact]}
    return template
