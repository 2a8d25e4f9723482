"""The timeline of a run: what it waited for, what ran where and for how long, how each part ended, and what that cost."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spotline.documents import DocumentError
from spotline.strays import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_s3 import S3Client

    from spotline.cost_settings import CostSettings
    from spotline.usage import Attempt, JobUse

logger = logging.getLogger(__name__)

SUCCEEDED = "SUCCEEDED"
RECLAIMED = "RECLAIMED"
"""The outcome of an attempt on a host that EC2 reclaimed, and that Batch repeated."""


@dataclass(frozen=True)
class Leg:
    """One part of a run: a gang, or one attempt of another job. Times are seconds since the run's first job was submitted.

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


def read_timeline_and_cost(
    batch: BatchClient, s3: S3Client, settings: CostSettings, run_id: str, gangs: Sequence[Mapping[str, Any]]
) -> tuple[list[Leg], dict[str, Any] | None]:
    """The run's timeline, and what it cost so far.

    A run's results are worth more than either: what cannot be read is left out, and a log line gives the reason.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  jobs on local paths never pay for the import

    from spotline.costing import estimate_run, uses_of_run  # noqa: PLC0415

    outcomes = {gang["job_id"]: gang["outcome"] for gang in gangs if gang.get("job_id") and gang.get("outcome")}
    try:
        uses = uses_of_run(batch, settings, run_id, outcomes)
    except (ClientError, BotoCoreError) as error:
        logger.warning("the run's jobs cannot be described, so it has neither timeline nor cost: %s", error)
        return build_timeline([], gangs), None
    try:
        cost = estimate_run(s3, settings, run_id, uses, datetime.now(UTC))
    except (DocumentError, ClientError, BotoCoreError) as error:
        logger.warning("no cost can be estimated: %s", error)
        return build_timeline(uses, gangs), None
    return build_timeline(uses, gangs), cost.to_item()


def build_timeline(uses: Sequence[JobUse], gangs: Sequence[Mapping[str, Any]]) -> list[Leg]:
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
    legs = [leg for use in uses for leg in _build_legs(use, records.get(use.generation, {}))]
    with_job = {use.generation for use in uses}
    legs += [_build_leg_without_job(record) for generation, record in records.items() if generation not in with_job]
    if not legs:
        return []
    origin = min(leg.waited_from for leg in legs)
    return sorted((_shift(leg, origin) for leg in legs), key=lambda leg: (leg.waited_from, leg.attempt))


def _build_legs(use: JobUse, record: Mapping[str, Any]) -> Iterator[Leg]:
    if use.stage is Stage.ANALYSIS:
        yield _build_gang_leg(use, record)
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


def _build_gang_leg(use: JobUse, record: Mapping[str, Any]) -> Leg:
    firsts = [member[0].started for member in use.members if member]
    ends = [_read_end(member) for member in use.members if member]
    complete = len(firsts) == len(use.members) > 0
    over = [end for end in ends if end is not None]
    return Leg(
        stage=use.stage.value,
        generation=use.generation,
        attempt=1,
        market=record.get("market") or next((attempt.market.value for attempt in use.attempts), None),
        job_id=use.job_id,
        waited_from=_read_wait_start(record) or use.submitted,
        started=max(firsts) if complete else None,
        ended=(max(over) if over else _parse_moment(record.get("closed_at"))) if len(over) == len(ends) else None,
        outcome=record.get("outcome") or use.outcome,
    )


def _read_end(member: Iterable[Attempt]) -> float | None:
    return list(member)[-1].ended


def _build_leg_without_job(record: Mapping[str, Any]) -> Leg:
    """A gang that was refused, or whose job Batch no longer lists."""
    return Leg(
        stage=Stage.ANALYSIS.value,
        generation=int(record["generation"]),
        attempt=1,
        market=record["market"],
        job_id=record.get("job_id"),
        waited_from=_read_wait_start(record) or 0.0,
        started=None,
        ended=_parse_moment(record.get("closed_at")),
        outcome=record.get("outcome"),
    )


def _read_wait_start(record: Mapping[str, Any]) -> float | None:
    """Since when a gang waited: since its Task asked, or since an older generation of it gave its slot away."""
    return _parse_moment(record.get("requeued_at") or record.get("launched_at"))


def _parse_moment(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _shift(leg: Leg, origin: float) -> Leg:
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
