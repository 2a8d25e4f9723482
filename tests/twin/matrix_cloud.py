"""The deployed system on the twin, with images whose programs fail on order, for rehearsing failures stage by stage."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import psutil
from moto.s3.models import S3Backend

from spotline.layout import contract_key, parse_data_key
from spotline.runs import MarketChoice, Run, Source, execution_arn, run_id
from spotline.starting import start_run
from tests.statemachine import pipeline
from twin import Twin, TwinOptions, compute
from twin.compute import validation
from twin.patches import batch, replace
from twin.slack import SlackWebhook, message_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from twin.deployment import Stack

Json = Any

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "data" / "flights" / "20130209" / "flights.csv"
CONTRACT: dict[str, Json] = json.loads((ROOT / "contracts" / "flights.json").read_text())
ROWS = 300
ROUNDS = 40
TIME_SCALE = 60.0  # an hour takes a minute, and the shortest Task still has five seconds
SHORTEST_WAIT = "600"  # seconds for capacity, by the template's parameters
PATIENCE = 180  # seconds for capacity, of every queue
DEFINITIONS = {
    "preprocess": ("spotline-preprocess",),
    "analysis": ("spotline-analysis-spot", "spotline-analysis-on-demand"),
    "postprocess": ("spotline-postprocess",),
}
_POINTER = re.compile(r"runs/[^/]+/analysis/checkpoints/pointer\.json")
_OVER = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class MatrixCloud:
    """The system under test, and the hands that break and mend it."""

    def __init__(self, twin: Twin, stack: Stack, slack: SlackWebhook, orders: Path) -> None:
        self.twin, self.stack = twin, stack
        self._slack, self._orders = slack, orders
        self._steps, self._batch = twin.client("stepfunctions"), twin.client("batch")
        self._numbers = itertools.count()
        self._at_checkpoint: Callable[[str], object] | None = None
        self._claimed: dict[str, int] = {}

    # What a user does

    def land(self, market: MarketChoice, *, bad_rows: int = 0) -> Run:
        """Put a file of a dataset of its own into the ingest bucket, without a contract yet; returns its run."""
        dataset = f"matrix-{next(self._numbers)}"
        key = f"data/{dataset}/20130209/flights.csv"
        header, *rows = SAMPLE.read_bytes().splitlines(keepends=True)[: ROWS + 1]
        body = b"".join([header, *rows, *[rows[0].replace(b"EWR", b"XXX")] * bad_rows])
        bucket = self.stack.outputs["IngestBucket"]
        version = self.twin.client("s3").put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        source = Source(bucket, key, version, len(body))
        return Run(run_id(source, parse_data_key(key)), dataset, "20130209", source, market)

    def agree(self, run: Run, *, analysed: bool, tolerance: float = 0.5) -> None:
        """Put the contract of the run's dataset."""
        spotline: dict[str, Json] = {"trim": True, "tolerance": {"maxRejectedShare": tolerance, "minRows": 1}}
        if analysed:
            spotline["analysis"] = {**CONTRACT["spotline"]["analysis"], "rounds": ROUNDS}
        body = json.dumps({**CONTRACT, "spotline": spotline}).encode()
        self.twin.client("s3").put_object(Bucket=run.source.bucket, Key=contract_key(run.dataset), Body=body)

    def start(self, run: Run) -> None:
        """Start the run's execution, as `ingest` would with this market."""
        assert start_run(self._steps, self.stack.outputs["StateMachineArn"], run)

    # What an operator sees and does

    def arn(self, run: Run) -> str:
        return execution_arn(self.stack.outputs["StateMachineArn"], run.run_id)

    def ended(self, run: Run, seconds: float = 150.0) -> str:
        """The execution's status once it is over."""
        self.until(lambda: self._status(run) in _OVER, f"the end of {run.run_id}", seconds)
        return self._status(run)

    def _status(self, run: Run) -> str:
        return str(self._steps.describe_execution(executionArn=self.arn(run))["status"])

    def redrive(self, run: Run) -> str:
        """Redrive, and wait for the end."""
        self._steps.redrive_execution(executionArn=self.arn(run))
        return self.ended(run)

    def history(self, run: Run) -> list[dict[str, Json]]:
        pages = self._steps.get_paginator("get_execution_history").paginate(executionArn=self.arn(run))
        return [event for page in pages for event in page["events"]]

    def course(self, run: Run) -> pipeline.Course:
        return pipeline.course(self.history(run))

    def until_failed(self, run: Run) -> None:
        """Wait until one of the run's Tasks has failed, whatever comes of that."""
        self.until(lambda: any(event["type"] == "TaskFailed" for event in self.history(run)), "a failure", 60)

    def until_running(self, run: Run, stage: str) -> None:
        """Wait until the run's job of a stage runs."""
        self.until(lambda: self._jobs(run, stage, "RUNNING"), f"the {stage} job of {run.run_id}")

    def told(self, run: Run, error: str) -> None:
        """Wait until Slack was told of the run's failure by its typed name."""
        self.until(
            lambda: any(error in text and run.dataset in text for text in map(message_text, self._slack.messages)),
            f"{error} in Slack: {[message_text(message) for message in self._slack.messages[-2:]]}",
            seconds=20,
        )

    def resumed_from(self, run: Run) -> int | None:
        """The round from which the gang that published went on."""
        body = self.twin.client("s3").get_object(
            Bucket=self.stack.outputs["ResultsBucket"], Key=f"runs/{run.run_id}/analysis/manifest.json"
        )["Body"]
        found: int | None = json.loads(body.read())["resumed_from"]
        return found

    def job(self, run: Run, stage: str) -> str:
        """The id of the run's running job of a stage of the main queue."""
        [job_id] = self._jobs(run, stage, "RUNNING")
        return job_id

    def _jobs(self, run: Run, stage: str, status: str) -> list[str]:
        found = self._batch.list_jobs(
            jobQueue=self.stack.outputs["MainQueue"],
            filters=[{"name": "JOB_NAME", "values": [f"{run.run_id}-{stage}"]}],
        )["jobSummaryList"]
        return [job["jobId"] for job in found if job["status"] == status]

    def terminate(self, job_id: str) -> None:
        self._batch.terminate_job(jobId=job_id, reason="stopped by the operator on duty")

    # What goes wrong

    def order(self, stage: str, member: int, **what: int) -> None:
        """Tell a member's program what to do in the place of its work."""
        path = self._orders / f"{stage}-{member}"
        path.with_suffix(".new").write_text(json.dumps(what))
        path.with_suffix(".new").rename(path)

    def taken(self, stage: str, member: int) -> None:
        """Wait until an order was taken."""
        path = self._orders / f"{stage}-{member}"
        self.until(lambda: not path.exists(), f"order {path.name} to be taken", 30)

    def kill(self, stage: str, member: int) -> None:
        """SIGKILL to a member's first process, out of the blue."""
        psutil.Process(int((self._orders / f"{stage}-{member}.pid").read_text())).kill()

    def at_checkpoint(self, act: Callable[[str], object]) -> None:
        """Do `act` with the job's id when a gang writes its next checkpoint of its own, once. The leader waits meanwhile."""
        self._at_checkpoint = act

    def pointer_written(self, pointer: Mapping[str, Json]) -> None:
        """A leader claims the pointer first: that write of a generation still names the older gang's round."""
        done = pointer["checkpoints"][0]["round"] if pointer["checkpoints"] else 0
        claimed = self._claimed.setdefault(f"{pointer['job_id']}", done)
        act = self._at_checkpoint
        if act is not None and done > claimed:
            self._at_checkpoint = None
            act(pointer["job_id"])

    @contextlib.contextmanager
    def revised(self, stage: str, *, memory_mib: int | None = None, seconds: int | None = None) -> Iterator[None]:
        """Within the block the stage's newest definitions have other limits, and afterwards the old ones again."""
        old = {name: self._newest(name) for name in DEFINITIONS[stage]}
        for definition in old.values():
            self._batch.register_job_definition(**_limited(definition, memory_mib, seconds))
        try:
            yield
        finally:
            for definition in old.values():
                self._batch.register_job_definition(**definition)

    def _newest(self, name: str) -> dict[str, Json]:
        found = self._batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
        newest = max(found, key=lambda definition: definition["revision"])
        answered_only = {"jobDefinitionArn", "revision", "status", "containerOrchestrationType"}
        return {key: value for key, value in newest.items() if key not in answered_only}

    @contextlib.contextmanager
    def image_missing(self, stage: str) -> Iterator[None]:
        """Within the block the stack names an image that was never pushed; afterwards it is deployed as before."""
        parameter = f"{stage.capitalize()}Image"
        self.stack.redeploy({parameter: "123456789012.dkr.ecr.us-east-1.amazonaws.com/spotline-nowhere:1"})
        try:
            yield
        finally:
            self.stack.redeploy()

    @contextlib.contextmanager
    def without_capacity(self, *markets: str) -> Iterator[None]:
        """Within the block these markets lend nothing."""
        for market in markets:
            compute.set_capacity(market, 0)
        try:
            yield
        finally:
            for market in markets:
                compute.set_capacity(market, math.inf)

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
        """Wait until `holds`."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
            time.sleep(0.05)


@contextlib.contextmanager
def matrix_cloud(folder: Path) -> Iterator[MatrixCloud]:
    """A twin with the template deployed, images that obey orders, and a Slack that listens."""
    orders = folder / "orders"
    orders.mkdir()
    with contextlib.ExitStack() as inside:
        images = functools.partial(compute.install, root=_images(folder, orders))
        inside.enter_context(mock.patch.object(compute, "install", images))
        # AWS takes no timeout below a minute and no queue's patience below ten, which a test need not wait out.
        inside.enter_context(mock.patch.object(validation, "MINIMUM_TIMEOUT_SECONDS", 1))
        inside.enter_context(mock.patch.object(batch, "_TIME_LIMIT_SECONDS", range(PATIENCE, 86_401)))
        slack = inside.enter_context(SlackWebhook())
        twin = inside.enter_context(Twin(TwinOptions(time_scale=TIME_SCALE)))
        waits = {"SpotMaxWaitSeconds": SHORTEST_WAIT, "OnDemandMaxWaitSeconds": SHORTEST_WAIT}
        stack = twin.deploy(ROOT / "template.yaml", stack_name="spotline", parameters={"GangMembers": "2", **waits})
        secret = stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        _start_nothing_by_itself(twin)
        _be_patient_for_minutes(twin, stack)
        cloud = MatrixCloud(twin, stack, slack, orders)
        replace(S3Backend, "put_object", functools.partial(_tell_of_pointers, cloud))
        yield cloud


def _images(folder: Path, orders: Path) -> Path:
    """A project whose images run `matrix_stand_in.py`, which runs the real programs."""
    for stage in DEFINITIONS:
        image = folder / "jobs" / stage
        image.mkdir(parents=True)
        entry_point = ["python", str(Path(__file__).with_name("matrix_stand_in.py")), str(orders), stage]
        (image / "Dockerfile").write_text(f"FROM scratch\nENTRYPOINT {json.dumps(entry_point)}\n")
        (image / stage).symlink_to(ROOT / "jobs" / stage / stage)
    (folder / "layers").symlink_to(ROOT / "layers")
    return folder


def _start_nothing_by_itself(twin: Twin) -> None:
    """Turn the landing's rule off: the tests choose each run's market, which an event does not."""
    events = twin.client("events")
    for rule in events.list_rules()["Rules"]:
        if "aws.s3" in rule.get("EventPattern", ""):
            events.disable_rule(Name=rule["Name"])


def _be_patient_for_minutes(twin: Twin, stack: Stack) -> None:
    """Shorten every queue's patience with a lack of capacity."""
    limit = {
        "state": "RUNNABLE",
        "action": "CANCEL",
        "maxTimeSeconds": PATIENCE,
        "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    }
    for queue in ("MainQueue", "SpotGangQueue", "OnDemandGangQueue"):
        twin.client("batch").update_job_queue(jobQueue=stack.outputs[queue], jobStateTimeLimitActions=[limit])


def _tell_of_pointers(cloud: MatrixCloud, original: Any) -> Any:
    def put_object(backend: Any, bucket_name: str, key_name: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        stored = original(backend, bucket_name, key_name, value, *args, **kwargs)
        if _POINTER.fullmatch(key_name):
            cloud.pointer_written(json.loads(value))
        return stored

    return put_object


def _limited(definition: Mapping[str, Json], memory_mib: int | None, seconds: int | None) -> dict[str, Json]:
    limited: dict[str, Json] = json.loads(json.dumps(definition))
    if seconds is not None:
        limited["timeout"] = {"attemptDurationSeconds": seconds}
    if memory_mib is not None:
        nodes = limited.get("nodeProperties", {}).get("nodeRangeProperties", [])
        for container in [limited.get("containerProperties"), *[group["container"] for group in nodes]]:
            for requirement in (container or {}).get("resourceRequirements", []):
                if requirement["type"] == "MEMORY":
                    requirement["value"] = str(memory_mib)
    return limited
