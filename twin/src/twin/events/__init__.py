"""EventBridge's buses: events reach the targets of the rules that match them, at least once and in no certain order."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from moto.events.models import events_backends

from twin.credentials import account, region
from twin.events import clients, inputs, patterns, permissions, targets
from twin.events.delivery import Deliverer, Delivery, Origin
from twin.events.faults import Faults
from twin.patches import events as events_patches
from twin.patches import s3 as s3_patches

if TYPE_CHECKING:
    from moto.events.models import Rule

    from twin.clock import Clock

__all__ = ["EventOptions", "deliver", "emit", "install", "listen", "publish", "stop", "unlisten", "wait_idle"]

Json = Any

Listener = Callable[[str, str, Mapping[str, Json]], None]


@dataclass
class _Bus:
    """What the running twin delivers with; without a deliverer nothing is delivered."""

    deliverer: Deliverer | None = None
    faults: Faults = field(default_factory=Faults)
    listeners: list[Listener] = field(default_factory=list)


_bus = _Bus()


class EventOptions(Protocol):
    """The options of a twin that concern events."""

    @property
    def enforce_iam(self) -> bool:
        """Whether a delivery needs the permission that it needs on AWS."""
        ...

    @property
    def duplicate_events(self) -> float:
        """Probability that a delivery is repeated."""
        ...

    @property
    def drop_events(self) -> float:
        """Probability that a delivery is lost."""
        ...

    @property
    def delay_events(self) -> float:
        """Longest delay of a delivery, in seconds of AWS."""
        ...

    @property
    def seed(self) -> int:
        """Makes the faults repeatable."""
        ...


def install(options: EventOptions, clock: Clock) -> None:
    """Make moto's event buses and bucket notifications deliver as EventBridge does.

    Parameters
    ----------
    options
        `duplicate_events` and `drop_events` are probabilities, `delay_events` is the longest delay in AWS seconds, `seed`
        makes them repeatable.
    clock
        Scales back-off and the delay.
    """
    stop()
    clients.forget()
    _bus.faults = Faults(options.duplicate_events, options.drop_events, clock.real(options.delay_events), options.seed)
    authorise = permissions.authorise if options.enforce_iam else permissions.anybody
    _bus.deliverer = Deliverer(clock, authorise=authorise)
    events_patches.check_patterns(patterns.check)
    events_patches.check_targets(targets.check)
    events_patches.deliver_with(_to_rule)
    s3_patches.announce_objects(emit)
    s3_patches.announce_multipart_uploads_once()


def stop() -> None:
    """Drop what is not delivered yet and end the threads."""
    if _bus.deliverer is not None:
        _bus.deliverer.stop()
        _bus.deliverer = None
    clients.forget()


def wait_idle(timeout: float) -> bool:
    """Wait until every event so far has been delivered or given up; False after `timeout` seconds."""
    return _bus.deliverer is None or _bus.deliverer.wait_idle(timeout)


def emit(source: str, detail_type: str, resources: list[str], detail: Mapping[str, Json]) -> None:
    """Put an event of an AWS service on the default bus.

    Returns at once: the targets of matching rules get it from other threads, retried and, when it cannot be delivered,
    put into their dead-letter queues. Without a running twin nobody listens, and the event is gone.

    Parameters
    ----------
    source
        The service, such as ``aws.batch``.
    detail_type
        Such as ``Batch Job State Change``.
    resources
        ARNs the event is about.
    detail
        JSON value, shaped as the service shapes it.
    """
    for listener in tuple(_bus.listeners):
        listener(source, detail_type, detail)
    publish(
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": account(),
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region(),
            "resources": resources,
            "detail": detail,
        }
    )


def listen(listener: Listener) -> None:
    """Call `listener` with source, detail type and detail of every event of an AWS service, at once and without faults.

    This is how one service of AWS hears of another's changes, as Step Functions hears of Batch's.
    """
    if listener not in _bus.listeners:
        _bus.listeners.append(listener)


def unlisten(listener: Listener) -> None:
    """Stop calling `listener`."""
    if listener in _bus.listeners:
        _bus.listeners.remove(listener)


def publish(event: Mapping[str, Json], bus: str = "default") -> None:
    """Deliver a complete event to the targets of the matching rules of `bus`."""
    if _bus.deliverer is None:
        return
    # One copy as JSON: what the caller changes afterwards must not change what is delivered.
    copy = json.loads(json.dumps(event, default=str))
    for rule in list(events_backends[account()][region()].event_buses[bus].rules.values()):
        _to_rule(rule, copy)


def deliver(delivery: Delivery) -> None:
    """Deliver an input that comes from no rule, such as a schedule's."""
    if _bus.deliverer is not None:
        _bus.deliverer.deliver(delivery)


def _to_rule(rule: Rule, event: Mapping[str, Json]) -> None:
    """Deliver `event` to the targets of `rule` if it matches; a rule that is a schedule has no pattern and never does."""
    pattern = rule.event_pattern.get_pattern()
    if rule.state != "ENABLED" or not pattern or not patterns.matches(pattern, event):
        return
    to_targets(rule, event)


def to_targets(rule: Rule, event: Mapping[str, Json]) -> None:
    """Deliver `event` to the targets of `rule`, whatever its pattern says."""
    if _bus.deliverer is None:
        return
    letter = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    for target in list(rule.targets):
        origin = Origin.from_rule(rule.arn)
        try:
            payload = inputs.payload(target, event, rule.name, rule.arn)
        except inputs.InvalidInput as error:
            failure = targets.Undeliverable("INVALID_PARAMETER", str(error), retriable=False)
            _bus.deliverer.refuse(Delivery(target, letter, letter, origin), failure)
            continue
        for delay in _bus.faults.delays():
            _bus.deliverer.deliver(Delivery(target, payload, letter, origin), delay)
