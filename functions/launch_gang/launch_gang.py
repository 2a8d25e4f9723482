"""`launch_gang`: start a gang for a run, behind a Step Functions task token that `reconcile` will answer.

However often this is called for a run, at most one gang can publish: each call raises the run's generation, ends whatever gang
runs under an older one, and records the token before there is a job.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from spotline import layout, settings
from spotline.batch_jobs import GangPlaces, submit_gang, terminate_unfinished
from spotline.failures import FENCED_OFF, NOT_RUNNING, ErrorName, Failure
from spotline.gangs import Gang
from spotline.manifests import AnalysisManifest, ManifestError, digest
from spotline.objects import ObjectMissing, S3Objects
from spotline.run_table import RunTable
from spotline.runs import Market, gang_job_name

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@dataclass(frozen=True)
class Settings:
    """What template.yaml tells this function."""

    runs_table: str
    intermediate_bucket: str
    results_bucket: str
    spot_queue: str
    spot_job_definition: str
    on_demand_queue: str
    on_demand_job_definition: str
    gang_members: int


@dataclass(frozen=True)
class Task:
    """The Task that waits: which run, which market, and the token that answers it."""

    run_id: str
    execution_arn: str
    task_token: str
    market: Market


class LaunchUnfinished(Exception):
    """An AWS call failed even after retries. The state machine retries by this name; what was begun is fenced off then."""


CONFIG = Config(retries={"mode": "standard", "max_attempts": 8})


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """Launch the gang that the state machine asks for. The answer to the Task comes later, through its token."""
    known = settings.load(Settings)
    task = Task(event["run_id"], event["execution_arn"], event["task_token"], Market(event["market"]))
    logger.append_keys(run_id=task.run_id, market=task.market)
    try:
        return launch(task, known)
    except (ClientError, BotoCoreError) as error:
        raise LaunchUnfinished(f"{type(error).__name__}: {error}") from error


def launch(task: Task, known: Settings) -> dict[str, Any]:
    """Fence older gangs off, record the token, submit the job; or answer at once when the analysis exists already."""
    steps = boto3.client("stepfunctions", config=CONFIG)
    done = analysis_of_same_rows(task.run_id, known)
    if done is not None:
        steps.send_task_success(taskToken=task.task_token, output=json.dumps(done))
        logger.info("already analysed", **done)
        return done

    table = RunTable(known.runs_table, boto3.client("dynamodb", config=CONFIG))
    batch = boto3.client("batch", config=CONFIG)
    places = GangPlaces(
        spot_queue=known.spot_queue,
        spot_job_definition=known.spot_job_definition,
        on_demand_queue=known.on_demand_queue,
        on_demand_job_definition=known.on_demand_job_definition,
        members=known.gang_members,
    )
    generation = table.raise_generation(task.run_id, execution_arn=task.execution_arn)
    gang = Gang(task.run_id, generation, task.market, task.task_token, task.execution_arn, datetime.now(UTC))
    for queue in (known.spot_queue, known.on_demand_queue):
        terminate_unfinished(batch, queue, f"{task.run_id}-g*", FENCED_OFF)
    table.record_gang(gang)
    try:
        job_id = submit_gang(batch, gang, places)
    except batch.exceptions.ClientException as refused:
        return refuse(gang, str(refused), table, steps)
    table.record_job(gang, job_id)
    logger.info("launched", generation=generation, job_id=job_id, members=places.members)

    # A stop between the Task's start and the submission would leave this job behind: look once more, now that it exists.
    if steps.describe_execution(executionArn=task.execution_arn)["status"] not in ("RUNNING", "PENDING_REDRIVE"):
        batch.terminate_job(jobId=job_id, reason=NOT_RUNNING)
        logger.info("terminated again: the execution no longer runs", job_id=job_id)
    return {"generation": generation, "job_id": job_id, "job_name": gang_job_name(task.run_id, generation)}


def refuse(gang: Gang, reason: str, table: RunTable, steps: Any) -> dict[str, Any]:
    """Batch will not take the job, however often it is asked: fail the Task, which a redrive runs again."""
    failure = Failure(
        ErrorName.JOB_MISCONFIGURED,
        f"Batch refused the gang's job: {reason}. Mend the definition or the queue, then redrive",
    )
    steps.send_task_failure(taskToken=gang.task_token, error=failure.error.value, cause=failure.to_cause())
    table.close_gang(gang, failure.error.value)
    logger.error("refused by Batch", reason=reason, generation=gang.generation)
    return {"generation": gang.generation, "error": failure.error.value}


def analysis_of_same_rows(run_id: str, known: Settings) -> dict[str, Any] | None:
    """The analysis that exists already for exactly these clean rows, if there is one."""
    clean = S3Objects(known.intermediate_bucket, layout.preprocess_prefix(run_id)).read(layout.MANIFEST)
    results = S3Objects(known.results_bucket, layout.analysis_prefix(run_id))
    try:
        analysis = AnalysisManifest.from_json(results.read(layout.MANIFEST).body)
    except (ObjectMissing, ManifestError):
        return None
    if analysis.clean_digest != digest(clean.body):
        return None
    return {
        "manifest": results.location(layout.MANIFEST),
        "generation": analysis.generation,
        "job_id": analysis.job_id,
    }
