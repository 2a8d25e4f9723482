"""Which AWS services the jobs call, and which their instances and tasks call before and beside them: read, not remembered.

A job's services are found twice: as the boto3 clients that its modules, and the modules of the layer that they import, make; and as the
actions that its role allows. What an instance calls is what AWS's managed policy for it allows.
"""

from __future__ import annotations

import ast
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

from tests.template.system import ROOT, Resource, System, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOBS = ("preprocess", "analysis", "postprocess")
_LAYER = ROOT / "layers" / "spotline"

# The endpoint services that a service prefix of IAM needs. `ec2:DescribeTags` is asked for only by an ECS agent that is configured to
# propagate an instance's tags (ECS Developer Guide, "Amazon ECS container agent configuration", ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM),
# and KMS is called by the service that encrypts, not by its caller.
ENDPOINTS: dict[str, frozenset[str]] = {
    "s3": frozenset({"s3"}),
    "dynamodb": frozenset({"dynamodb"}),
    "batch": frozenset({"batch"}),
    "logs": frozenset({"logs"}),
    "ecr": frozenset({"ecr.api", "ecr.dkr", "s3"}),
    "ecs": frozenset({"ecs", "ecs-agent", "ecs-telemetry"}),
    "ec2": frozenset(),
    "kms": frozenset(),
}


@cache
def clients_of_job(job: str) -> frozenset[str]:
    """The services that a job's code makes clients of."""
    waiting = sorted((ROOT / "jobs" / job / job).rglob("*.py"))
    read: set[Path] = set()
    found: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in read:
            continue
        read.add(path)
        tree = ast.parse(path.read_text())
        found.update(_clients(tree, path))
        waiting += _imported_from_the_layer(tree)
    return frozenset(found)


def _clients(tree: ast.AST, path: Path) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("client", "resource")
        ):
            service = node.args[0] if node.args else None
            if not isinstance(service, ast.Constant) or not isinstance(service.value, str):
                raise ValueError(f"{path}:{node.lineno} does not name its service")
            yield service.value


def _imported_from_the_layer(tree: ast.AST) -> list[Path]:
    """The layer's modules that a module imports when it runs; what it imports for types only is left out."""
    only_for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: list[str] = []
    for node in ast.walk(tree):
        if id(node) in only_for_types:
            continue
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    paths = (_LAYER / name.replace(".", "/") for name in names if name.split(".")[0] == "spotline")
    return [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


@cache
def read_managed_policies() -> dict[str, Any]:
    """AWS's managed policies by name, as moto ships them."""
    policies: dict[str, Any] = json.loads(aws_managed_policies_data)
    return policies


def services_of_role(system: System, role: Resource) -> set[str]:
    """The service prefixes of every action that a role allows, its managed policies' included."""
    documents: list[dict[str, Any]] = [policy["PolicyDocument"] for policy in role.properties.get("Policies", [])]
    documents += [
        policy.properties["PolicyDocument"]
        for policy in system.all("AWS::IAM::Policy")
        if role.ref in policy.properties.get("Roles", [])
    ]
    documents += [
        read_managed_policies()[str(arn).rsplit("/", 1)[-1]]["Document"]
        for arn in role.properties.get("ManagedPolicyArns", [])
    ]
    return {
        str(action).split(":", 1)[0]
        for document in documents
        for statement in as_list(document["Statement"])
        for action in as_list(statement["Action"])
    }


def roles_in_the_network(system: System) -> Iterator[Resource]:
    """The roles of whatever runs in the subnets: instances, tasks, and what starts a task."""
    for definition in system.all("AWS::Batch::JobDefinition"):
        for container in _containers(definition):
            yield from (system.at(container[role]) for role in ("JobRoleArn", "ExecutionRoleArn"))
    for environment in system.all("AWS::Batch::ComputeEnvironment"):
        profile = environment.properties["ComputeResources"].get("InstanceRole")
        if profile:
            yield from (system.at(role) for role in system.at(profile).properties["Roles"])


def _containers(definition: Resource) -> list[dict[str, Any]]:
    nodes = definition.properties.get("NodeProperties", {}).get("NodeRangeProperties", [])
    return [node["Container"] for node in nodes] or [definition.properties["ContainerProperties"]]


def endpoints_needed(system: System) -> dict[str, set[str]]:
    """Each endpoint service that is called from the subnets, and who calls it."""
    callers: dict[str, set[str]] = {}
    for role in roles_in_the_network(system):
        for prefix in services_of_role(system, role):
            if prefix not in ENDPOINTS:
                raise ValueError(f"{role.path} allows {prefix}:*, and nobody has said which endpoint that needs")
            for service in ENDPOINTS[prefix]:
                callers.setdefault(service, set()).add(role.path)
    for job in JOBS:
        for service in clients_of_job(job):
            callers.setdefault(service, set()).add(f"the code of {job}")
    return callers
