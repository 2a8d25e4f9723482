"""How a run came about: what it waited for, what ran where and for how long, and how each part ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spotline.strays import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spotline.usage import Attempt, JobUse

SUCCEEDED = "SUCCEEDED"
RECLAIMED = "RECLAIMED"
"""How an attempt ended whose host was taken, and that Batch repeated by itself."""


@dataclass(frozen=True)
class Leg:
    """One part of a run's way: a gang, or one attempt of another job. Times are seconds since the run's first job was submitted.

    It waited from `waited_from` until `started`, which is when the last member of a gang started, and ran until `ended`; either is
    None when that did not happen (yet). `market` is None for what never ran and is no gang. `outcome` is `SUCCEEDED`, `RECLAIMED`,
    a typed error, `FAILED`, or None while the end has not been seen.
    """

    stage: str
    generation: int
    attempt: int
    market: str | None
    job_id: str | None
    waited_from: float
    started: float | None
    ended: float | None
    outcome: str | None


def timeline(uses: Sequence[JobUse], gangs: Sequence[Mapping[str, Any]]) -> list[Leg]:
    """The legs of a run, in the order in which they began to wait.

    Parameters
    ----------
    uses
        What the run's jobs used.
    gangs
        The records of its gangs: a gang waits from its launch on, which is before its job is submitted, and one that was refused
        has no job at all.
    """
    records = {int(gang["generation"]): gang for gang in gangs}
    legs = [leg for use in uses for leg in _legs(use, records.get(use.generation, {}))]
    with_job = {use.generation for use in uses}
    legs += [_without_job(record) for generation, record in records.items() if generation not in with_job]
    if not legs:
        return []
    origin = min(leg.waited_from for leg in legs)
    return sorted((_since(leg, origin) for leg in legs), key=lambda leg: (leg.waited_from, leg.attempt))


def _legs(use: JobUse, record: Mapping[str, Any]) -> Iterator[Leg]:
    if use.stage is Stage.ANALYSIS:
        yield _gang(use, record)
        return
    attempts = list(use.attempts)
    waited_from = use.submitted
    for number, attempt in enumerate(attempts, start=1):
        last = number == len(attempts)
        outcome = RECLAIMED if attempt.reclaimed else use.outcome if last else "FAILED"
        yield Leg(
            stage=use.stage.value,
            generation=0,
            attempt=number,
            market=attempt.market.value,
            job_id=use.job_id,
            waited_from=waited_from,
            started=attempt.started,
            ended=attempt.ended,
            outcome=outcome,
        )
        waited_from = attempt.ended or waited_from
    if not attempts:
        yield Leg(use.stage.value, 0, 1, None, use.job_id, use.submitted, None, None, use.outcome)


def _gang(use: JobUse, record: Mapping[str, Any]) -> Leg:
    firsts = [member[0].started for member in use.members if member]
    ends = [_end(member) for member in use.members if member]
    complete = len(firsts) == len(use.members) > 0
    over = [end for end in ends if end is not None]
    return Leg(
        stage=use.stage.value,
        generation=use.generation,
        attempt=1,
        market=record.get("market") or next((attempt.market.value for attempt in use.attempts), None),
        job_id=use.job_id,
        waited_from=_waited_from(record) or use.submitted,
        started=max(firsts) if complete else None,
        ended=(max(over) if over else _moment(record.get("closed_at"))) if len(over) == len(ends) else None,
        outcome=record.get("outcome") or use.outcome,
    )


def _end(member: Iterable[Attempt]) -> float | None:
    return list(member)[-1].ended


def _without_job(record: Mapping[str, Any]) -> Leg:
    """A gang that was refused, or whose job Batch no longer knows."""
    return Leg(
        stage=Stage.ANALYSIS.value,
        generation=int(record["generation"]),
        attempt=1,
        market=record["market"],
        job_id=record.get("job_id"),
        waited_from=_waited_from(record) or 0.0,
        started=None,
        ended=_moment(record.get("closed_at")),
        outcome=record.get("outcome"),
    )


def _waited_from(record: Mapping[str, Any]) -> float | None:
    """Since when a gang waited: since its Task asked, or since an older generation of it gave its slot away."""
    return _moment(record.get("requeued_at") or record.get("launched_at"))


def _moment(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _since(leg: Leg, origin: float) -> Leg:
    def since(moment: float | None) -> float | None:
        return None if moment is None else round(moment - origin, 3)

    return Leg(
        leg.stage,
        leg.generation,
        leg.attempt,
        leg.market,
        leg.job_id,
        round(leg.waited_from - origin, 3),
        since(leg.started),
        since(leg.ended),
        leg.outcome,
    )
