"""What of the Amazon States Language the twin models; everything else is refused when the state machine is made.

Pure functions over the parsed definition. They do not repeat what the parser checks (syntax, missing fields), only what it
would accept and then run differently from AWS, or fail at when a state is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.executions import casing, services

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = Any

_STATES = ("Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
_MACHINE_FIELDS = {"Comment", "StartAt", "States", "TimeoutSeconds", "Version", "QueryLanguage"}
_COMMON = {"Type", "Comment", "QueryLanguage", "Next", "End", "InputPath", "OutputPath"}
_RUN = {"ResultPath", "ResultSelector", "Parameters", "Retry", "Catch"}
_FIELDS = {
    "Task": _COMMON
    | _RUN
    | {"Resource", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath", "Credentials"},
    "Pass": _COMMON | {"Result", "ResultPath", "Parameters"},
    "Choice": _COMMON | {"Choices", "Default"},
    "Wait": _COMMON | {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"},
    "Succeed": _COMMON,
    "Fail": _COMMON | {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": _COMMON | _RUN | {"Branches"},
    "Map": _COMMON | _RUN | {"ItemProcessor", "ItemsPath", "ItemSelector", "MaxConcurrency"},
}
_PATTERNS: dict[str, tuple[str, ...]] = {
    "batch:submitJob": ("", "sync"),
    "lambda:invoke": ("", "waitForTaskToken"),
}
_RESOURCE = "arn:aws:states:::"


def problems(definition: Mapping[str, Json]) -> list[str]:
    """Why the twin would not run `definition` as AWS does, one sentence a reason; empty when it does."""
    return list(_machine_problems(definition))


def _machine_problems(machine: Mapping[str, Json]) -> Iterator[str]:
    for field in sorted(set(machine) - _MACHINE_FIELDS):
        yield f"the state machine's field {field} is not modelled by the twin"
    yield from _language_problems("the state machine", machine)
    states = machine.get("States", {})
    for name, state in states.items():
        yield from _state_problems(name, state)
    yield from _reference_problems(machine.get("StartAt"), states)


def _reference_problems(start: Json, states: Mapping[str, Json]) -> Iterator[str]:
    """The parser takes a transition to nowhere, and the execution fails when it gets there."""
    if start not in states:
        yield f"StartAt names {start!r}, which is no state"
    for name, state in states.items():
        targets = [state.get("Next"), state.get("Default")]
        targets += [rule.get("Next") for field in ("Choices", "Catch") for rule in state.get(field, [])]
        for target in targets:
            if target is not None and target not in states:
                yield f"state {name!r} goes on to {target!r}, which is no state"


def _state_problems(name: str, state: Mapping[str, Json]) -> Iterator[str]:
    kind = state.get("Type")
    if kind not in _STATES:
        yield f"state {name!r}: the type {kind!r} is not modelled by the twin"
        return
    where = f"state {name!r}"
    yield from _language_problems(where, state)
    for field in sorted(set(state) - _FIELDS[kind]):
        yield f"{where}: the field {field} of a {kind} state is not modelled by the twin"
    if kind == "Task":
        yield from _task_problems(where, state)
    for branch in state.get("Branches", []):
        yield from _machine_problems(branch)
    if "ItemProcessor" in state:
        yield from _map_problems(where, state["ItemProcessor"])


def _language_problems(where: str, component: Mapping[str, Json]) -> Iterator[str]:
    if component.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield f"{where}: QueryLanguage {component['QueryLanguage']} is not modelled by the twin; write it in JSONPath"


def _map_problems(where: str, processor: Mapping[str, Json]) -> Iterator[str]:
    mode = processor.get("ProcessorConfig", {}).get("Mode", "INLINE")
    if mode != "INLINE":
        yield f"{where}: a Map state in mode {mode} is not modelled by the twin, only INLINE"
    yield from _machine_problems({field: value for field, value in processor.items() if field != "ProcessorConfig"})


def _task_problems(where: str, state: Mapping[str, Json]) -> Iterator[str]:
    resource = str(state.get("Resource", ""))
    if not resource.startswith(_RESOURCE):
        yield f"{where}: the resource {resource!r} is not modelled by the twin; use {_RESOURCE}lambda:invoke or an aws-sdk one"
        return
    integration, _, pattern = resource.removeprefix(_RESOURCE).partition(".")
    parameters = state.get("Parameters", {})
    if integration.startswith("aws-sdk:"):
        yield from _sdk_problems(where, integration, pattern, parameters)
    elif integration not in _PATTERNS:
        service = integration.split(":")[0]
        yield f"{where}: {_RESOURCE}{integration} is not modelled by the twin; use aws-sdk:{service}:…"
    elif pattern not in _PATTERNS[integration]:
        yield f"{where}: {integration} has no pattern .{pattern}"
    else:
        yield from _optimised_problems(where, integration, parameters)
    if state.get("HeartbeatSeconds") is not None and pattern == "sync":
        yield f"{where}: HeartbeatSeconds on a .sync Task ends it, because Batch sends no heartbeats; leave it out"


def _sdk_problems(where: str, integration: str, pattern: str, parameters: Mapping[str, Json]) -> Iterator[str]:
    if pattern not in ("", "waitForTaskToken"):
        yield f"{where}: aws-sdk integrations have no pattern .{pattern}"
    parts = integration.split(":")
    if len(parts) != 3:
        yield f"{where}: {integration} is not aws-sdk:<service>:<action>"
        return
    try:
        shape = services.operation(services.service_model(parts[1]), parts[2]).input_shape
    except services.UnknownAction as error:
        yield f"{where}: {error}"
        return
    if not services.is_modelled(parts[1], parts[2]):
        yield f"{where}: {integration} is not modelled by the twin, which would answer without doing what AWS does"
    for path in casing.unknown_members(parameters, shape):
        yield f"{where}: {parts[1]}:{parts[2]} takes no parameter {path}"


def _optimised_problems(where: str, integration: str, parameters: Mapping[str, Json]) -> Iterator[str]:
    service, action = integration.split(":")
    taken = services.BATCH_PARAMETERS if service == "batch" else services.LAMBDA_PARAMETERS
    for name in parameters:
        if name.removesuffix(".$") not in taken:
            yield f"{where}: the field {name} is not supported by the Step Functions integration {integration}"
    shape = services.operation(services.service_model(service), action).input_shape
    # A function's payload is the user's own.
    checked = {name: value for name, value in parameters.items() if not name.startswith("Payload")}
    for path in casing.unknown_members(checked, shape):
        yield f"{where}: {integration} takes no parameter {path}"
