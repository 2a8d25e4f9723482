"""What the control plane costs as work grows: `python benchmarks/growth.py [--write]`.

The functions themselves run on the in-memory AWS of the protocol tests, which counts their calls. How long the calls take follows from
the quotas that AWS documents, as token buckets. Rates are those of most regions; us-east-1, us-west-2 and eu-west-1 have more.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import heapq
import io
import json
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from announce.summaries import MOST_IN_A_SUMMARY
from reconcile import request_summary
from sweeping.listing import Landed, recent_versions
from tests.unit.functions.large_bucket import SINCE, VERSIONS_EACH, Bucket, files_of_days
from tests.unit.protocol.crowds import TOKEN, calls_of, one_runs_and_many_wait
from tests.unit.protocol.invariants import assert_everything_told
from tests.unit.protocol.steps import Ending
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- growth: begin -->", "<!-- growth: end -->"
CALL_SECONDS = 0.05
"""What a call takes on average: a choice of this model, AWS documents none."""
STATE_TRANSITION_USD = 0.025 / 1000
"""Step Functions, Standard, us-east-1 ("AWS Step Functions pricing")."""
RECONCILES = dt.timedelta(minutes=2)
"""How often `reconcile` is scheduled (template.yaml, LookAgain)."""
SLACK_MESSAGES_PER_MINUTE = 20
"""The parameter's default (template.yaml)."""
TRANSITIONS_A_RUN = 13
"""States that a run with a gang enters, its start included."""


@dataclass(frozen=True)
class Rate:
    """A token bucket. A bucket of one second's calls where AWS documents a rate alone."""

    operation: str
    bucket: int
    per_second: float

    def seconds_for(self, calls: int) -> float:
        """How long so many calls take when nobody else calls."""
        return max(0.0, (calls - self.bucket) / self.per_second)


# "Quotas related to API action throttling", AWS Step Functions developer guide; "AWS Batch service quotas", AWS Batch user guide;
# "Rate limits", Slack API: one message a second.
START_EXECUTION = Rate("StartExecution", 800, 150)
DESCRIBE_EXECUTION = Rate("DescribeExecution", 250, 10)
STOP_EXECUTION = Rate("StopExecution", 500, 25)
SUBMIT_JOB = Rate("SubmitJob", 50, 50)
SLACK = Rate("Slack's webhook", 1, 1)


@dataclass(frozen=True)
class Retrier:
    """One Retry of a state, as Amazon States Language names its fields."""

    interval: float
    rate: float
    attempts: int
    longest: float

    @classmethod
    def from_state(cls, fields: dict[str, Any]) -> Retrier:
        """Read one Retry of a state."""
        return cls(fields["IntervalSeconds"], fields["BackoffRate"], fields["MaxAttempts"], fields["MaxDelaySeconds"])

    def delay(self, attempt: int, chance: random.Random) -> float:
        """How long the state waits before its retry number `attempt`, with full jitter."""
        return chance.uniform(0, min(self.longest, self.interval * self.rate ** (attempt - 1)))


BEFORE = Retrier(5, 2, 6, 120)
"""How Preprocess was retried until December 2026."""


def retrier_now() -> Retrier:
    """How Preprocess is retried when Batch refuses its submission."""
    states = json.loads((ROOT / "statemachine" / "pipeline.asl.json").read_text())["States"]
    [retrier] = [one for one in states["Preprocess"]["Retry"] if "Batch.AWSBatchException" in one["ErrorEquals"]]
    return Retrier.from_state(retrier)


@dataclass(frozen=True)
class Burst:
    """What came of many submissions at once: calls, those that failed for good, and when the last one was taken."""

    calls: int
    failed: int
    seconds: float


def submit_burst(files: int, within: float, retrier: Retrier, rate: Rate = SUBMIT_JOB, seed: int = 1) -> Burst:
    """Submit a job a file, each retried as its state says, against a token bucket."""
    chance = random.Random(seed)
    due = [(chance.uniform(0, within), number, 0) for number in range(files)]
    heapq.heapify(due)
    tokens, last, calls, failed, taken = float(rate.bucket), 0.0, 0, 0, 0.0
    while due:
        now, number, attempt = heapq.heappop(due)
        tokens, last = min(rate.bucket, tokens + (now - last) * rate.per_second), now
        calls += 1
        if tokens >= 1:
            tokens, taken = tokens - 1, now
        elif attempt < retrier.attempts:
            heapq.heappush(due, (now + retrier.delay(attempt + 1, chance), number, attempt + 1))
        else:
            failed += 1
    return Burst(calls, failed, taken)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    work: str
    before: str
    calls: str
    time: str
    money: str
    limit: str


def idle_reconcile(many: int) -> Row:
    """A scheduled reconcile that finds nothing to do."""
    world = one_runs_and_many_wait(many)
    began = time.monotonic()
    request_summary(world.table, "notify")
    world.look.again()
    spent = time.monotonic() - began
    calls = calls_of(world)
    return Row(
        f"a full reconcile, {many:,} gangs wait, nothing changed",
        f"{4 * many + 32:,} calls",
        f"{calls}",
        f"{calls * CALL_SECONDS + spent:.1f} s",
        "-",
        "ListJobs: a page a hundred unfinished jobs; ListExecutions: a page a thousand runs",
    )


def ends_at_once(many: int) -> Row:
    """Somebody stops every run of a backfill that waits."""
    world = one_runs_and_many_wait(many)
    names = [name for name, one in world.steps.executions.items() if one.waits_for.startswith(TOKEN)]
    for name in names:
        world.stop(world.steps.executions[name])
    for name in names:
        world.look_again(name)
    described = world.line.counts["describe_execution"]
    return Row(
        f"{many:,} waiting runs are stopped at once",
        f"{many * (many + 1) // 2:,} DescribeExecution",
        f"{calls_of(world):,}, of them {described:,} DescribeExecution",
        f"{max(STOP_EXECUTION.seconds_for(many), DESCRIBE_EXECUTION.seconds_for(described)):.0f} s",
        "-",
        f"{DESCRIBE_EXECUTION.operation}: {DESCRIBE_EXECUTION.per_second:g} a second",
    )


def files_at_once(files: int) -> Row:
    """Many files arrive, each of which starts a run."""
    before, now = submit_burst(files, 60, BEFORE), submit_burst(files, 60, retrier_now())
    started = START_EXECUTION.seconds_for(files)
    return Row(
        f"{files:,} files within a minute",
        f"{before.failed:,} fail",
        f"{files:,} StartExecution, {now.calls:,} SubmitJob; {now.failed} fail",
        f"{max(60, started):.0f} s until all run, {now.seconds / 60:.0f} min until all are submitted",
        f"${files * TRANSITIONS_A_RUN * STATE_TRANSITION_USD:.2f}",
        f"{SUBMIT_JOB.operation}: {SUBMIT_JOB.per_second:g} a second",
    )


def backfill(files: int) -> Row:
    """`sweep` asks for each file's execution, and starts it."""
    now = submit_burst(files, START_EXECUTION.seconds_for(files) + 1, retrier_now())
    return Row(
        f"a backfill of {files:,} files (5 a day, 365 days)",
        f"{submit_burst(files, START_EXECUTION.seconds_for(files) + 1, BEFORE).failed:,} fail",
        f"{files:,} DescribeExecution, {files:,} StartExecution, {now.calls:,} SubmitJob; {now.failed} fail",
        f"{DESCRIBE_EXECUTION.seconds_for(files):.0f} s until all run, {now.seconds:.0f} s of submissions",
        f"${files * TRANSITIONS_A_RUN * STATE_TRANSITION_USD:.2f}",
        f"{DESCRIBE_EXECUTION.operation}: {DESCRIBE_EXECUTION.per_second:g} a second",
    )


def sweep_everything(objects: int) -> Row:
    """A sweep of a bucket to which few files were uploaded lately."""
    bucket = Bucket(files_of_days(objects), recent_every=10_000)
    found = [one for one in recent_versions(cast("S3Client", bucket), "ingest", SINCE) if isinstance(one, Landed)]
    calls = sum(bucket.calls.values())
    return Row(
        f"a sweep of {objects:,} objects with {objects * VERSIONS_EACH:,} versions, {len(found)} of them new",
        f"{objects * VERSIONS_EACH // 1000:,} calls",
        f"{calls:,}, and {len(found)} StartExecution",
        f"{(calls + len(found)) * CALL_SECONDS:.0f} s",
        "-",
        "Lambda: 15 min an invocation, of which a sweep may take twelve; the next hour goes on there",
    )


def failures_at_once(many: int) -> Row:
    """Each failure is a message of its own until there are too many, and then they are in a summary."""
    world = World(slack_messages_per_minute=SLACK_MESSAGES_PER_MINUTE)
    world.endings += [Ending(f"run-{number}", "FAILED", 0) for number in range(many)]
    for ending in world.endings:
        world.notify(ending)
        world.clock.advance(dt.timedelta(minutes=1) / many)
    world.clock.advance(RECONCILES - dt.timedelta(minutes=1))
    world.summarise()
    assert_everything_told(world)
    summaries = sum(message.pk.startswith("SUMMARY#") for message in world.slack.contents)
    return Row(
        f"{many:,} runs fail within a minute",
        f"{many:,} messages, {SLACK.seconds_for(many) / 60:.0f} min at Slack's rate",
        f"{len(world.slack.contents) - summaries} messages and {summaries} summary, {calls_of(world):,} of DynamoDB for them",
        f"{RECONCILES.total_seconds() / 60:.0f} min until the summary",
        "-",
        f"{SLACK.operation}: {SLACK.per_second:g} a second; a summary stands for {MOST_IN_A_SUMMARY:,} messages",
    )


ROWS: Sequence[Callable[[], Row]] = (
    lambda: idle_reconcile(20),
    lambda: idle_reconcile(2000),
    lambda: ends_at_once(300),
    lambda: ends_at_once(1825),
    lambda: files_at_once(10_000),
    lambda: backfill(1825),
    lambda: sweep_everything(1_000_000),
    lambda: failures_at_once(1825),
)


def table() -> str:
    """The table as docs/benchmarks.md holds it."""
    with contextlib.redirect_stdout(io.StringIO()):  # the functions' own metrics
        rows = [row() for row in ROWS]
    lines = [
        f"{dt.datetime.now(dt.UTC):%-d %B %Y}, {CALL_SECONDS * 1000:.0f} ms a call.",
        "",
        "| work | before | calls | time | Step Functions | next limit |",
        "|---|---|---|---|---|---|",
        *(f"| {row.work} | {row.before} | {row.calls} | {row.time} | {row.money} | {row.limit} |" for row in rows),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table, or write it into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    text = table()
    print(text)
    if options.write:
        document = DOCUMENT.read_text(encoding="utf-8")
        pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
        DOCUMENT.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", document), encoding="utf-8")


if __name__ == "__main__":
    main()
