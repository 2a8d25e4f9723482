"""What at-least-once delivery can do to an event, on demand: lose it, repeat it, hold it back."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field


@dataclass
class Faults:
    """Decides, by a seeded die, when each delivery of an event happens.

    Parameters
    ----------
    duplicate, drop
        Probabilities, 0 to 1, that a delivery is repeated or lost.
    delay_seconds
        A delivery is held back by up to this long.
    seed
        The same seed decides the same for the same sequence of deliveries.
    """

    duplicate: float = 0.0
    drop: float = 0.0
    delay_seconds: float = 0.0
    seed: int = 0
    _die: random.Random = field(init=False, repr=False)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name, probability in (("duplicate", self.duplicate), ("drop", self.drop)):
            if not 0 <= probability <= 1:
                raise ValueError(f"the probability to {name} an event is between 0 and 1, not {probability}")
        if self.delay_seconds < 0:
            raise ValueError(f"an event cannot be delayed by {self.delay_seconds} seconds")
        self._die = random.Random(self.seed)  # noqa: S311  no secret

    def delays(self) -> list[float]:
        """Seconds after which to deliver, one for each delivery: none is a loss, two are a duplicate."""
        with self._lock:
            times = 0 if self._die.random() < self.drop else 1 + (self._die.random() < self.duplicate)
            return [self._die.uniform(0, self.delay_seconds) for _ in range(times)]
