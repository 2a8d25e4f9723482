"""One execution of a state machine: its run, its stop, its redrives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from moto.stepfunctions.parser.api import (
    ExecutionRedrivenEventDetails,
    ExecutionStatus,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.eval.evaluation_details import EvaluationDetails
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from twin.executions import evaluation, status
from twin.executions.environment import Resumption, TwinEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from moto.stepfunctions.parser.mocking.mock_config import MockTestCase

    from twin.clock import Clock

Json = Any

_ENDED_AS = {
    ProgramEnded: ExecutionStatus.SUCCEEDED,
    ProgramError: ExecutionStatus.FAILED,
    ProgramStopped: ExecutionStatus.ABORTED,
    ProgramTimedOut: ExecutionStatus.TIMED_OUT,
}
_STOP_SECONDS = 5.0


class NotRedrivable(ValueError):
    """AWS would refuse this redrive, or the twin cannot do it; the text says why."""


class _Worker(ExecutionWorker):
    """Runs an execution on a thread of its own, from the start or from where a redrive goes on."""

    def __init__(self, execution: TwinExecution, resumption: Resumption | None, before: TwinEnvironment | None) -> None:
        super().__init__(
            evaluation_details=EvaluationDetails(
                aws_execution_details=execution._get_start_aws_execution_details(),  # noqa: SLF001  moto's own
                execution_details=execution.get_start_execution_details(),
                state_machine_details=execution.get_start_state_machine_details(),
            ),
            exec_comm=None,
            cloud_watch_logging_session=None,
            activity_store={},
            mock_test_case=execution.mocks,
        )
        self.finished = threading.Event()
        self._execution = execution
        # Made here, not on the thread, so that a stop or an answer that comes at once finds it.
        self.env: TwinEnvironment = self._get_evaluation_environment()
        self._before = before
        self.env.resumption = resumption
        if resumption is not None:
            self.env.states.reset(resumption.input)

    def start(self) -> None:
        if self._before is None:
            self._announce_start()
        else:
            self._continue(self._before)
            self._announce_redrive()
        # From here on it runs, and a stop finds it running.
        self.env.go_on("")
        threading.Thread(target=self._run, name=f"twin-execution-{self._execution.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            evaluation.parsed(self._execution.state_machine.definition).eval(self.env)
        finally:
            self._execution.end(self.env)
            self.finished.set()

    def _get_evaluation_environment(self) -> TwinEnvironment:
        # moto names its own class; its one method that makes the environment is kept, its class is not.
        made = super()._get_evaluation_environment()
        environment = TwinEnvironment(
            aws_execution_details=made.aws_execution_details,
            execution_type=made.execution_type,
            context=made.states.context_object.context_object_data,
            event_history_context=EventHistoryContext.of_program_start(),
            cloud_watch_logging_session=None,
            activity_store={},
            mock_test_case=made.mock_test_case,
        )
        about = environment.states.context_object.context_object_data["Execution"]
        about["RedriveCount"] = self._execution.redrive_count
        if self._execution.redrive_date is not None:
            about["RedriveTime"] = _iso(self._execution.redrive_date)
        about["StartTime"] = _iso(self._execution.start_date)
        return environment

    def _continue(self, before: TwinEnvironment) -> None:
        self.env.event_manager = before.event_manager.reopened()
        last = self.env.event_manager.get_event_history()[-1]["id"]
        self.env.event_history_context.source_event_id = last
        self.env.event_history_context.last_published_event_id = last

    def _announce_start(self) -> None:
        self.env.event_manager.add_event(
            context=self.env.event_history_context,
            event_type=HistoryEventType.ExecutionStarted,
            event_details=EventDetails(
                executionStartedEventDetails={
                    "input": self._execution.execution_input,
                    "inputDetails": {"truncated": False},
                    "roleArn": self._execution.role_arn,
                }
            ),
            update_source_event_id=False,
        )

    def _announce_redrive(self) -> None:
        self.env.event_manager.add_event(
            context=self.env.event_history_context,
            event_type=HistoryEventType.ExecutionRedriven,
            event_details=EventDetails(
                executionRedrivenEventDetails=ExecutionRedrivenEventDetails(redriveCount=self._execution.redrive_count)
            ),
        )


class TwinExecution(Execution):
    """An execution that can be stopped at once and redriven, and says so whenever its status changes."""

    def __init__(
        self,
        *args: Any,
        clock: Clock,
        on_status: Callable[[dict[str, Json]], None],
        mocks: MockTestCase | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.exec_status = ExecutionStatus.RUNNING
        self.mocks = mocks
        self.redrive_count = 0
        self.redrive_date: datetime | None = None
        self.stop_date: datetime | None = None
        self._clock = clock
        self._on_status = on_status
        self._lock = threading.RLock()

    def start(self) -> None:
        """Begin at the definition's first state."""
        self._launch(_Worker(self, resumption=None, before=None))

    def stop(self, stop_date: datetime, error: str | None, cause: str | None) -> None:
        """Stop the execution and wait until it has; nothing happens to one that has ended."""
        self.ask_to_stop(stop_date, error, cause)
        self.wait_until_stopped(_STOP_SECONDS)

    def ask_to_stop(self, stop_date: datetime, error: str | None, cause: str | None) -> None:
        """Begin to stop; returns at once."""
        self.exec_worker.env.set_stop(stop_date=stop_date, error=error, cause=cause)

    def wait_until_stopped(self, seconds: float) -> None:
        """Wait until what was asked to stop has, at most so long."""
        self.exec_worker.finished.wait(max(0.0, seconds))

    def redrive(self) -> datetime:
        """Go on at the state that did not succeed, with the execution's own definition and input; returns when it was.

        Raises
        ------
        NotRedrivable
            It runs or succeeded, ended too long ago, or stopped within a Map state.
        """
        with self._lock:
            reason = self.why_not_redrivable()
            if reason is not None:
                raise NotRedrivable(reason)
            before = self.exec_worker.env
            resumption = evaluation.resumption(before)
            self.exec_status = ExecutionStatus.RUNNING
            self.redrive_count += 1
            redriven = self.redrive_date = self._clock.now()
            self.error = self.cause = self.output = self.stop_date = None
            worker = _Worker(self, resumption, before)
        self._launch(worker)
        return redriven

    def why_not_redrivable(self) -> str | None:
        """AWS's reason not to redrive now, or the twin's; None when a redrive would work."""
        reason = status.why_not_redrivable(self.status, self.stop_date, self._clock.now())
        if reason is not None:
            return reason
        return evaluation.why_not_resumable(self.exec_worker.env)

    def end(self, env: TwinEnvironment) -> None:
        """Take over how `env` ended, and say so."""
        state = env.program_state()
        with self._lock:
            self.stop_date = self._clock.now()
            if isinstance(state, ProgramEnded):
                self.output = env.states.get_input()
            elif isinstance(state, ProgramError):
                self.error = (state.error or {}).get("error")
                self.cause = (state.error or {}).get("cause")
            elif isinstance(state, ProgramStopped):
                self.error, self.cause = state.error, state.cause
            # The status last: who sees it must find the rest.
            self.exec_status = _ENDED_AS[type(state)]
            description = self.describe()
        self._on_status(description)

    def describe(self) -> dict[str, Json]:
        """DescribeExecution's answer."""
        with self._lock:
            answer = {name: value for name, value in self.to_describe_output().items() if value is not None}
            reason = self.why_not_redrivable()
            answer |= {
                "input": self.execution_input,
                "status": self.status,
                "redriveCount": self.redrive_count,
                "redriveStatus": "NOT_REDRIVABLE" if reason else "REDRIVABLE",
            }
            if self.redrive_date is not None:
                answer["redriveDate"] = self.redrive_date
            if reason:
                answer["redriveStatusReason"] = reason
        return answer

    def _launch(self, worker: _Worker) -> None:
        self.exec_worker = worker
        self._on_status(self.describe())
        worker.start()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
