"""`sweep`: finds files without a run, days without a file and ends that nobody may have heard of; starts the runs of days gone by.

Invoked by a schedule, and by people: `{"from": "20130101", "to": "20130131", "dataset": "flights", "force": false}` is a backfill.
Whatever is repeated, of one invocation or of all of it, starts nothing twice; what time does not suffice for, the next invocation
goes on with, which this one asks for. One sweep works at a time (`sweeping.lease`): an hour that finds the former one still at work
reports late days and bad endings, and leaves the files to it. What twelve invocations do not suffice for, the next hour goes on with.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from spotline import settings
from spotline.isolation import isolate
from spotline.starting import SHARES_CONFIG, Shares, ask_to_tell
from sweeping.attempts import History
from sweeping.days import Place
from sweeping.endings import bad_endings
from sweeping.lateness import late_days
from sweeping.lease import Lease
from sweeping.listing import newest_versions, recent_versions, stretches
from sweeping.requests import Backfill, Progress, Sweep, read_request
from sweeping.work import Starter, Tally, each, fill, find_missed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

    from sweeping.listing import Landed, Passed

logger = Logger()

CONFIG = Config(retries={"mode": "standard", "max_attempts": 8})

FIRST_TURN = timedelta(seconds=40)
"""How long the first invocation works: the `aws` tool waits a minute for its answer, and then invokes again."""

CLOSING = timedelta(seconds=30)
"""What a later one keeps of its time, for the step under way and to ask for the next."""

MAX_TURNS = 12
"""How many invocations one request may take. Lambda stops a function that invokes itself about 16 times in a row, silently ("Use
Lambda recursive loop detection", Lambda developer guide); before that we stop with an error that says how to go on."""


@dataclass(frozen=True)
class Settings:
    """What template.yaml tells this function."""

    ingest_bucket: str
    results_bucket: str
    runs_table: str
    state_machine_arn: str
    notify_function: str
    reconcile_function: str
    max_object_bytes: int
    look_back_days: int


FEW = 5
_EARLIER = "The logs of the invocations before name them"


class Incomplete(Exception):
    """Something failed, and everything else was done. The message names it; the next sweep tries it again."""


class Unfinished(Exception):
    """More landed than all invocations of a request suffice for; the message says how to go on."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Sweep, or fill back, and answer what came of it; an exception makes Lambda try an asynchronous invocation again."""
    known = settings.load(Settings)
    request = read_request(event, context.aws_request_id)
    tally = Tally()
    late: list[dict[str, str]] = []
    if isinstance(request, Sweep) and not request.progress.turns:
        with isolate("late days", tally.failed):
            late = tell_late_days(known, tally.failed)
        with isolate("bad endings", tally.failed):
            repeat_bad_endings(known, tally.failed)
    if isinstance(request, Backfill):
        start_runs(request, known, Place(after=request.progress.after), tally, context)
        return finish(request, tally, late, context)
    lease = Lease(boto3.client("dynamodb", config=CONFIG), known.runs_table)
    place = lease.take(request.progress.ticket, timedelta(milliseconds=context.get_remaining_time_in_millis()))
    if place is None:
        logger.info("another sweep is at work, which finds the files that this one would find")
        return finish(request, tally, late, context) | {"busy": True}
    with lease:
        start_runs(request, known, place, tally, context)
        return finish(request, tally, late, context, lease)


def finish(
    request: Sweep | Backfill,
    tally: Tally,
    late: list[dict[str, str]],
    context: LambdaContext,
    lease: Lease | None = None,
) -> dict[str, Any]:
    """Log and answer what came of this invocation; ask for the next one, or raise when something failed and nothing is left to do."""
    answer = {**_named(request), **tally.to_answer(), "late": late}
    logger.info("done" if tally.stopped_after is None else "out of time", **answer)
    failed = request.progress.failed + len(tally.failed)
    if tally.stopped_after is not None:
        progress = Progress(tally.stopped_after, request.progress.turns + 1, failed)
        functions: LambdaClient = boto3.client("lambda", config=CONFIG)
        go_on(functions, request, progress, context.function_name, lease, Place(tally.stopped_in, tally.stopped_after))
    elif failed:
        raise Incomplete(f"{failed} failed and everything else was done. {'; '.join(tally.failed[:FEW]) or _EARLIER}")
    return answer


def _named(request: Sweep | Backfill) -> dict[str, Any]:
    return {"kind": "sweep"} if isinstance(request, Sweep) else {"kind": "backfill", "request": request.request}


def tell_late_days(known: Settings, failed: list[str]) -> list[dict[str, str]]:
    """Ask for a message for each late day, at every sweep: `notify` posts it once."""
    s3: S3Client = boto3.client("s3", config=CONFIG)
    unreadable: list[str] = []
    late = [asdict(day) for day in late_days(s3, known.ingest_bucket, datetime.now(UTC), unreadable, failed)]
    if unreadable:
        logger.warning("contracts cannot be read, nobody waits for their files", contracts=unreadable)
    functions: LambdaClient = boto3.client("lambda", config=CONFIG)
    for day in late:
        with isolate(f"{day['dataset']} {day['day']}", failed):
            ask_to_tell(functions, known.notify_function, {"kind": "late-day", **day})
    return late


def repeat_bad_endings(known: Settings, failed: list[str]) -> None:
    """Bring the ends of runs once more to whoever is told of them: `notify` posts each once, and `reconcile` only looks again."""
    steps: SFNClient = boto3.client("stepfunctions", config=CONFIG)
    functions: LambdaClient = boto3.client("lambda", config=CONFIG)
    for event in bad_endings(steps, known.state_machine_arn, datetime.now(UTC)):
        for function in (known.notify_function, known.reconcile_function):
            with isolate(event["detail"]["name"], failed):
                ask_to_tell(functions, function, event)


def start_runs(request: Sweep | Backfill, known: Settings, place: Place, tally: Tally, context: LambdaContext) -> None:
    """Go through what the request is about, from `place` on, and start what it asks for, until that is done or the time is up."""
    s3: S3Client = boto3.client("s3", config=CONFIG)
    starter = Starter(
        boto3.client("stepfunctions", config=CONFIG),
        known.state_machine_arn,
        known.max_object_bytes,
        Shares(boto3.client("s3", config=SHARES_CONFIG), known.ingest_bucket),
    )
    if isinstance(request, Sweep):
        since = datetime.now(UTC) - timedelta(days=known.look_back_days)
        found: Iterator[Landed | Passed] = recent_versions(s3, known.ingest_bucket, since, place)
        act = find_missed(starter, tally)
    else:
        where = stretches(request.dataset, request.first, request.last)
        found = newest_versions(s3, known.ingest_bucket, where, place.after)
        history = History(starter.steps, s3, known.state_machine_arn, known.results_bucket)
        act = fill(starter, history, request, tally)
    began = time.monotonic()

    def time_is_up() -> bool:
        left = timedelta(milliseconds=context.get_remaining_time_in_millis())
        worked = timedelta(seconds=time.monotonic() - began)
        return left < CLOSING or (not request.progress.turns and worked > FIRST_TURN)

    each(found, tally, time_is_up, act)


def go_on(
    client: LambdaClient,
    request: Sweep | Backfill,
    progress: Progress,
    function: str,
    lease: Lease | None,
    place: Place,
) -> None:
    """Ask for the next invocation, which begins after what this one did: each does at least one object, and their number is bounded."""
    if progress.turns >= MAX_TURNS:
        if lease is not None:
            lease.leave_at(place)
        raise Unfinished(
            f"{MAX_TURNS} invocations were not enough; the last one stopped after {progress.after!r}. What was started is started."
            " Invoke a backfill again, from that key's day on; a sweep goes on there at its next hour"
        )
    if lease is not None:
        progress = replace(progress, ticket=lease.hand_over(place))
    try:
        client.invoke(
            FunctionName=function, InvocationType="Event", Payload=json.dumps(request.continued(progress)).encode()
        )
    except Exception:
        if lease is not None:
            lease.leave_at(place)
        raise
