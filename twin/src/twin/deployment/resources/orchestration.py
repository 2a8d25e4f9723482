"""State machines, event rules, schedules."""

from __future__ import annotations

import json
from typing import Any

from twin import credentials
from twin.deployment.errors import NotModelled, ResourceFailed
from twin.deployment.resource import Request, Resource, resource_type


def _update_state_machine(request: Request) -> Resource:
    for fixed in ("StateMachineName", "StateMachineType", "Tags"):
        if request.has_changed(fixed):
            raise NotModelled(f"an update of {request.where}.{fixed} (start the twin afresh)")
        request.take(fixed)
    arn = request.existing.physical_id
    properties = {"definition": _definition(request), **_machine_properties(request)}
    request.call("stepfunctions", "UpdateStateMachine", {"stateMachineArn": arn, **properties})
    return Resource(arn, request.existing.attributes)


@resource_type("AWS::StepFunctions::StateMachine", update=_update_state_machine)
def _state_machine(request: Request) -> Resource:
    name = request.name("StateMachineName", limit=80)
    properties = {
        "name": name,
        "definition": _definition(request),
        "type": request.take("StateMachineType", "STANDARD"),
        "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in request.take("Tags", [])],
        **_machine_properties(request),
    }
    arn = request.call("stepfunctions", "CreateStateMachine", properties)["stateMachineArn"]
    return Resource(arn, {"Arn": arn, "Name": name})


@resource_type("AWS::Events::Rule", repeatable=True)
def _rule(request: Request) -> Resource:
    targets = request.take("Targets", [])
    name = request.name("Name", limit=64)
    properties = {"Name": name, **request.take_rest()}
    arn = request.call("events", "PutRule", properties)["RuleArn"]
    bus = {"EventBusName": properties["EventBusName"]} if "EventBusName" in properties else {}
    before = request.current.properties.get("Targets", []) if request.current else []
    gone = {target["Id"] for target in before} - {target["Id"] for target in targets}
    if gone:
        request.call("events", "RemoveTargets", {"Rule": name, **bus, "Ids": sorted(gone)})
    if targets:
        answer = request.call("events", "PutTargets", {"Rule": name, **bus, "Targets": targets})
        if answer["FailedEntryCount"]:
            raise ResourceFailed(request.logical_id, request.kind, f"PutTargets: {answer['FailedEntries']}")
    return Resource(name, {"Arn": arn})


@resource_type("AWS::Events::EventBus")
def _event_bus(request: Request) -> Resource:
    properties = request.take_rest()
    arn = request.call("events", "CreateEventBus", properties)["EventBusArn"]
    return Resource(properties["Name"], {"Arn": arn, "Name": properties["Name"]})


def _update_schedule(request: Request) -> Resource:
    return _put_schedule(request, "UpdateSchedule")


@resource_type("AWS::Scheduler::Schedule", update=_update_schedule)
def _schedule(request: Request) -> Resource:
    return _put_schedule(request, "CreateSchedule")


@resource_type("AWS::Scheduler::ScheduleGroup")
def _schedule_group(request: Request) -> Resource:
    name = request.take("Name") or request.generated_name(limit=64)
    arn = request.call("scheduler", "CreateScheduleGroup", {"Name": name, **request.take_rest()})["ScheduleGroupArn"]
    return Resource(name, {"Arn": arn})


def _machine_properties(request: Request) -> dict[str, Any]:
    """What is left of a machine's properties once its name, type, tags and definition are taken."""
    request.accept("EncryptionConfiguration", "nothing is encrypted at rest here")
    left = request.take_rest()
    if left.get("TracingConfiguration"):
        request.note("TracingConfiguration", "no trace is recorded")
    return left


def _put_schedule(request: Request, operation: str) -> Resource:
    request.accept("KmsKeyArn", "nothing is encrypted at rest here")
    name = request.name("Name", limit=64)
    arn = request.call("scheduler", operation, {"Name": name, **request.take_rest()})["ScheduleArn"]
    return Resource(name, {"Arn": arn})


def _definition(request: Request) -> str:
    """The machine's definition as text, from wherever the template has it, substitutions made."""
    inline = request.take("DefinitionString") or request.take("Definition")
    if inline is None:
        location = request.need("DefinitionS3Location")
        stored: Any = credentials.internal_client("s3").get_object(**request.shaped("s3", "GetObject", location))
        text = stored["Body"].read().decode()
    else:
        text = inline if isinstance(inline, str) else json.dumps(inline)
    for name, value in request.take("DefinitionSubstitutions", {}).items():
        text = text.replace("${" + name + "}", str(value))
    return str(text)
