"""What CloudFormation will ask of the services, checked against their own models: names, types, required parts, enumerations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests.template.system import DEV, PROD, SHARED, Resource, System, load
from twin.compute.validation import definition_problems
from twin.deployment.shapes import to_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

# Resource type -> service, operation, the name that CloudFormation would generate, and what is CloudFormation's own.
CALLS: dict[str, tuple[str, str, dict[str, str], set[str]]] = {
    "AWS::Batch::ComputeEnvironment": (
        "batch",
        "CreateComputeEnvironment",
        {"ComputeEnvironmentName": "generated"},
        {"ReplaceComputeEnvironment", "UpdatePolicy"},
    ),
    "AWS::Batch::SchedulingPolicy": ("batch", "CreateSchedulingPolicy", {"Name": "generated"}, set()),
    "AWS::Batch::JobQueue": ("batch", "CreateJobQueue", {"JobQueueName": "generated"}, set()),
    "AWS::Batch::JobDefinition": ("batch", "RegisterJobDefinition", {}, set()),
    "AWS::EC2::LaunchTemplate": ("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "generated"}, set()),
    "AWS::Scheduler::Schedule": ("scheduler", "CreateSchedule", {"Name": "generated"}, set()),
    "AWS::SQS::Queue": ("sqs", "CreateQueue", {"QueueName": "generated"}, set()),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "PutMetricAlarm", {"AlarmName": "generated"}, set()),
    "AWS::Logs::MetricFilter": ("logs", "PutMetricFilter", {"FilterName": "generated"}, set()),
}
SYSTEMS = {"dev": load(DEV), "prod": load(PROD), "shared-folder": load(SHARED)}
RESOURCES = [
    pytest.param(resource, id=f"{name}-{resource.path}")
    for name, system in SYSTEMS.items()
    for resource in system.resources
    if resource.type in CALLS
]


def refused(value: Any, shape: Shape, where: str = "") -> Iterator[str]:
    """Values that are none of an enumeration's: botocore leaves those for the service to refuse."""
    if isinstance(value, dict) and shape.type_name == "structure":
        for key, item in value.items():
            yield from refused(item, shape.members[key], f"{where}.{key}")  # type: ignore[attr-defined]
    elif isinstance(value, list):
        for item in value:
            yield from refused(item, shape.member, where)  # type: ignore[attr-defined]
    elif getattr(shape, "enum", None) and value not in shape.enum:  # type: ignore[attr-defined]
        yield f"{where} = {value!r} is none of {shape.enum}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_resource_fits_the_call_that_creates_it(resource: Resource) -> None:
    service, operation, generated, own = CALLS[resource.type]
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    properties = {key: value for key, value in resource.properties.items() if key not in own}
    if resource.type == "AWS::SQS::Queue":
        properties = {"Attributes": properties}
    if resource.type == "AWS::Batch::ComputeEnvironment":
        properties["ComputeResources"] = without(properties["ComputeResources"], "UpdateToLatestImageVersion")

    call = to_api({**generated, **properties}, shape, resource.path)

    assert ParamValidator().validate(call, shape).generate_report() == ""
    assert list(refused(call, shape)) == []


def without(properties: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key not in names}


@pytest.mark.parametrize(
    "environment",
    [it for it in RESOURCES if it.values[0].type == "AWS::Batch::ComputeEnvironment"],  # type: ignore[union-attr]
)
def test_an_environment_fits_the_call_that_updates_it(environment: Resource) -> None:
    shape = (
        botocore.session.get_session()
        .get_service_model("batch")
        .operation_model("UpdateComputeEnvironment")
        .input_shape
    )
    assert shape is not None
    properties = without(environment.properties, "ReplaceComputeEnvironment", "Type")
    call = to_api({"ComputeEnvironment": environment.path, **properties}, shape, environment.path)
    assert ParamValidator().validate(call, shape).generate_report() == ""
    assert list(refused(call, shape)) == []


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_every_kind_of_batch_resource_is_looked_at(system: System) -> None:
    assert {resource.type for resource in system.resources if resource.type.startswith("AWS::Batch::")} <= set(CALLS)


def test_the_twin_refuses_a_gang_with_a_shared_folder() -> None:
    shape = (
        botocore.session.get_session().get_service_model("batch").operation_model("RegisterJobDefinition").input_shape
    )
    assert shape is not None
    problems = {
        definition.name: definition_problems(to_api(definition.properties, shape, definition.path))
        for definition in SYSTEMS["shared-folder"].all("AWS::Batch::JobDefinition")
    }
    assert {name for name, found in problems.items() if found} == {"SpotGangJobDefinition", "OnDemandGangJobDefinition"}
    assert all(
        "efsVolumeConfiguration of the volume shared is not modelled" in "".join(found)
        for found in problems.values()
        if found
    )


def test_a_misspelt_enumeration_is_seen() -> None:
    shape = botocore.session.get_session().get_service_model("batch").operation_model("CreateJobQueue").input_shape
    assert shape is not None
    assert list(refused({"state": "ENABLE"}, shape)) == [".state = 'ENABLE' is none of ['ENABLED', 'DISABLED']"]
