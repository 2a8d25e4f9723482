"""The deployed system in bad weather: API calls of its roles fail, events get lost, and runs are struck on purpose."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import psutil
from moto.s3.models import S3Backend

from cli.deployment import make_twin
from cli.slack import SlackWebhook
from tests.soak.random_plans import STAGES, Blow, Kind
from tests.twin.deployed import OVER, ROOT, Deployed
from twin import Twin, TwinOptions, compute, events, faults
from twin.faults import Fault, Trouble
from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spotline.runs import Run
    from twin.deployment import Stack

Json = Any

TIME_SCALE = 60.0
DRIZZLE = (
    Fault("*", 0.02, Trouble.THROTTLED),
    Fault("*", 0.01, Trouble.FAILED),
    Fault("*", 0.01, Trouble.UNANSWERED),
)
"""What every run lives with."""
STORM = (Fault("*", 0.2, Trouble.THROTTLED), Fault("*", 0.1, Trouble.FAILED), Fault("*", 0.1, Trouble.UNANSWERED))
STORM_SECONDS = 3.0
EVENT_FAULTS = {"duplicate_events": 0.15, "drop_events": 0.15, "delay_events": 60.0}
PARAMETERS = {
    "GangMembers": "2",
    "SpotMaxGangs": "2",
    "OnDemandMaxGangs": "2",
    "SpotMaxWaitSeconds": "600",
    "OnDemandMaxWaitSeconds": "600",
    "SpotFormingSeconds": "40",  # a member that dies before the gang has formed is missed only when this time is over
    "OnDemandFormingSeconds": "40",
    "MainFirst": "spot",  # so that container jobs can be reclaimed, too
}
_PUBLISHED = re.compile(r"runs/([^/]+)/analysis/(manifest|checkpoints/pointer)\.json")
_ENDED = ("SUCCEEDED", "FAILED")


class Jobs:
    """Every job of the twin, as its last change of status showed it."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, Json]] = {}
        self._lock = threading.Lock()

    def changed(self, detail: dict[str, Json]) -> None:
        with self._lock:
            self._jobs[detail["jobId"]] = detail

    def unfinished(self, run_id: str) -> dict[str, dict[str, Json]]:
        """Jobs and members that have not ended, by id."""
        with self._lock:
            jobs = list(self._jobs.items())
        return {
            job_id: job
            for job_id, job in jobs
            if job["jobName"].startswith(f"{run_id}-") and job["status"] not in _ENDED
        }

    def running(self, run_id: str, stage: str) -> str | None:
        """The job of a stage of which every member runs, the newest should there be more."""
        found = [
            (job["createdAt"], job_id)
            for job_id, job in self.unfinished(run_id).items()
            if _stage(job, run_id) == stage and ":" not in job_id and self._all_run(job_id, job)
        ]
        return max(found)[1] if found else None

    def _all_run(self, job_id: str, job: Mapping[str, Json]) -> bool:
        size = job.get("arrayProperties", {}).get("size", 0)
        parts = [f"{job_id}:{index}" for index in range(size)] or [job_id]
        with self._lock:
            return all(self._jobs.get(part, {}).get("status") == "RUNNING" for part in parts)


def _stage(job: Mapping[str, Json], run_id: str) -> str:
    suffix = job["jobName"].removeprefix(f"{run_id}-")
    return suffix if suffix in STAGES else "analysis"


class Claims:
    """Which gang wrote a run's checkpoint pointer, and which one published, in order."""

    def __init__(self) -> None:
        self.pointers: defaultdict[str, list[int]] = defaultdict(list)
        self.manifests: defaultdict[str, list[int]] = defaultdict(list)

    def written(self, key: str, value: Json) -> None:
        if match := _PUBLISHED.fullmatch(key):
            kept = self.manifests if match[2] == "manifest" else self.pointers
            kept[match[1]].append(json.loads(value)["generation"])


class RandomCloud(Deployed):
    """The system, and the faults that strike it."""

    def __init__(self, twin: Twin, stack: Stack, slack: SlackWebhook) -> None:
        super().__init__(twin, stack, slack)
        self.jobs, self.claims = Jobs(), Claims()
        self._landing = threading.Lock()
        self._storm = threading.Lock()
        [self._rule] = [
            rule["Name"]
            for rule in twin.client("events").list_rules()["Rules"]
            if "aws.s3" in rule.get("EventPattern", "")
        ]

    # What is seen

    def table(self, run: Run) -> list[dict[str, Json]]:
        """Everything that is written down about a run."""
        return self._items(f"RUN#{run.run_id}")

    def metrics(self, dataset: str, day: str) -> dict[str, Json]:
        """What the day's item says of the data and the model; the rest of it names the run that it came from."""
        [item] = self._items(f"DAY#{dataset}#{day}")
        return {name: item[name] for name in ("metrics", "columns")}

    def holders(self) -> list[str]:
        """The gangs that hold a slot."""
        return [name for item in self._items("SLOTS") for name in item.get("holders", {}).get("SS", [])]

    def reserved_hours(self) -> list[int]:
        """The seconds that each On-Demand gang has of its day's budget."""
        days = {f"BUDGET#{time.strftime('%Y%m%d', time.gmtime(time.time() - back))}" for back in (0, 3600)}
        return [
            int(value["N"]) for day in days for item in self._items(day) for name, value in item.items() if "#" in name
        ]

    def _items(self, pk: str) -> list[dict[str, Json]]:
        answer = self.twin.client("dynamodb").query(
            TableName=self.stack.outputs["RunsTable"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )
        items: list[dict[str, Json]] = answer["Items"]
        return items

    def exists(self, run: Run) -> bool:
        try:
            self.execution(run)
        except self._steps.exceptions.ExecutionDoesNotExist:
            return False
        return True

    def moment(self, run: Run, stage: str, seconds: float = 600.0) -> str | None:
        """Wait for a running job of the stage and return its id; None when the run has ended, or is past that stage."""
        later = STAGES[STAGES.index(stage) + 1 :]
        end = time.monotonic() + seconds
        while (job_id := self.jobs.running(run.run_id, stage)) is None:
            if self.status(run) in OVER or any(self.jobs.running(run.run_id, one) for one in later):
                return None
            assert time.monotonic() < end, f"waited {seconds} s in vain for a {stage} job of {run.run_id}"
            time.sleep(0.1)
        return job_id

    # What happens to it

    @contextlib.contextmanager
    def without_events_of_landing(self) -> Iterator[None]:
        """Files put within the block are announced to nobody, as when their events are lost."""
        client = self.twin.client("events")
        with self._landing:
            client.disable_rule(Name=self._rule)
            try:
                yield
            finally:
                client.enable_rule(Name=self._rule)

    @contextlib.contextmanager
    def with_events_of_landing(self) -> Iterator[None]:
        """Files put within the block are announced, whoever else puts files unannounced."""
        with self._landing:
            yield

    def sweep(self) -> None:
        """Have `sweep` look for files whose event was lost, as its schedule does hourly."""
        self.twin.client("lambda").invoke(
            FunctionName=self.stack.outputs["SweepFunction"], Payload=b'{"kind": "sweep"}'
        )

    def announce(self, run: Run) -> None:
        """Send the event of a file's landing again."""
        uploaded = {"key": run.source.key, "size": run.source.size, "version-id": run.source.version_id}
        events.emit("aws.s3", "Object Created", [], {"bucket": {"name": run.source.bucket}, "object": uploaded})

    def strike(self, run: Run, blow: Blow, job_id: str) -> bool:
        """Strike a run whose job runs; False when there was nothing left to strike."""
        try:
            match blow.kind:
                case Kind.RECLAIM | Kind.NOTICE:
                    self._reclaim(job_id, blow)
                case Kind.KILL:
                    self._process(job_id, blow.member).kill()
                case Kind.TERMINATE:
                    self.terminate(job_id)
                case Kind.STOP:
                    self.stop(run)
                case Kind.STORM:
                    with self._storm, faults.injected(*DRIZZLE, *STORM, seed=hash(blow.seconds)):
                        time.sleep(STORM_SECONDS)
        except (compute.CannotReclaim, psutil.NoSuchProcess):
            return False
        return True

    def _reclaim(self, job_id: str, blow: Blow) -> None:
        member = blow.member if blow.stage == "analysis" else None
        compute.reclaim(job_id, member, notice_seconds=0 if blow.kind is Kind.RECLAIM else None)

    def _process(self, job_id: str, member: int) -> psutil.Process:
        """The first process of a container job or of a gang's member."""
        wanted = (job_id, f"{job_id}#{member}") if member == 0 else (f"{job_id}#{member}",)
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                index = environment.get("AWS_BATCH_JOB_ARRAY_INDEX")
                named = environment.get("AWS_BATCH_JOB_ID", "")
                if named in wanted or (named == f"{job_id}:{member}" and index == str(member)):
                    found.append((process.create_time(), process.pid, process))
        if not found:
            raise psutil.NoSuchProcess(0, job_id)
        return min(found)[2]


@contextlib.contextmanager
def random_cloud(seed: int) -> Iterator[RandomCloud]:
    """A twin with the template deployed, in the weather of a seed."""
    with contextlib.ExitStack() as inside:
        slack = inside.enter_context(SlackWebhook())
        options = TwinOptions(time_scale=TIME_SCALE, faults=DRIZZLE, seed=seed, **EVENT_FAULTS)  # type: ignore[arg-type]
        twin = inside.enter_context(make_twin(options))
        stack = twin.deploy(ROOT / "template.yaml", stack_name="spotline", parameters=PARAMETERS)
        secret = stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        for market in ("spot", "on-demand"):
            compute.set_capacity(market, math.inf)
        cloud = RandomCloud(twin, stack, slack)
        compute.on_job_change(cloud.jobs.changed)
        replace(S3Backend, "put_object", functools.partial(_tell_of_claims, cloud.claims))
        yield cloud


def _tell_of_claims(claims: Claims, original: Any) -> Any:
    def put_object(backend: Any, bucket_name: str, key_name: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        stored = original(backend, bucket_name, key_name, value, *args, **kwargs)
        claims.written(key_name, value)
        return stored

    return put_object
