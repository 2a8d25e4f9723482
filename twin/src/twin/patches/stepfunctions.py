"""What moto's Step Functions lacks. Each function puts one thing in the place of moto's and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import moto.stepfunctions
from moto.stepfunctions import models, responses, urls
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    inline_iteration_component as iteration,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branches_decl import BranchesDecl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction

from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.core.base_backend import BackendDict


def execute_with(backends: BackendDict[Any]) -> None:
    """moto has two backends, one that executes for the API and one that does not for CloudFormation; the twin has one."""
    for owner in (moto.stepfunctions, models, responses):
        replace(owner, "stepfunctions_backends", lambda _: backends)
    replace(parser_models, "stepfunctions_parser_backends", lambda _: backends)


def answer_with(response: type[responses.StepFunctionResponse]) -> None:
    """moto has no RedriveExecution, drops a failure's cause, and leaves redrives and pages out of its answers."""
    replace(urls, "url_paths", lambda _: {"{0}/$": response.dispatch})


def make_tasks_with(task_for: Callable[[str], Any]) -> None:
    """moto's Tasks call with made-up keys, keep the API's own casing, poll, and cannot be stopped while they wait."""
    replace(state_task_factory, "state_task_service_for", lambda _: task_for)


def evaluate_program_with(program: Callable[[Any, Any], None]) -> None:
    """moto always begins at StartAt, and a timed out program is left running behind the execution's back."""
    replace(Program, "eval", lambda _: program)


def evaluate_states_with(state: Callable[[Callable[[Any, Any], None], Any, Any], None]) -> None:
    """moto forgets where an execution stood when it failed, which is where a redrive goes on."""
    replace(CommonStateField, "_eval_body", lambda original: lambda self, env: state(original, self, env))


def evaluate_attempts_with(attempt: Callable[[Any, Any], None]) -> None:
    """moto's attempts cannot be interrupted by StopExecution, and their timeouts cannot be scaled."""
    replace(ExecutionState, "_evaluate_with_timeout", lambda _: attempt)


def evaluate_retries_with(retrier: Callable[[Any, Any], None]) -> None:
    """moto sleeps through a Retry's interval, whatever happens to the execution meanwhile."""
    replace(RetrierDecl, "_eval_body", lambda _: retrier)


def match_errors_with(error_equals: Callable[[Any, Any], None]) -> None:
    """moto's States.ALL catches what is terminal, and its States.TaskFailed misses the errors named States.*."""
    replace(ErrorEqualsDecl, "_eval_body", lambda _: error_equals)


def wait_with(wait: Callable[[Any, Any, float], None]) -> None:
    """moto's Wait states take their full time on a scaled clock too."""
    replace(WaitFunction, "_wait_interval", lambda _: wait)


def evaluate_branches_with(branches: Callable[[Any, Any], None]) -> None:
    """moto can only run all branches of a Parallel state; a redrive runs those that failed or were aborted."""
    replace(BranchesDecl, "_eval_body", lambda _: branches)


def keep_states_error_names() -> None:
    """moto turns an error named States.* of a branch, a callback or a mock into States.Runtime."""
    replace(CustomErrorName, "__init__", lambda _: ErrorName.__init__)


def share_components() -> None:
    """moto names what a component keeps in an execution by a number made at first use, which two executions make twice."""
    replace(EvalComponent, "heap_key", lambda _: property(lambda self: str(id(self))))


def keep_no_threads() -> None:
    """moto keeps every thread it ever started in a list that nobody reads."""
    replace(iteration, "TMP_THREADS", lambda _: _Forgetful())


class _Forgetful(list[Any]):
    """A list that keeps nothing."""

    def append(self, item: Any) -> None:
        """Forget the item."""
