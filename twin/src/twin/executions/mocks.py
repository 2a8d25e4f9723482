"""Mocked test cases in the file format of Step Functions Local, so that both run the same cases.

The format is that of "Testing state machines with mocked service integrations" (Step Functions developer guide)::

    {"StateMachines": {"<machine>": {"TestCases": {"<case>": {"<state>": "<response>"}}}},
     "MockedResponses": {"<response>": {"0": {"Return": …}, "1-2": {"Throw": {"Error": …, "Cause": …}}}}}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.stepfunctions.parser.mocking.mock_config import (
    MockedResponse,
    MockedResponseReturn,
    MockedResponseThrow,
    MockTestCase,
    StateMockedResponses,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Json = Any


class InvalidMocks(ValueError):
    """The mock file is not in Step Functions Local's format; the text says where."""


class Mocks:
    """The cases of one mock file."""

    def __init__(self, document: Mapping[str, Json], where: str) -> None:
        self._cases: dict[tuple[str, str], MockTestCase] = {}
        responses = document.get("MockedResponses", {})
        for machine, about in document.get("StateMachines", {}).items():
            for case, states in about.get("TestCases", {}).items():
                named = [_state_responses(state, name, responses, where) for state, name in states.items()]
                self._cases[machine, case] = MockTestCase(machine, case, named)

    def case(self, machine: str, case: str) -> MockTestCase:
        """The case that ``StartExecution`` on ``<machine's ARN>#<case>`` runs.

        Raises
        ------
        InvalidMocks
            The file has no such case.
        """
        if (machine, case) not in self._cases:
            cases = sorted(name for of, name in self._cases if of == machine)
            raise InvalidMocks(f"the mock file has no case {case!r} for state machine {machine!r}; it has {cases}")
        return self._cases[machine, case]

    def cases(self, machine: str) -> list[str]:
        """The names of a state machine's cases, as they stand in the file."""
        return [case for of, case in self._cases if of == machine]


def read(path: Path) -> Mocks:
    """Read a mock file.

    Raises
    ------
    InvalidMocks
        It is not JSON, or not in the format.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InvalidMocks(f"{path}: not JSON: {error}") from error
    return Mocks(document, str(path))


def _state_responses(state: str, name: str, responses: Mapping[str, Json], where: str) -> StateMockedResponses:
    if name not in responses:
        raise InvalidMocks(f"{where}: state {state!r} uses the response {name!r}, which is not there")
    try:
        return StateMockedResponses(state, name, [_response(span, given) for span, given in responses[name].items()])
    except (KeyError, ValueError, RuntimeError) as error:
        raise InvalidMocks(f"{where}: response {name!r}: {error}") from error


def _response(span: str, given: Mapping[str, Json]) -> MockedResponse:
    first, _, last = span.partition("-")
    start, end = int(first), int(last or first)
    if set(given) == {"Return"}:
        return MockedResponseReturn(start, end, given["Return"])
    if set(given) == {"Throw"}:
        return MockedResponseThrow(start, end, given["Throw"]["Error"], given["Throw"].get("Cause", ""))
    raise ValueError(f"{span!r} needs either Return or Throw, not {sorted(given)}")
