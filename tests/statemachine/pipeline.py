"""The state machine as its tests run it, and what an execution's history says it did."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import xform_name

from twin.executions import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from botocore.model import OperationModel

Json = Any

ROOT = Path(__file__).resolve().parents[2]
MOCKS = ROOT / "statemachine" / "mocks.json"
NAME = "Pipeline"
"""What mocks.json calls the state machine."""

DEFINITION_FILE = ROOT / "statemachine" / "pipeline.asl.json"
DEFINITION: dict[str, Json] = json.loads(DEFINITION_FILE.read_text(encoding="utf-8").replace("${Partition}", "aws"))
"""The definition with the partition filled in, which is part of each Task's resource; the other substitutions stand."""

TASKS = {name: state for name, state in DEFINITION["States"].items() if state["Type"] == "Task"}

CASES: dict[str, dict[str, str]] = json.loads(MOCKS.read_text(encoding="utf-8"))["StateMachines"][NAME]["TestCases"]
RESPONSES: dict[str, dict[str, Json]] = json.loads(MOCKS.read_text(encoding="utf-8"))["MockedResponses"]

_FAILURES = ("taskFailedEventDetails", "taskTimedOutEventDetails")


def deployable(definition: Mapping[str, Json]) -> dict[str, Json]:
    """The definition with its substitutions filled in and every retry after a second, so that half a day takes seconds.

    Only the waits differ: which error is retried, how often, and what comes then stays as it is written. The two newer
    fields that shape waits go, because Step Functions Local may not know them.
    """
    filled: dict[str, Json] = json.loads(re.sub(r"\$\{(\w+)\}", r"\1", json.dumps(definition)))
    for state in filled["States"].values():
        for retry in state.get("Retry", []):
            retry |= {"IntervalSeconds": 1, "BackoffRate": 1.0}
            retry.pop("MaxDelaySeconds")
            retry.pop("JitterStrategy")
    return filled


def with_named_branches(definition: Mapping[str, Json]) -> dict[str, Json]:
    """The definition with a Pass state in each branch of a Choice, because a history does not say which one was taken."""
    probed = copy.deepcopy(dict(definition))
    for name, state in definition["States"].items():
        if state["Type"] != "Choice":
            continue
        choice = probed["States"][name]
        for index, rule in enumerate(choice["Choices"]):
            rule["Next"] = _probe(probed, name, str(index), rule["Next"])
        choice["Default"] = _probe(probed, name, "Default", choice["Default"])
    return probed


def _probe(definition: dict[str, Json], choice: str, branch: str, target: str) -> str:
    name = f"{choice} [{branch}]"
    definition["States"][name] = {"Type": "Pass", "Next": target}
    return name


@dataclass(frozen=True)
class Visit:
    """A state that was entered, with how often its Task was tried, the errors of those attempts, and where it went."""

    state: str
    attempts: int
    errors: tuple[str, ...]
    exited: bool


@dataclass(frozen=True)
class Course:
    """What one execution did."""

    status: str
    error: str | None
    visits: tuple[Visit, ...]

    @property
    def states(self) -> tuple[str, ...]:
        """The states in the order in which they were entered."""
        return tuple(visit.state for visit in self.visits)

    @property
    def repeated(self) -> dict[str, int]:
        """How often each Task was tried that did not do at the first attempt."""
        return {visit.state: visit.attempts for visit in self.visits if visit.attempts > 1}


def course(history: Iterable[Mapping[str, Json]]) -> Course:
    """What a history says; it ends with the execution's own end."""
    events = list(history)
    last = events[-1]
    return Course(
        status=last["type"].removeprefix("Execution").upper(),
        error=last.get("executionFailedEventDetails", {}).get("error"),
        visits=tuple(_visits(events)),
    )


def _visits(events: list[Mapping[str, Json]]) -> Iterator[Visit]:
    entries = [index for index, event in enumerate(events) if event["type"].endswith("StateEntered")]
    for start, end in zip(entries, [*entries[1:], len(events)], strict=True):
        own = events[start:end]
        kinds = Counter(event["type"] for event in own)
        failures = [event[details]["error"] for event in own for details in _FAILURES if details in event]
        exited = any(event["type"].endswith("StateExited") for event in own)
        yield Visit(own[0]["stateEnteredEventDetails"]["name"], kinds["TaskScheduled"], tuple(failures), exited)


Place = tuple[str, str]
"""A state, and what of it: "entered", "Retry[0] Spot.Interrupted", "Catch[0] …", "Choice[1]"."""


def places() -> set[Place]:
    """Everything of the definition that a case can enter."""
    found: set[Place] = set()
    for name, state in DEFINITION["States"].items():
        found.add((name, "entered"))
        for field in ("Retry", "Catch"):
            for index, entry in enumerate(state.get(field, [])):
                found |= {(name, f"{field}[{index}] {error}") for error in entry["ErrorEquals"]}
        if state["Type"] == "Choice":
            found |= {(name, f"Choice[{index}]") for index in range(len(state["Choices"]))} | {
                (name, "Choice[Default]")
            }
    return found


def entered(course: Course) -> set[Place]:
    """What of the definition an execution of `with_named_branches` entered."""
    found: set[Place] = set()
    for visit in course.visits:
        choice, bracket, branch = visit.state.partition(" [")
        if bracket:
            found.add((choice, f"Choice[{branch}"))
            continue
        found.add((visit.state, "entered"))
        # Each attempt but the last follows a retried error; the last one's error was caught, or ended the execution.
        retried, final = visit.errors[: visit.attempts - 1], visit.errors[visit.attempts - 1 :]
        found |= {_handler(visit.state, "Retry", error) for error in retried}
        if visit.exited:
            found |= {_handler(visit.state, "Catch", error) for error in final}
    return found


def _handler(state: str, field: str, error: str) -> Place:
    """The entry of a state's Retry or Catch that answers an error: the first that names it."""
    for index, entry in enumerate(DEFINITION["States"][state][field]):
        if errors.catches(entry["ErrorEquals"], error):
            named = error if error in entry["ErrorEquals"] else entry["ErrorEquals"][0]
            return state, f"{field}[{index}] {named}"
    raise AssertionError(f"nothing in {state}'s {field} answers {error}")


def operation(resource: str) -> OperationModel:
    """The API action that a Task's resource calls, by botocore's model of the service."""
    service, action = resource.removeprefix("arn:aws:states:::").split(".")[0].removeprefix("aws-sdk:").split(":")
    model = botocore.session.get_session().get_service_model(service)
    wanted = xform_name(action[0].upper() + action[1:])
    return model.operation_model(next(name for name in model.operation_names if xform_name(name) == wanted))


def answer_shape(resource: str) -> Any:
    """What a Task's result looks like: the job of a `.sync` one; None behind a token, where it is the program's own."""
    if resource.endswith(".waitForTaskToken"):
        return None
    model = operation(resource).service_model
    if resource.endswith(".sync"):
        jobs: Any = model.operation_model("DescribeJobs").output_shape
        return jobs.members["jobs"].member
    return operation(resource).output_shape


def unknown_members(value: Json, shape: Any, path: str = "") -> Iterator[str]:
    """The fields of a request or an answer that its service does not know, whatever the case of their first letter."""
    kind = getattr(shape, "type_name", None)
    if kind == "structure" and isinstance(value, dict):
        members = {member.lower(): member for member in shape.members}
        for key, item in value.items():
            member = members.get(key.removesuffix(".$").lower())
            if member is None:
                yield f"{path}{key}"
            else:
                yield from unknown_members(item, shape.members[member], f"{path}{key}.")
    elif kind == "list" and isinstance(value, list):
        for item in value:
            yield from unknown_members(item, shape.member, f"{path}[]")
