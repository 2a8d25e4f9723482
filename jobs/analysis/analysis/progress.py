"""When a worker is frozen, and when it is stalled: pure rules over heartbeats, progress and a clock.

Every worker reports three things: that its process runs (a heartbeat, from a thread of its own), how much processor time it has
used (in the heartbeat), and that its work goes on (a batch or a round is done). A worker that sends nothing is frozen. One that
sends heartbeats without progress and without using the processor is stalled. What follows depends on the phase: where each works
for itself, a stalled worker ends the gang; where all work together it may wait in a collective for a slow peer, so the gang ends
only when *every* worker is stalled.
"""

from dataclasses import dataclass

from analysis.protocol import Phase
from analysis.settings import Settings

# A thread that sends a heartbeat a second uses about a hundredth of this; a worker that computes uses a hundred times as much.
WORKING_SHARE = 0.01

TOGETHER = frozenset({Phase.JOINING, Phase.SKETCHING, Phase.TRAINING, Phase.PUBLISHING})


def compute_progress_timeout(phase: Phase, slowest_step: float, settings: Settings) -> float:
    """How long a worker may go without progress in this phase, in seconds; `slowest_step` is its slowest batch or round so far."""
    floor = {
        Phase.STARTING: settings.gang_forming_seconds,
        Phase.JOINING: settings.gang_joining_seconds,
        Phase.LOADING: settings.gang_loading_seconds,
        Phase.SKETCHING: settings.gang_sketching_seconds,
        Phase.TRAINING: settings.gang_stuck_seconds,
        Phase.SCORING: settings.gang_scoring_seconds,
        Phase.PUBLISHING: settings.gang_publishing_seconds,
    }[phase]
    return max(floor, settings.gang_stuck_factor * slowest_step)


@dataclass
class WorkerProgress:
    """The progress of one worker. All times are seconds of one monotonic clock."""

    settings: Settings
    now: float
    phase: Phase = Phase.STARTING

    def __post_init__(self) -> None:
        self._last_message = self._last_step = self._last_progress = self._measured = self.now
        self._slowest_step = 0.0
        self._cpu_seconds = 0.0

    def on_message(self, now: float) -> None:
        """Note that the worker's process runs."""
        self._last_message = now

    def on_phase(self, phase: Phase, now: float) -> None:
        """Note that a new phase begins. That is progress, and the steps of this phase take another time than those before."""
        self.phase = phase
        self._slowest_step = 0.0
        self._last_step = self._last_progress = self._last_message = now

    def on_step(self, now: float) -> None:
        """Note that a batch or a round is done."""
        self._slowest_step = max(self._slowest_step, now - self._last_step)
        self._last_step = self._last_progress = self._last_message = now

    def on_heartbeat(self, cpu_seconds: float, now: float) -> None:
        """Note how much processor time the worker has used since its start: it distinguishes a slow worker from a stalled one."""
        if cpu_seconds - self._cpu_seconds >= WORKING_SHARE * (now - self._measured):
            self._last_progress = now
        self._cpu_seconds, self._measured, self._last_message = cpu_seconds, now, now

    def count_idle_seconds(self, now: float) -> float:
        """Seconds since the last sign of progress."""
        return now - self._last_progress

    def count_silent_seconds(self, now: float) -> float:
        """Seconds since the last message."""
        return now - self._last_message

    def is_frozen(self, now: float) -> bool:
        """Whether the heartbeat timeout is over."""
        return self.count_silent_seconds(now) > self.settings.gang_silence_seconds

    def is_stalled(self, now: float) -> bool:
        """Whether there has been no progress for longer than this phase allows."""
        return self.count_idle_seconds(now) > compute_progress_timeout(self.phase, self._slowest_step, self.settings)

    def is_stalled_alone(self, now: float) -> bool:
        """Whether the worker is stalled in a phase in which it waits for nobody."""
        return self.phase not in TOGETHER and self.is_stalled(now)
