"""The work of one invocation: go through what has landed, start what is missing, stop in time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spotline.isolation import isolate
from spotline.layout import parse_data_key
from spotline.runs import MarketChoice, Priority, run_id
from spotline.starting import Refused, run_of, start_run
from sweeping.attempts import Left, decide
from sweeping.listing import Passed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_stepfunctions import SFNClient

    from spotline.runs import Run
    from spotline.starting import Shares
    from sweeping.attempts import History
    from sweeping.listing import Landed
    from sweeping.requests import Backfill


OUTAGE = 10
"""So many objects in a row that fail are an outage of AWS, or a permission that is missing: the others would fail alike."""


class Outage(Exception):
    """Nothing can be started at the moment. Lambda tries again, and so does the next sweep."""


@dataclass
class Tally:
    """What came of an invocation. `seen` counts the objects looked at; `refused` are keys that no run can be made of.

    `stopped_after` is the key after which it stopped because its time ran out, and `stopped_in` the group of days that a sweep was in;
    `stopped_after` is None when it came to the end. `failed` names what could
    not be done, each with the reason.
    """

    seen: int = 0
    started: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    stopped_after: str | None = None
    stopped_in: str = ""
    failed: list[str] = field(default_factory=list)

    def leave(self, why: Left) -> None:
        """Count a version that is left as it is."""
        self.left[why.value] = self.left.get(why.value, 0) + 1

    def to_answer(self) -> dict[str, Any]:
        """The tally for whoever invoked the function."""
        return {
            "seen": self.seen,
            "started": self.started,
            "left": self.left,
            "refused": self.refused,
            "continues": self.stopped_after is not None,
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Starter:
    """Starts runs of this stack's state machine."""

    steps: SFNClient
    state_machine_arn: str
    max_object_bytes: int
    shares: Shares | None = None

    def run(self, landed: Landed) -> Run:
        """The run of an object version, or `Refused`."""
        return run_of(landed.source, self.max_object_bytes, self.shares)

    def start(self, run: Run) -> bool:
        """Start it; False when somebody else has."""
        return start_run(self.steps, self.state_machine_arn, run)


def each(
    landed: Iterable[Landed | Passed], tally: Tally, time_is_up: Callable[[], bool], act: Callable[[Landed], None]
) -> None:
    """Do `act` for one after the other until there are no more, or the time is up; the first is done in any case.

    One that fails is noted, and the others are done all the same; `OUTAGE` of them in a row are no fault of theirs, and end it.
    """
    in_a_row = 0
    for one in landed:
        if tally.seen and time_is_up():
            return
        if isinstance(one, Passed):
            tally.seen += one.objects
            tally.stopped_after, tally.stopped_in = one.key, one.days
            continue
        failed = len(tally.failed)
        with isolate(one.source.key, tally.failed):
            try:
                act(one)
            except Refused as refusal:
                tally.refused.append(str(refusal))
        in_a_row = in_a_row + 1 if len(tally.failed) > failed else 0
        if in_a_row == OUTAGE:
            raise Outage(f"{OUTAGE} objects in a row failed, the last one by: {tally.failed[-1]}")
        tally.seen += 1
        tally.stopped_after, tally.stopped_in = one.source.key, one.days
    tally.stopped_after = None


def find_missed(starter: Starter, tally: Tally) -> Callable[[Landed], None]:
    """What a sweep does with what it finds: start the run of everything that landed lately.

    Almost all of them run already, and starting one again is no start: nothing is asked first.
    """

    def act(landed: Landed) -> None:
        run = starter.run(landed)
        if starter.start(run):
            tally.started.append(run.run_id)
        else:
            tally.leave(Left.RAN)

    return act


def fill(starter: Starter, history: History, backfill: Backfill, tally: Tally) -> Callable[[Landed], None]:
    """What a backfill does with what it finds: start what has never run or, by force, run it again."""

    def act(landed: Landed) -> None:
        first = starter.run(landed)
        attempts = history.of(first.run_id, reruns=backfill.force)
        decided = decide(attempts, force=backfill.force, request=backfill.request)
        if isinstance(decided, Left):
            tally.leave(decided)
            return
        run = replace(
            first,
            run_id=run_id(landed.source, parse_data_key(landed.source.key), rerun=decided),
            market=MarketChoice.SPOT_ONLY,
            priority=Priority.BACKFILL,
            request=backfill.request if backfill.force else "",
        )
        if starter.start(run):
            tally.started.append(run.run_id)
        else:
            tally.leave(Left.RUNNING)

    return act
