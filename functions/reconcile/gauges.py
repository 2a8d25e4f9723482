"""What a look over everything measures, for the alarms and the dashboard: how things stand, and nothing that a look did."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spotline.metrics import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from mypy_boto3_stepfunctions import SFNClient

    from spotline.strays import OurJob

_HOUR = timedelta(hours=1)
_NEWEST = 100


def waiting(jobs: Iterable[OurJob], queues: Mapping[str, str], now: datetime) -> Iterator[Measurement]:
    """`RunnableAgeSeconds` of each queue: how long its oldest job that waits for room has done so, 0 when none does.

    Batch keeps no such metric, and says of a job that it is blocked only while it is at its queue's head.

    Parameters
    ----------
    jobs
        Our unfinished jobs.
    queues
        The name to chart each queue under, by its ARN.
    """
    oldest = dict.fromkeys(queues.values(), timedelta(0))
    for job in jobs:
        if job.queue in queues and job.waiting_since is not None:
            name = queues[job.queue]
            oldest[name] = max(oldest[name], now - job.waiting_since)
    for name, age in oldest.items():
        yield Measurement("RunnableAgeSeconds", age.total_seconds(), "Seconds", {"Queue": name})


def hours(spent: timedelta, per_day: int) -> Iterator[Measurement]:
    """On-Demand gang hours of the day (UTC), those reserved by gangs that run included, and the day's limit."""
    yield Measurement("OnDemandGangHoursToday", spent / _HOUR, "None")
    yield Measurement("OnDemandGangHoursLimit", per_day, "None")


def successes(client: SFNClient, state_machine_arn: str, now: datetime) -> Iterator[Measurement]:
    """`RunsSucceededToday`: runs that succeeded since midnight (UTC), of the hundred that started last."""
    newest = client.list_executions(stateMachineArn=state_machine_arn, statusFilter="SUCCEEDED", maxResults=_NEWEST)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    yield Measurement("RunsSucceededToday", sum(run["stopDate"] >= midnight for run in newest["executions"]))
