"""EventBridge Scheduler and scheduled rules: targets are called when their time has come, or when `fire` asks for it.

Time is scaled as every wait is: with a scale of 60 ``rate(2 minutes)`` fires every two seconds, and a daily cron expression
every 24 minutes.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from twin.events import targets
from twin.patches import events as patches
from twin.schedules import expressions, timers

if TYPE_CHECKING:
    from twin.clock import Clock

__all__ = ["fire", "install", "stop"]

_logger = logging.getLogger(__name__)

# How soon a schedule made or changed through the API is seen.
_LOOK_SECONDS = 0.25


class NoSuchSchedule(LookupError):
    """There is no schedule and no scheduled rule of this name."""


@dataclass
class _Due:
    """When a timer is due next: on AWS's calendar, and on this machine's monotonic clock."""

    version: tuple[object, ...]
    at: datetime
    real: float


class Ticker:
    """Fires every timer when it is due, from one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, _Due | None] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="twin-schedules", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                pause = self.tick()
            except Exception:
                # A bad schedule must not end all others.
                _logger.exception("the schedules could not be looked at")
                pause = _LOOK_SECONDS
            self._stopped.wait(pause)

    def tick(self) -> float:
        """Fire what is due; the seconds until the next look."""
        now = time.monotonic()
        pause = _LOOK_SECONDS
        present = {timer.key: timer for timer in timers.every_timer() if timers.is_enabled(timer)}
        self._due = {key: due for key, due in self._due.items() if key in present}
        for key, timer in present.items():
            due = self._due.get(key)
            if key not in self._due or (due is not None and due.version != timer.version):
                due = self._first(timer, now)
            while due is not None and due.real <= now:
                timer.fire(due.at)
                due = self._after(timer, due)
            self._due[key] = due
            if due is not None:
                pause = min(pause, due.real - now)
        return max(0.0, pause)

    def _first(self, timer: timers.Timer, now: float) -> _Due | None:
        moment = self._clock.now()
        if timer.starts is not None and timer.starts > moment:
            first = timer.starts if timer.at_once else timers.timetable(timer).next_after(timer.starts)
        else:
            first = moment if timer.at_once else timers.timetable(timer).next_after(moment)
        return self._scheduled(timer, first, moment, now)

    def _after(self, timer: timers.Timer, due: _Due) -> _Due | None:
        # From the due time, not from now, so that a late tick does not shift every later one.
        return self._scheduled(timer, timers.timetable(timer).next_after(due.at), due.at, due.real)

    def _scheduled(self, timer: timers.Timer, at: datetime | None, moment: datetime, real: float) -> _Due | None:
        if at is None or (timer.ends is not None and at > timer.ends):
            return None
        return _Due(timer.version, at, real + self._clock.real(max(timedelta(0), at - moment).total_seconds()))


_running: list[Ticker] = []


def install(_options: object, clock: Clock) -> None:
    """Fire schedules from here on, with `clock` scaling the time between."""
    stop()
    patches.check_schedules(expressions.parse, targets.check)
    patches.check_scheduled_rules(expressions.parse_for_rule)
    ticker = Ticker(clock)
    ticker.start()
    _running.append(ticker)


def stop() -> None:
    """Fire nothing any more."""
    while _running:
        _running.pop().stop()


def fire(name: str) -> None:
    """Fire a schedule or a scheduled rule now, whether it is enabled or not.

    Raises
    ------
    NoSuchSchedule
        Naming those there are.
    """
    timers_now = list(timers.every_timer())
    named = [timer for timer in timers_now if timer.name == name]
    if not named:
        raise NoSuchSchedule(f"there is no schedule {name!r}; there are {sorted(timer.name for timer in timers_now)}")
    for timer in named:
        timer.fire(datetime.now(UTC))
