"""What Lambda does with an asynchronous event that was not handled.

Source: "How Lambda handles errors and retries with asynchronous invocation" and "Configuring error handling settings for
Lambda asynchronous invocations" (Lambda developer guide).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from moto.awslambda.models import LambdaFunction

    from twin.clock import Clock

_FAILED_DELAYS_SECONDS = (60.0, 120.0)
_LONGEST_THROTTLED_DELAY_SECONDS = 300.0
_LONGEST_AGE_SECONDS = 21_600


@dataclass(frozen=True)
class Attempt:
    """An event in a function's queue.

    Parameters
    ----------
    executions
        How often the function has been run with it.
    throttles
        How often it could not be run, for want of concurrency or of a machine; that does not count as an execution.
    waited_seconds
        How long it has waited for its next attempt, in AWS's time.
    """

    request_id: str
    payload: bytes
    queued_at: datetime
    executions: int = 0
    throttles: int = 0
    waited_seconds: float = 0.0

    def executed(self) -> Attempt:
        """The event after one more execution."""
        return dataclasses.replace(self, executions=self.executions + 1)

    def throttled(self) -> Attempt:
        """The event after one more refusal."""
        return dataclasses.replace(self, throttles=self.throttles + 1)

    def waited(self, aws_seconds: float) -> Attempt:
        """The event after one more wait."""
        return dataclasses.replace(self, waited_seconds=self.waited_seconds + aws_seconds)

    def age_seconds(self, clock: Clock) -> float:
        """How old the event is on AWS: its waits as long as AWS makes them, all else as long as it took here."""
        here = (clock.now() - self.queued_at).total_seconds()
        return here - clock.real(self.waited_seconds) + self.waited_seconds


@dataclass(frozen=True)
class Settings:
    """A function's settings for asynchronous invocation; destinations are ARNs, or empty."""

    max_retries: int = len(_FAILED_DELAYS_SECONDS)
    max_age_seconds: int = _LONGEST_AGE_SECONDS
    on_success: str = ""
    on_failure: str = ""
    dead_letter: str = ""

    @classmethod
    def from_function(cls, function: LambdaFunction) -> Settings:
        """The settings of a function that moto holds."""
        config: dict[str, Any] = function.event_invoke_config[-1].config if function.event_invoke_config else {}
        destinations: dict[str, dict[str, str]] = config.get("DestinationConfig") or {}
        dead_letter: dict[str, str] = getattr(function, "dead_letter_config", None) or {}
        return cls(
            max_retries=int(config.get("MaximumRetryAttempts", len(_FAILED_DELAYS_SECONDS))),
            max_age_seconds=int(config.get("MaximumEventAgeInSeconds", _LONGEST_AGE_SECONDS)),
            on_success=(destinations.get("OnSuccess") or {}).get("Destination", ""),
            on_failure=(destinations.get("OnFailure") or {}).get("Destination", ""),
            dead_letter=dead_letter.get("TargetArn", ""),
        )


def failed_delay_seconds(attempt: Attempt, settings: Settings) -> float | None:
    """AWS seconds until a failed event is tried again; None when it is not."""
    if attempt.executions > settings.max_retries:
        return None
    return _FAILED_DELAYS_SECONDS[attempt.executions - 1]


def throttled_delay_seconds(attempt: Attempt) -> float:
    """AWS seconds until a throttled event is tried again: from 1 second, growing to 5 minutes."""
    # The exponent is bounded because an event can be throttled for hours.
    return min(2.0 ** min(attempt.throttles, 10), _LONGEST_THROTTLED_DELAY_SECONDS)
