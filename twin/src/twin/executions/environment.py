"""What moto's interpreter keeps of one execution, with what a redrive and a prompt stop need besides."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager
from moto.stepfunctions.parser.asl.eval.program_state import ProgramRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twin.executions.tokens import Callback

Json = Any

_TERMINAL = {
    HistoryEventType.ExecutionSucceeded,
    HistoryEventType.ExecutionFailed,
    HistoryEventType.ExecutionAborted,
    HistoryEventType.ExecutionTimedOut,
}


@dataclass(frozen=True)
class Finished:
    """A branch that needs no redrive."""

    output: Json


@dataclass(frozen=True)
class Resumption:
    """Where an execution, or a branch of it, goes on after a redrive.

    Parameters
    ----------
    state
        The state that was entered and not left.
    input
        Its input.
    branches
        Of a Parallel state that had started its branches: what to do with each, in order; None is one to start.
    """

    state: str
    input: Json
    branches: tuple[Finished | Resumption | None, ...] = ()


@dataclass
class Position:
    """The state entered last, its input and, within a Parallel state, its running branches or their results."""

    state: str
    input: Json
    is_map: bool = False
    branches: list[Finished | TwinEnvironment] = field(default_factory=list)
    resumed_branches: tuple[Finished | Resumption | None, ...] = ()

    def take_resumed_branches(self) -> tuple[Finished | Resumption | None, ...]:
        """What a redrive makes of the branches, once: a retry of the Parallel state runs them all."""
        taken, self.resumed_branches = self.resumed_branches, ()
        return taken


class History(EventManager):
    """An event history that a late thread cannot write to once the execution has ended."""

    def __init__(self) -> None:
        super().__init__(cloud_watch_logging_session=None)
        self._ended = False
        self._already_entered: list[EventHistoryContext] = []
        self._abandoned: list[EventHistoryContext] = []

    def add_event(self, context: EventHistoryContext, event_type: HistoryEventType, *args: Any, **kwargs: Any) -> int:
        """Write an event of something that still counts; returns the id of the context's last event."""
        if self._ended or context in self._abandoned or self._entered_before(context, event_type):
            return int(context.last_published_event_id)
        self._ended = event_type in _TERMINAL
        return int(super().add_event(context, event_type, *args, **kwargs))

    def skip_entry(self, context: EventHistoryContext) -> None:
        """The next state of `context` was entered before the redrive: its entry stands in the history already."""
        self._already_entered.append(context)

    def abandon(self, context: EventHistoryContext) -> None:
        """Write no more events of `context`: its attempt was given up, whatever comes of it yet."""
        self._abandoned.append(context)

    def reopened(self) -> History:
        """A history that goes on after the last event of this one, which stays closed to threads of the time before."""
        continued = History()
        continued._history_event_list.extend(self.get_event_history())
        continued._event_id_gen._next_id = len(continued._history_event_list) + 1  # noqa: SLF001  moto's own
        return continued

    def _entered_before(self, context: EventHistoryContext, event_type: HistoryEventType) -> bool:
        if not event_type.value.endswith("StateEntered") or context not in self._already_entered:
            return False
        self._already_entered.remove(context)
        return True


class TwinEnvironment(Environment):
    """An interpreter environment that tells who waits in it that it has ended, and remembers where it stands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.event_manager = History()
        self.parent: TwinEnvironment | None = None
        self.position: Position | None = None
        self.resumption: Resumption | None = None
        self.callback: Callback | None = None
        self._on_end: list[Callable[[], None]] = []

    @classmethod
    def as_frame_of(cls, env: Environment, event_history_frame_cache: EventHistoryContext | None = None) -> Environment:
        """A frame that shares this environment's variables."""
        # moto names its own class here, so that frames would be none of ours.
        return cls.as_inner_frame_of(env, env.variable_store, event_history_frame_cache)

    @classmethod
    def as_inner_frame_of(cls, env: Environment, *args: Any, **kwargs: Any) -> Environment:
        """A frame with variables of its own, which knows whose frame it is."""
        frame = super().as_inner_frame_of(env, *args, **kwargs)
        frame.parent = env
        return frame

    def go_on(self, state: str) -> None:
        """Make `state` the next one, unless a stop has come before."""
        with self._state_mutex:
            if self._program_state is None or isinstance(self._program_state, ProgramRunning):
                self.next_state_name = state

    @contextlib.contextmanager
    def waking(self, event: threading.Event) -> Iterator[None]:
        """Within the block, set `event` as soon as this environment stops running; at once if it does not run."""
        with self._state_mutex:
            self._on_end.append(event.set)
            if not isinstance(self._program_state, ProgramRunning):
                event.set()
        try:
            yield
        finally:
            with self._state_mutex:
                if event.set in self._on_end:
                    self._on_end.remove(event.set)

    def wait(self, seconds: float) -> None:
        """Wait `seconds`, or until this environment stops running."""
        ended = threading.Event()
        with self.waking(ended):
            ended.wait(seconds)

    def set_ended(self) -> None:
        """End with success."""
        super().set_ended()
        self._tell_end()

    def set_error(self, *args: Any, **kwargs: Any) -> None:
        """End with an error, unless ended already: what a stop interrupts may fail, and the execution is stopped still."""
        with self._state_mutex:
            if isinstance(self._program_state, ProgramRunning):
                super().set_error(*args, **kwargs)
        self._tell_end()

    def set_timed_out(self) -> None:
        """End because the time is over, unless ended already."""
        with self._state_mutex:
            if isinstance(self._program_state, ProgramRunning):
                super().set_timed_out()
        self._tell_end()

    def set_stop(self, *args: Any, **kwargs: Any) -> None:
        """End because somebody stopped the execution, unless ended already."""
        super().set_stop(*args, **kwargs)
        self._tell_end()

    def take_resumption(self) -> Resumption | None:
        """What to resume with, once: a retry of the same state begins afresh."""
        resumption, self.resumption = self.resumption, None
        return resumption

    def _tell_end(self) -> None:
        with self._state_mutex:
            callbacks = list(self._on_end)
        for callback in callbacks:
            callback()
