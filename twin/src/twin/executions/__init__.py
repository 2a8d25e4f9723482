"""Step Functions: the deployed state machines run on moto's interpreter, corrected where it differs from AWS."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from twin import events
from twin.executions import api, backend, evaluation, jobs, mocks, tasks
from twin.executions.shared import shared
from twin.patches import jsonpath
from twin.patches import stepfunctions as patches

if TYPE_CHECKING:
    from pathlib import Path

    from twin.clock import Clock

__all__ = ["ExecutionOptions", "install", "load_mocks", "stop"]


class ExecutionOptions(Protocol):
    """The options of a twin that concern executions."""

    @property
    def enforce_iam(self) -> bool:
        """Whether a state machine's role must trust Step Functions, and let it watch jobs."""
        ...


def install(options: ExecutionOptions, clock: Clock) -> None:
    """Make moto execute state machines as Step Functions does, with `clock` scaling every wait."""
    shared.begin(clock, enforce_iam=options.enforce_iam)
    # Every failed Task would be logged as an error of the interpreter; the history says it better.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    patches.execute_with(backend.backends)
    patches.answer_with(api.TwinStepFunctionsResponse)
    patches.make_tasks_with(tasks.task_for)
    patches.evaluate_program_with(evaluation.program)
    patches.evaluate_states_with(evaluation.state)
    patches.evaluate_attempts_with(evaluation.attempt)
    patches.evaluate_retries_with(evaluation.retrier)
    patches.match_errors_with(evaluation.error_equals)
    patches.wait_with(evaluation.wait_state)
    patches.evaluate_branches_with(evaluation.branches)
    patches.keep_states_error_names()
    jsonpath.one_value_for_a_reference_path()
    patches.share_components()
    patches.keep_no_threads()
    events.listen(jobs.notice)


def stop() -> None:
    """Stop every execution that runs."""
    events.unlisten(jobs.notice)
    backend.stop_all()


def load_mocks(path: Path) -> None:
    """Read a mock file in Step Functions Local's format; StartExecution on ``<ARN>#<case>`` then runs one of its cases.

    Raises
    ------
    InvalidMocks
        The file is not in the format; the text says where.
    """
    shared.mocks = mocks.read(path)
