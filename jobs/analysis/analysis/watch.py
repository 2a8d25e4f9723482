"""When a worker is frozen, and when it is stuck: pure rules over beats and a clock.

Every worker says three things: that its process runs (`heard`, once a beat, from a thread of its own), that its work goes on
(`progressed`, a batch or a round done), and how much processor time it has used (`worked`). A worker that says nothing is
frozen. One that talks without progress and without using the processor is stalled, and whether that matters depends on the
phase: where each works for itself it is stuck; where all work together it may be waiting in a collective for a slow peer, so
the gang is stuck only when *every* worker is stalled.
"""

from dataclasses import dataclass
from enum import StrEnum

from analysis.config import Settings

# A thread that beats once a second uses about a hundredth of this; a worker that computes uses a hundred times as much.
WORKING_SHARE = 0.01


class Phase(StrEnum):
    """What a worker is at, in order."""

    STARTING = "starting"
    JOINING = "joining"
    LOADING = "loading"
    SKETCHING = "sketching"
    TRAINING = "training"
    SCORING = "scoring"
    PUBLISHING = "publishing"


TOGETHER = frozenset({Phase.JOINING, Phase.SKETCHING, Phase.TRAINING, Phase.PUBLISHING})


def patience(phase: Phase, slowest_beat: float, settings: Settings) -> float:
    """How long a worker may go without progress in this phase, in seconds."""
    floor = {
        Phase.STARTING: settings.gang_forming_seconds,
        Phase.JOINING: settings.gang_joining_seconds,
        Phase.LOADING: settings.gang_loading_seconds,
        Phase.SKETCHING: settings.gang_sketching_seconds,
        Phase.TRAINING: settings.gang_stuck_seconds,
        Phase.SCORING: settings.gang_scoring_seconds,
        Phase.PUBLISHING: settings.gang_publishing_seconds,
    }[phase]
    return max(floor, settings.gang_stuck_factor * slowest_beat)


@dataclass
class Watch:
    """The progress of one worker. All times are seconds of one monotonic clock."""

    settings: Settings
    now: float
    phase: Phase = Phase.STARTING

    def __post_init__(self) -> None:
        self._heard = self._beat = self._progress = self._measured = self.now
        self._slowest = 0.0
        self._processor = 0.0

    def heard(self, now: float) -> None:
        """The worker's process runs."""
        self._heard = now

    def entered(self, phase: Phase, now: float) -> None:
        """A new phase begins, which is progress, and whose beats are another kind than those before."""
        self.phase = phase
        self._slowest = 0.0
        self._beat = self._progress = self._heard = now

    def progressed(self, now: float) -> None:
        """A batch or a round is done."""
        self._slowest = max(self._slowest, now - self._beat)
        self._beat = self._progress = self._heard = now

    def worked(self, processor_seconds: float, now: float) -> None:
        """The worker has used so much processor time since its start; this distinguishes a healthy slow one from a stuck one."""
        if processor_seconds - self._processor >= WORKING_SHARE * (now - self._measured):
            self._progress = now
        self._processor, self._measured, self._heard = processor_seconds, now, now

    def idle(self, now: float) -> float:
        """Seconds since the last sign of progress."""
        return now - self._progress

    def frozen(self, now: float) -> bool:
        """Whether the process has said nothing for too long."""
        return now - self._heard > self.settings.gang_silence_seconds

    def stalled(self, now: float) -> bool:
        """Whether there has been no progress for longer than this phase's patience."""
        return self.idle(now) > patience(self.phase, self._slowest, self.settings)

    def stuck(self, now: float) -> bool:
        """Whether the worker is stalled in a phase where it waits for nobody."""
        return self.phase not in TOGETHER and self.stalled(now)
