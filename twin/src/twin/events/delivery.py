"""Delivery of one input to one target: attempts, back-off, dead-letter queue."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twin.credentials import internal_client
from twin.events import permissions, targets
from twin.events.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twin.clock import Clock

Json = Any

_logger = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 600.0


@dataclass(frozen=True)
class RetryPolicy:
    """How long a delivery is tried.

    The defaults are EventBridge's and Scheduler's alike: 24 hours and 185 attempts ("RetryPolicy" in both API
    references).
    """

    maximum_attempts: int = 185
    maximum_age_seconds: int = 86_400

    @classmethod
    def from_target(cls, target: Mapping[str, Json]) -> RetryPolicy:
        """The policy of a target, each value defaulted on its own."""
        given = target.get("RetryPolicy") or {}
        return cls(
            maximum_attempts=int(given.get("MaximumRetryAttempts", cls.maximum_attempts)),
            maximum_age_seconds=int(given.get("MaximumEventAgeInSeconds", cls.maximum_age_seconds)),
        )


@dataclass(frozen=True)
class Origin:
    """The rule or schedule that a delivery comes from.

    Parameters
    ----------
    service
        ``events.amazonaws.com`` or ``scheduler.amazonaws.com``, as policies name it.
    arn
        Of the rule or schedule.
    attributes
        Message attributes that describe it in a dead-letter queue.
    """

    service: str
    arn: str
    attributes: Mapping[str, str]

    @classmethod
    def from_rule(cls, arn: str) -> Origin:
        """A rule of EventBridge."""
        return cls("events.amazonaws.com", arn, {"RULE_ARN": arn})


@dataclass
class Delivery:
    """One input on its way to one target.

    Parameters
    ----------
    target
        As PutTargets or CreateSchedule takes it.
    payload
        The text that the target is given.
    letter
        What goes to the dead-letter queue when it cannot be given: the event itself for a rule, the input for a
        schedule.
    origin
        Where it comes from.
    """

    target: Mapping[str, Json]
    payload: str
    letter: str
    origin: Origin
    policy: RetryPolicy = field(init=False)
    born: float = field(init=False, default_factory=time.monotonic)
    retries: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.policy = RetryPolicy.from_target(self.target)


def backoff_seconds(retries: int, jitter: float) -> float:
    """Seconds to wait, as AWS counts them, before retry number `retries` + 1.

    EventBridge says "exponential back off and jitter" and no numbers; these reach ten minutes with the tenth retry.

    Parameters
    ----------
    jitter
        Between 0 and 1; takes away up to half of the wait.
    """
    longest = min(_FIRST_BACKOFF_SECONDS * 2.0**retries, _LONGEST_BACKOFF_SECONDS)
    return longest * (1 - jitter / 2)


class Deliverer:
    """Gives inputs to targets on a small pool of threads, again and again as the targets' retry policies say."""

    def __init__(
        self,
        clock: Clock,
        *,
        workers: int = 4,
        authorise: Callable[[Mapping[str, Json], str, str], None] = permissions.anybody,
        send: Callable[[Mapping[str, Json], str], None] = targets.send,
    ) -> None:
        self._clock = clock
        self._authorise = authorise
        self._send = send
        self._pool = Pool(workers, "twin-events")

    def deliver(self, delivery: Delivery, delay: float = 0.0) -> None:
        """Start delivering in `delay` real seconds; returns at once."""
        self._pool.submit(lambda: self._attempt(delivery), delay)

    def refuse(self, delivery: Delivery, failure: targets.Undeliverable) -> None:
        """Give a delivery up without an attempt; returns at once."""
        self._pool.submit(lambda: self._give_up(delivery, failure, exhausted=None))

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every delivery has arrived or been given up; False after `timeout` seconds."""
        return self._pool.wait_idle(timeout)

    def stop(self) -> None:
        """Drop what waits and end the threads."""
        self._pool.stop()

    def _attempt(self, delivery: Delivery) -> None:
        try:
            self._authorise(delivery.target, delivery.origin.service, delivery.origin.arn)
            self._send(delivery.target, delivery.payload)
        except targets.Undeliverable as failure:
            self._after(delivery, failure)

    def _after(self, delivery: Delivery, failure: targets.Undeliverable) -> None:
        if not failure.retriable:
            self._give_up(delivery, failure, exhausted=None)
            return
        jitter = random.random()  # noqa: S311  no secret
        wait = self._clock.real(backoff_seconds(delivery.retries, jitter))
        age_then = time.monotonic() - delivery.born + wait
        if delivery.retries >= delivery.policy.maximum_attempts:
            self._give_up(delivery, failure, exhausted="MaximumRetryAttempts")
        elif age_then > self._clock.real(delivery.policy.maximum_age_seconds):
            self._give_up(delivery, failure, exhausted="MaximumEventAgeInSeconds")
        else:
            delivery.retries += 1
            self.deliver(delivery, wait)

    def _give_up(self, delivery: Delivery, failure: targets.Undeliverable, exhausted: str | None) -> None:
        queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            _logger.warning("%s: an event was dropped: %s", delivery.origin.arn, failure)
            return
        if not delivery.target.get("RoleArn"):
            try:
                self._authorise({"Arn": queue}, delivery.origin.service, delivery.origin.arn)
            except targets.Undeliverable as refusal:
                _logger.warning(
                    "%s: an event was dropped: %s, and so was its letter: %s", delivery.origin.arn, failure, refusal
                )
                return
        attributes = {
            **delivery.origin.attributes,
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
            "RETRY_ATTEMPTS": str(delivery.retries),
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        internal_client("sqs").send_message(
            QueueUrl=targets.queue_url(queue),
            MessageBody=delivery.letter,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
            },
        )
