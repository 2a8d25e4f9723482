"""Time as the twin's AWS keeps it: waits can be shortened, the calendar cannot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """How long AWS's waits take on this machine.

    Parameters
    ----------
    scale
        Seconds of AWS per second here: 60 makes a minute a second. It shortens what AWS waits for (retry intervals,
        schedules, Spot notices, state time limits), never the work of functions and jobs.

    Examples
    --------
    >>> Clock(scale=60.0).real(120)
    2.0
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"a clock's scale is a number above 0, not {self.scale}")

    def real(self, aws_seconds: float) -> float:
        """Seconds to wait here for a wait of `aws_seconds` on AWS."""
        return aws_seconds / self.scale

    def now(self) -> datetime:
        """The real time, in UTC."""
        return datetime.now(UTC)
