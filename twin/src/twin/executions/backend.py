"""Step Functions' state machines and executions, as the API and CloudFormation find them."""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from moto.core.base_backend import BackendDict
from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import InvalidExecutionInput, ValidationException
from moto.stepfunctions.models import StateMachine, StepFunctionBackend
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from twin import events
from twin.executions import definition as asl
from twin.executions import evaluation, roles, status
from twin.executions.execution import NotRedrivable, TwinExecution
from twin.executions.mocks import InvalidMocks
from twin.executions.shared import shared
from twin.executions.tokens import ClosedToken, Failure, Success, UnknownToken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from moto.stepfunctions.parser.mocking.mock_config import MockTestCase

Json = Any

_LONGEST_DATA = 262_144
_STOP_ALL_SECONDS = 5.0


class StateMachineTypeNotSupported(AWSError):
    """The twin runs Standard workflows only."""

    TYPE = "StateMachineTypeNotSupported"


class StateMachineAlreadyExists(AWSError):
    """A machine that is set up otherwise has this name."""

    TYPE = "StateMachineAlreadyExists"


class InvalidDefinition(AWSError):
    """Not the Amazon States Language, or more of it than the twin models."""

    TYPE = "InvalidDefinition"


class AccessDenied(AWSError):
    """Step Functions cannot use the state machine's role."""

    TYPE = "AccessDeniedException"


class UnknownCase(AWSError):
    """The loaded mock file has no such case."""

    TYPE = "ValidationException"


class ExecutionNotRedrivable(AWSError):
    """It runs, succeeded, or ended too long ago."""

    TYPE = "ExecutionNotRedrivable"


class InvalidToken(AWSError):
    """No Task was given this token."""

    TYPE = "InvalidToken"


class InvalidOutput(AWSError):
    """A Task's output must be JSON."""

    TYPE = "InvalidOutput"


class TaskTimedOut(AWSError):
    """The Task of this token has ended."""

    TYPE = "TaskTimedOut"


class TwinStepFunctions(StepFunctionsParserBackend):
    """moto's backend, with StartExecution, StopExecution, RedriveExecution and task tokens as on AWS."""

    # moto finds a service by its backends' module.
    __module__ = "moto.stepfunctions.models"

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._lock = threading.RLock()

    def create_state_machine(self, name: str, definition: str, roleArn: str, **kwargs: Any) -> StateMachine:  # noqa: N803
        """Make a state machine that the twin can run as AWS does; the same one again is no error."""
        if kwargs.get("sm_type") not in (None, "STANDARD"):
            raise StateMachineTypeNotSupported(f"the twin does not model state machines of type {kwargs['sm_type']}")
        _check_definition(definition)
        _check_role(roleArn, self._machine_arn(name), definition)
        with self._lock:
            existing = self._revision_by_name(name)
            if existing is not None and not _is_the_same(existing, definition, kwargs):
                raise StateMachineAlreadyExists(f"State Machine Already Exists: '{existing.arn}'")
            # Past moto's own check, which would parse the definition once more.
            return StepFunctionBackend.create_state_machine(
                self, name=name, definition=definition, roleArn=roleArn, **kwargs
            )

    def update_state_machine(self, arn: str, definition: str | None = None, *args: Any, **kwargs: Any) -> StateMachine:
        """Change a state machine; running executions, and redrives, keep the definition they began with."""
        if definition is not None:
            _check_definition(definition)
        return super().update_state_machine(arn, definition, *args, **kwargs)

    def start_execution(
        self,
        state_machine_arn: str,
        name: str | None = None,
        execution_input: str | None = None,
        trace_header: str | None = None,  # noqa: ARG002  X-Ray sees nothing here
    ) -> TwinExecution:
        """Start an execution; one that runs under this name with this input is returned instead."""
        arn, _, case = state_machine_arn.partition("#")
        machine = self.describe_state_machine(arn)
        if not isinstance(machine, StateMachine):
            raise ValidationException(f"the twin starts state machines, not their versions: {arn}")
        name = name or str(uuid.uuid4())
        self._validate_name(name)
        given = "{}" if execution_input is None else execution_input
        _check_input(given)
        with self._lock:
            running: TwinExecution | None = machine._handle_name_input_idempotency(name, given)  # noqa: SLF001  moto's own
            if running is not None:
                return running
            execution = self._new_execution(machine, name, given, case)
            machine.executions.append(execution)
        execution.start()
        return execution

    def stop_execution(self, execution_arn: str, error: str | None = None, cause: str | None = None) -> TwinExecution:
        """Stop an execution; when this returns, it has stopped."""
        execution: TwinExecution = self.describe_execution(execution_arn)
        execution.stop(shared.clock.now(), error, cause)
        return execution

    def redrive_execution(self, execution_arn: str) -> datetime:
        """Redrive, and say when it was."""
        execution: TwinExecution = self.describe_execution(execution_arn)
        try:
            return execution.redrive()
        except NotRedrivable as error:
            raise ExecutionNotRedrivable(f"Execution Not Redrivable: '{execution_arn}': {error}") from error

    def send_task_success(self, task_token: str, outcome: str) -> None:
        """Answer a Task with its result."""
        try:
            output = json.loads(outcome)
        except ValueError as error:
            raise InvalidOutput(f"Invalid Output: '{error}'") from error
        if len(outcome.encode()) > _LONGEST_DATA:
            raise InvalidOutput(f"Invalid Output: longer than {_LONGEST_DATA} bytes")
        _answer(task_token, Success(output))

    def send_task_failure(self, task_token: str, error: str | None = None, cause: str | None = None) -> None:
        """Answer a Task with an error."""
        _answer(task_token, Failure(error, cause))

    def send_task_heartbeat(self, task_token: str) -> None:
        """Say that a Task is still worked on."""
        with _token_errors():
            shared.tokens.heartbeat(task_token)

    def _machine_arn(self, name: str) -> str:
        return f"arn:{self.partition}:states:{self.region_name}:{self.account_id}:stateMachine:{name}"

    def _new_execution(self, machine: StateMachine, name: str, given: str, case: str) -> TwinExecution:
        snapshot = copy.copy(machine)
        snapshot.executions = []
        mocked = _mocked_case(machine.name, case) if case else None
        return TwinExecution(
            name=name,
            sm_type=machine.sm_type,
            role_arn=machine.roleArn,
            exec_arn=f"arn:{self.partition}:states:{self.region_name}:{self.account_id}:execution:{machine.name}:{name}",
            account_id=self.account_id,
            region_name=self.region_name,
            state_machine=snapshot,
            start_date=shared.clock.now(),
            cloud_watch_logging_session=None,
            activity_store={},
            input_data=given,
            clock=shared.clock,
            on_status=_announce,
            mocks=mocked,
        )


def _mocked_case(machine: str, case: str) -> MockTestCase:
    if shared.mocks is None:
        raise UnknownCase(f"no mock file is loaded, so there is no case {case!r} of state machine {machine!r}")
    try:
        return shared.mocks.case(machine, case)
    except InvalidMocks as error:
        raise UnknownCase(str(error)) from error


def _announce(description: dict[str, Json]) -> None:
    detail = status.status_detail(description)
    events.emit("aws.states", "Step Functions Execution Status Change", [description["executionArn"]], detail)


def _check_definition(definition: str) -> None:
    try:
        document = json.loads(definition)
    except ValueError as error:
        raise InvalidDefinition(f"Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: {error}'") from error
    problems = asl.problems(document)
    if problems:
        raise InvalidDefinition(f"Invalid State Machine Definition: {'; '.join(problems)}")
    try:
        evaluation.parsed(definition)
    except Exception as error:
        raise InvalidDefinition(f"Invalid State Machine Definition: {error}") from error


def _is_the_same(machine: StateMachine, definition: str, given: Mapping[str, Json]) -> bool:
    """Whether CreateStateMachine would make this machine again; another role is no difference (API reference)."""
    unset = {"loggingConfiguration": {"level": "OFF"}, "tracingConfiguration": {"enabled": False}}
    return machine.definition == definition and all(
        getattr(machine, name) == (given.get(name) or default) for name, default in unset.items()
    )


def _check_role(role_arn: str, machine_arn: str, definition: str) -> None:
    if not shared.enforce_iam:
        return
    try:
        roles.check(role_arn, machine_arn, json.loads(definition))
    except roles.RoleRefused as error:
        raise AccessDenied(str(error)) from error


def _check_input(given: str) -> None:
    if len(given.encode()) > _LONGEST_DATA:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: longer than {_LONGEST_DATA} bytes")
    try:
        json.loads(given)
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from error


def _answer(task_token: str, answer: Success | Failure) -> None:
    with _token_errors():
        shared.tokens.answer(task_token, answer)


@contextlib.contextmanager
def _token_errors() -> Iterator[None]:
    """Two errors of the API: a token that never was, and one whose Task has ended (API reference, SendTaskSuccess)."""
    try:
        yield
    except UnknownToken as error:
        raise InvalidToken("Invalid Token: 'Invalid token'") from error
    except ClosedToken as error:
        raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'") from error


backends = BackendDict(TwinStepFunctions, "stepfunctions")


def stop_all() -> None:
    """Stop every execution that runs, because its twin ends."""
    running = [
        execution
        for regions in backends.values()
        for backend in regions.values()
        for machine in backend.state_machines
        for execution in machine.executions
        if execution.status == "RUNNING"
    ]
    now = shared.clock.now()
    for execution in running:
        execution.ask_to_stop(now, None, None)
    end = time.monotonic() + _STOP_ALL_SECONDS
    for execution in running:
        execution.wait_until_stopped(end - time.monotonic())
