"""`launch_gang`: start a gang for a run, behind a Step Functions task token that `reconcile` will answer.

However often this is called for a run, at most one gang can publish: each call raises the run's generation, ends whatever gang
runs under an older one, and records the token before there is a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from spotline import layout, settings
from spotline.allowances import Allowances
from spotline.batch_jobs import terminate_older_gangs
from spotline.clients import Clients
from spotline.documents import DocumentError, build
from spotline.executions import answer_success
from spotline.failures import FENCED_OFF
from spotline.gangs import Gang
from spotline.launching import Launched, Launcher, LaunchSettings, gang_launched, utc_now
from spotline.manifests import AnalysisManifest, CleanManifest, digest
from spotline.metrics import emit
from spotline.objects import ObjectMissing, S3Objects
from spotline.run_table import RunTable
from spotline.runs import Market, Priority

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@dataclass(frozen=True)
class Settings(LaunchSettings):
    """What template.yaml tells this function."""

    runs_table: str
    intermediate_bucket: str
    results_bucket: str


@dataclass(frozen=True)
class Task:
    """The Task that waits: which run, of which priority, which market, and the token that answers it.

    `redrives` is how often its execution has been redriven; None when its definition is from before it said so. `falls_back` is whether
    the state machine goes on to On-Demand when Spot fails the run.
    """

    run_id: str
    execution_arn: str
    task_token: str
    market: Market
    priority: Priority = Priority.DAILY
    redrives: int | None = None
    falls_back: bool = False


class LaunchUnfinished(Exception):
    """An AWS call failed even after retries. The state machine retries by this name; what was begun is fenced off then."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  Lambda's signature
    """Launch the gang that the state machine asks for. The answer to the Task comes later, through its token."""
    known = settings.load(Settings)
    task = build(Task, event, "the Task's payload")
    logger.append_keys(run_id=task.run_id, market=task.market)
    clients = Clients.connect()
    table = RunTable(known.runs_table, clients.dynamodb)
    launcher = Launcher(clients, table, Allowances(known.runs_table, clients.dynamodb, known.limits), known)
    try:
        answer = answer_task(task, known, clients, table, launcher)
    except (ClientError, BotoCoreError) as error:
        raise LaunchUnfinished(f"{type(error).__name__}: {error}") from error
    logger.info("answered", **answer)
    return answer


def answer_task(
    task: Task,
    known: Settings,
    clients: Clients,
    table: RunTable,
    launcher: Launcher,
    now: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Answer at once when the analysis exists already; else fence older gangs off, record the token, and launch the gang."""
    done = analysis_of_same_rows(
        S3Objects(known.intermediate_bucket, layout.preprocess_prefix(task.run_id), clients.s3),
        S3Objects(known.results_bucket, layout.analysis_prefix(task.run_id), clients.s3),
    )
    if done is not None:
        awaited = answer_success(clients.steps, task.task_token, done)
        return {"outcome": "analysed already", "awaited": awaited, **done}
    generation = table.raise_generation(task.run_id, execution_arn=task.execution_arn)
    gang = Gang(
        task.run_id,
        generation,
        task.market,
        task.task_token,
        task.execution_arn,
        launched_at=now(),
        priority=task.priority,
        redrives=task.redrives,
        falls_back=task.falls_back,
    )
    fenced_off = terminate_older_gangs(clients.batch, (known.spot_queue, known.on_demand_queue), gang, FENCED_OFF)
    table.record_gang(gang)
    launched: Launched = launcher.launch(gang)
    if launched is Launched.SUBMITTED:
        emit(gang_launched(gang.market))
    return {"outcome": launched.value, "generation": generation, "fenced_off": fenced_off}


def analysis_of_same_rows(preprocessed: S3Objects, results: S3Objects) -> dict[str, Any] | None:
    """The analysis that exists already for exactly these clean rows, if there is one."""
    clean = preprocessed.read(layout.MANIFEST, CleanManifest.MOST_BYTES)
    try:
        analysis = AnalysisManifest.read(results)
    except (ObjectMissing, DocumentError):
        return None  # the gang that is launched now replaces what lies there
    if analysis.clean_digest != digest(clean.body):
        return None
    return {
        "manifest": results.location(layout.MANIFEST),
        "generation": analysis.generation,
        "job_id": analysis.job_id,
    }
