"""The deployed system on the twin, with images whose programs fail on order, for rehearsing failures stage by stage."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import psutil
from moto.s3.models import S3Backend

from cli.deployment import make_twin
from cli.project import LAYER
from cli.slack import SlackWebhook
from tests.twin.deployed import ROOT, Deployed
from twin import FolderImages, Twin, TwinOptions, compute
from twin.compute import validation
from twin.patches import batch, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spotline.runs import Run
    from twin.deployment import Stack

Json = Any

TIME_SCALE = 60.0  # an hour takes a minute, and the shortest Task still has five seconds
SHORTEST_WAIT = "600"  # seconds for capacity, by the template's parameters
PATIENCE = 180  # seconds for capacity, of every queue
DEFINITIONS = {
    "preprocess": ("spotline-preprocess",),
    "analysis": ("spotline-analysis-spot", "spotline-analysis-on-demand"),
    "postprocess": ("spotline-postprocess",),
}
_POINTER = re.compile(r"runs/[^/]+/analysis/checkpoints/pointer\.json")


class MatrixCloud(Deployed):
    """The system under test, and the hands that break and mend it."""

    def __init__(self, twin: Twin, stack: Stack, slack: SlackWebhook, orders: Path) -> None:
        super().__init__(twin, stack, slack)
        self._orders = orders
        self._batch = twin.client("batch")
        self._numbers = itertools.count()
        self._at_checkpoint: Callable[[str], object] | None = None
        self._claimed: dict[str, int] = {}

    # What is seen

    def dataset(self) -> str:
        """A dataset of its own for a run."""
        return f"matrix-{next(self._numbers)}"

    def until_failed(self, run: Run) -> None:
        """Wait until one of the run's Tasks has failed, whatever comes of that."""
        self.until(lambda: any(event["type"] == "TaskFailed" for event in self.history(run)), "a failure")

    def until_running(self, run: Run, stage: str) -> None:
        """Wait until the run's job of a stage runs."""
        self.until(lambda: self._jobs(run, stage, "RUNNING"), f"the {stage} job of {run.run_id}")

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

    # What goes wrong

    def order(self, stage: str, member: int, **what: int) -> None:
        """Tell a member's program what to do in the place of its work."""
        path = self._orders / f"{stage}-{member}"
        path.with_suffix(".new").write_text(json.dumps(what))
        path.with_suffix(".new").rename(path)

    def taken(self, stage: str, member: int) -> None:
        """Wait until an order was taken."""
        path = self._orders / f"{stage}-{member}"
        self.until(lambda: not path.exists(), f"order {path.name} to be taken")

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
        old = {name: self.newest_definition(name) for name in DEFINITIONS[stage]}
        for definition in old.values():
            self._batch.register_job_definition(**_limited(definition, memory_mib, seconds))
        try:
            yield
        finally:
            for definition in old.values():
                self._batch.register_job_definition(**definition)

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


@contextlib.contextmanager
def matrix_cloud(folder: Path) -> Iterator[MatrixCloud]:
    """A twin with the template deployed, images that obey orders, and a Slack that listens."""
    orders = folder / "orders"
    orders.mkdir()
    with contextlib.ExitStack() as inside:
        # AWS takes no timeout below a minute and no queue's patience below ten, which a test need not wait out.
        inside.enter_context(mock.patch.object(validation, "MINIMUM_TIMEOUT_SECONDS", 1))
        inside.enter_context(mock.patch.object(batch, "_TIME_LIMIT_SECONDS", range(PATIENCE, 86_401)))
        slack = inside.enter_context(SlackWebhook())
        twin = inside.enter_context(
            make_twin(TwinOptions(time_scale=TIME_SCALE), resolve_image=_images(folder, orders))
        )
        waits = {"SpotMaxWaitSeconds": SHORTEST_WAIT, "OnDemandMaxWaitSeconds": SHORTEST_WAIT}
        stack = twin.deploy(ROOT / "template.yaml", stack_name="spotline", parameters={"GangMembers": "2", **waits})
        secret = stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        _start_nothing_by_itself(twin)
        _be_patient_for_minutes(twin, stack)
        cloud = MatrixCloud(twin, stack, slack, orders)
        replace(S3Backend, "put_object", functools.partial(_tell_of_pointers, cloud))
        yield cloud


def _images(folder: Path, orders: Path) -> FolderImages:
    """Images that run `matrix_stand_in.py`, which runs the real programs."""
    for stage in DEFINITIONS:
        image = folder / "jobs" / stage
        image.mkdir(parents=True)
        entry_point = ["python", str(Path(__file__).with_name("matrix_stand_in.py")), str(orders), stage]
        (image / "Dockerfile").write_text(f"FROM scratch\nENTRYPOINT {json.dumps(entry_point)}\n")
        (image / stage).symlink_to(ROOT / "jobs" / stage / stage)
    return FolderImages(folder / "jobs", python_path=(LAYER,))


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
