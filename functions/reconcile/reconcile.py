"""`reconcile`: look again at every gang that is not settled, and do what `spotline.gangs.decide` says.

Woken by Batch's job events, by the execution's status events and by a schedule. What the event says is not used beyond which run
to look at first: a lost, late, doubled or reordered event costs time and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from spotline import layout, settings
from spotline.batch_jobs import describe_gang, gang_jobs
from spotline.gangs import Close, Fail, Gang, Sight, Succeed, Terminate, decide
from spotline.manifests import AnalysisManifest, ManifestError
from spotline.objects import ObjectMissing, S3Objects
from spotline.run_table import RunTable
from spotline.runs import Market, gang_job_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_stepfunctions import SFNClient

    from spotline.gangs import Action

logger = Logger()


@dataclass(frozen=True)
class Settings:
    """What template.yaml tells this function. The waits are the longest that a gang may stay RUNNABLE."""

    runs_table: str
    results_bucket: str
    spot_queue: str
    on_demand_queue: str
    spot_max_wait_seconds: int
    on_demand_max_wait_seconds: int


CONFIG = Config(retries={"mode": "standard", "max_attempts": 8})


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """Look at the gangs of the run that the event names, or at all of them when it names none."""
    look = Look(settings.load(Settings))
    run_id = run_named_by(event)
    gangs = look.table.gangs(run_id) if run_id else look.table.open_gangs()
    done = {f"{gang.run_id} generation {gang.generation}": look.at(gang) for gang in gangs}
    acted = {name: actions for name, actions in done.items() if actions}
    if acted:
        logger.info("looked", actions=acted)
    return {"looked_at": len(done), "acted_on": sorted(acted)}


def run_named_by(event: dict[str, Any]) -> str | None:
    """The run that an event is about: from a gang's job tags, or from the name of an execution.

    A Batch event of a job that is no gang names no run of interest; the schedule names none (and its `detail` is the text "{}").
    """
    if event.get("source") == "aws.states":
        return event["detail"].get("name")
    if event.get("source") == "aws.batch":
        return (event["detail"].get("tags") or {}).get("spotline:run-id")
    return None


class Look:
    """One look: what is described now, and the hands that act on it."""

    def __init__(self, known: Settings) -> None:
        self._known = known
        self._batch: BatchClient = boto3.client("batch", config=CONFIG)
        self._steps: SFNClient = boto3.client("stepfunctions", config=CONFIG)
        self.table = RunTable(known.runs_table, boto3.client("dynamodb", config=CONFIG))

    def at(self, gang: Gang) -> list[str]:
        """Look at one gang and act; the names of what was done."""
        waits = {
            Market.SPOT: self._known.spot_max_wait_seconds,
            Market.ON_DEMAND: self._known.on_demand_max_wait_seconds,
        }
        actions = decide(gang, self._sight(gang), timedelta(seconds=waits[gang.market]))
        self._act(gang, actions)
        return [type(action).__name__ for action in actions]

    def _sight(self, gang: Gang) -> Sight:
        # The job before its parts: a member that ends in between is seen at the next look, never half seen.
        job_id = gang.job_id or self._find_job(gang)
        job, members = describe_gang(self._batch, job_id) if job_id else (None, [])
        results = S3Objects(self._known.results_bucket, layout.analysis_prefix(gang.run_id))
        return Sight(
            now=datetime.now(UTC),
            execution_status=self._steps.describe_execution(executionArn=gang.execution_arn)["status"],
            newest_generation=self.table.newest_generation(gang.run_id),
            job=job,
            members=members,
            noticed=noticed_members(results, job_id) if job_id else (),
            published=published_by(results, gang),
        )

    def _find_job(self, gang: Gang) -> str | None:
        """A launcher that died right after submitting left a job that is known by its name only."""
        queue = self._known.spot_queue if gang.market is Market.SPOT else self._known.on_demand_queue
        found = dict(gang_jobs(self._batch, queue, gang_job_name(gang.run_id, gang.generation)))
        return next(iter(found), None)

    def _act(self, gang: Gang, actions: Iterable[Action]) -> None:
        outcome = "ended"
        for action in actions:
            match action:
                case Terminate(job_id, reason):
                    self._batch.terminate_job(jobId=job_id, reason=reason)
                case Succeed(output):
                    outcome = "SUCCEEDED"
                    self._answer(self._steps.send_task_success, gang, output=json.dumps(output))
                case Fail(failure):
                    outcome = failure.error.value
                    self._answer(self._steps.send_task_failure, gang, error=outcome, cause=failure.to_cause())
                case Close():
                    self.table.close_gang(gang, outcome)

    def _answer(self, send: Any, gang: Gang, **answer: str) -> None:
        """Answer the gang's token. One that was answered before, or whose Task is over, needs none."""
        gone = (
            self._steps.exceptions.TaskTimedOut,
            self._steps.exceptions.TaskDoesNotExist,
            self._steps.exceptions.InvalidToken,
        )
        try:
            send(taskToken=gang.task_token, **answer)
        except gone as stale:
            logger.info("the token needs no answer any more", generation=gang.generation, reason=str(stale))


def noticed_members(results: S3Objects, job_id: str) -> list[int]:
    """The members that wrote a Spot notice beside the checkpoint."""
    prefix = layout.notice_prefix(job_id)
    return [int(key.removeprefix(prefix).removesuffix(".json")) for key in results.keys(prefix)]


def published_by(results: S3Objects, gang: Gang) -> str | None:
    """Where the manifest of this very gang lies, if it published one."""
    try:
        manifest = AnalysisManifest.from_json(results.read(layout.MANIFEST).body)
    except (ObjectMissing, ManifestError):
        return None
    return results.location(layout.MANIFEST) if manifest.generation == gang.generation else None
