"""The parts of moto's interpreter that the twin evaluates itself: waits, attempts, branches, and where a redrive goes on.

Each function takes the interpreter's component (its `self`) and the environment; `twin.patches.stepfunctions` puts it in the
place of the component's own method and says why.
"""

from __future__ import annotations

import copy
import functools
import threading
from typing import TYPE_CHECKING, Any

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.state.exec.state_map.state_map import StateMap
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from twin.executions import errors
from twin.executions.environment import Finished, Position, Resumption, TwinEnvironment
from twin.executions.shared import shared

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Any


@functools.lru_cache(maxsize=64)
def parsed(definition: str) -> Any:
    """The interpreter's components of a definition, shared by all its executions: parsing takes a third of a second.

    What an execution changes is in its environment; the components themselves are never changed.
    """
    return AmazonStateLanguageParser.parse(definition)[0]


def program(component: Any, env: TwinEnvironment) -> None:
    """Evaluate a state machine, or a branch, from its start or from where a redrive goes on."""
    env.go_on(env.resumption.state if env.resumption else component.start_at.start_at_name)
    # Not its `eval`, which does nothing once a stop has come, and so would leave the history without an end.
    if component.timeout_seconds is None:
        component._eval_body(env)  # noqa: SLF001  the component's own
        return
    limit = threading.Timer(shared.clock.real(component.timeout_seconds.timeout_seconds), env.set_timed_out)
    limit.daemon = True
    limit.start()
    try:
        component._eval_body(env)  # noqa: SLF001  the component's own
    finally:
        limit.cancel()


def state(original: Callable[[Any, TwinEnvironment], None], component: Any, env: TwinEnvironment) -> None:
    """Evaluate a state, remembering that it was entered, so that a redrive knows where to go on."""
    resumption = env.take_resumption()
    env.position = Position(component.name, env.states.get_input(), is_map=isinstance(component, StateMap))
    if resumption is not None:
        env.position.resumed_branches = resumption.branches
        if component.state_entered_event_type != HistoryEventType.FailStateEntered:
            # "Fail: reenters the Fail state" is all the developer guide says of entering twice ("Redriving executions").
            env.event_manager.skip_entry(env.event_history_context)
    original(component, env)


def attempt(component: Any, env: TwinEnvironment) -> None:
    """Evaluate one attempt of a Task, Parallel or Map state within its time, leaving its output on the stack.

    A stop does not wait for what the attempt is doing: the attempt is left to end by itself.
    """
    component.timeout.eval(env=env)
    limit_seconds = env.stack.pop()
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    done = threading.Event()
    results: list[Json] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            component._eval_execution(frame)  # noqa: SLF001  the component's own, as its class has it
            results.append(frame.stack[-1] if frame.stack else None)
        except Exception as error:  # noqa: BLE001  whatever it is fails the attempt, and is named by it
            failures.append(error)
        finally:
            done.set()

    with frame.waking(done):
        threading.Thread(target=run, name=f"twin-state-{component.name}", daemon=True).start()
        done.wait(shared.clock.real(limit_seconds))
    running = env.is_running()
    frame.set_ended()
    env.close_frame(frame)
    if frame.callback is not None:
        shared.tokens.close(frame.callback)
    if not results and not failures:
        env.event_manager.abandon(frame.event_history_context)
    if not running:
        return
    if failures:
        raise failures[0]
    if not results:
        raise EvalTimeoutError
    env.stack.append(results[0])
    if component.result_selector:
        component.result_selector.eval(env=env)
    if component.result_path:
        component.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


def retrier(component: Any, env: TwinEnvironment) -> None:
    """Decide whether a Retry entry applies to the error on the stack, and wait its interval if it does."""
    component.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    component.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for part in (
        component.interval_seconds,
        component.backoff_rate,
        component.max_delay_seconds,
        component.jitter_strategy,
    ):
        part.eval(env=env)
    env.wait(shared.clock.real(env.stack.pop()))
    env.stack.append(RetrierOutcome.Executed)


def error_equals(component: Any, env: TwinEnvironment) -> None:
    """Whether an ErrorEquals list names the error on the stack."""
    name = env.stack.pop()
    error = (name and name.error_name) or "States.TaskFailed"
    env.stack.append(errors.catches([listed.error_name for listed in component.error_names], error))


def wait_state(_component: Any, env: TwinEnvironment, wait_seconds: float) -> None:
    """Wait as a Wait state does."""
    env.wait(shared.clock.real(max(0.0, wait_seconds)))


def branches(component: Any, env: TwinEnvironment) -> None:
    """Evaluate the branches of a Parallel state side by side; after a redrive only those that had not finished.

    The first branch to fail ends the others and fails the state with its error.
    """
    given = env.stack.pop()
    parallel = env.parent
    if parallel is None or parallel.position is None:
        raise RuntimeError("a Parallel state is evaluated within an attempt")
    plans = parallel.position.take_resumed_branches() or (None,) * len(component.programs)
    places = [_place(env, plan, given) for plan in plans]
    parallel.position.branches = places
    running = [
        (branch, frame)
        for branch, frame in zip(component.programs, places, strict=True)
        if isinstance(frame, TwinEnvironment)
    ]
    failed = _run_all(running)
    for _, frame in running:
        env.close_frame(frame)
    if failed is not None:
        raise _failure(env, failed)
    if env.is_running():
        env.stack.append([_output(place) for place in places])


def _place(env: TwinEnvironment, plan: Finished | Resumption | None, given: Json) -> Finished | TwinEnvironment:
    if isinstance(plan, Finished):
        return plan
    frame: TwinEnvironment = env.open_inner_frame()
    frame.states.reset(input_value=plan.input if plan else given)
    frame.resumption = plan
    return frame


def _run_all(running: list[tuple[Any, TwinEnvironment]]) -> TwinEnvironment | None:
    """Run every branch to its end; the one that failed first, if any did."""
    changed = threading.Condition()
    ended: list[TwinEnvironment] = []

    def run(branch: Any, frame: TwinEnvironment) -> None:
        try:
            branch.eval(frame)
        finally:
            with changed:
                ended.append(frame)
                changed.notify()

    for branch, frame in running:
        threading.Thread(target=run, args=(branch, frame), name="twin-branch", daemon=True).start()

    def first_failed() -> TwinEnvironment | None:
        return next((frame for frame in ended if isinstance(frame.program_state(), ProgramError)), None)

    with changed:
        changed.wait_for(lambda: len(ended) == len(running) or first_failed() is not None)
        failed = first_failed()
    if failed is not None:
        for _, frame in running:
            frame.set_stop(stop_date=shared.clock.now(), cause=None, error=None)
    return failed


def _failure(env: TwinEnvironment, failed: TwinEnvironment) -> FailureEventException:
    details: ExecutionFailedEventDetails = dict(failed.program_state().error or {})
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=CustomErrorName(error_name=details.get("error")),
            event_type=HistoryEventType.ExecutionFailed,
            event_details=EventDetails(executionFailedEventDetails=details),
        )
    )


def _output(place: Finished | TwinEnvironment) -> Json:
    return place.output if isinstance(place, Finished) else place.states.get_input()


def resumption(env: TwinEnvironment) -> Resumption | None:
    """Where an ended execution, or branch, would go on; None when it had not entered any state."""
    if env.position is None:
        return None
    return Resumption(env.position.state, env.position.input, tuple(_branch_plan(b) for b in env.position.branches))


def _branch_plan(place: Finished | TwinEnvironment) -> Finished | Resumption | None:
    if isinstance(place, Finished):
        return place
    if isinstance(place.program_state(), ProgramEnded):
        return Finished(place.states.get_input())
    return resumption(place)


def why_not_resumable(env: TwinEnvironment) -> str | None:
    """Where an ended execution stands that the twin cannot go on from; None when it can."""
    if env.position is None:
        return None
    if env.position.is_map:
        return f"the twin cannot redrive within the Map state {env.position.state!r}; start a new execution"
    reasons = (why_not_resumable(place) for place in env.position.branches if isinstance(place, TwinEnvironment))
    return next((reason for reason in reasons if reason), None)
