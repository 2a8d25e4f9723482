"""AWS Batch for tests: moto's API in process, jobs as real processes, everything around them recorded in memory."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from clouds.clients import REGION, client
from twin import guardian, patches
from twin.clock import Clock
from twin.compute.control import Control
from twin.compute.service import JobService
from twin.compute.services import MotoLogs, Services
from twin.images import FolderImages
from twin.patches import batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

ACCOUNT = "123456789012"
GROUP = "/aws/batch/job"


class BatchCloud:
    """A client of the Batch that is under test, with short ways to make what a test needs."""

    def __init__(self, control: Control, client: Any, root: Path, network: Mapping[str, Any]) -> None:
        self.control = control
        self.client = client
        self.root = root
        self.events: list[dict[str, Any]] = []
        self.prefix = ""
        """Stands before the names of queues and environments, so that tests can share a cloud but not its capacity."""
        self._network = network

    def environment(
        self, name: str, kind: str = "EC2", vcpus: int = 16, state: str | None = "ENABLED", **resources: Any
    ) -> str:
        """A compute environment of type `kind`, named after the prefix; returns its ARN."""
        ec2 = {"minvCpus": 0, "instanceRole": "instance-profile", "instanceTypes": ["optimal"]}
        described = {
            "type": kind,
            "maxvCpus": vcpus,
            **({} if "FARGATE" in kind else ec2),
            **self._network,
            **resources,
        }
        made = self.client.create_compute_environment(
            computeEnvironmentName=self.prefix + name,
            type="MANAGED",
            **({"state": state} if state else {}),
            computeResources=described,
            serviceRole=f"arn:aws:iam::{ACCOUNT}:role/service",
        )
        return str(made["computeEnvironmentArn"])

    def queue(self, name: str, *environments: str, priority: int = 1, **others: Any) -> str:
        """A job queue with `environments` (ARNs) in order, named after the prefix; returns `name`."""
        order = [{"order": at, "computeEnvironment": arn} for at, arn in enumerate(environments, 1)]
        self.client.create_job_queue(
            jobQueueName=self.prefix + name, priority=priority, state="ENABLED", computeEnvironmentOrder=order, **others
        )
        return name

    def definition(self, name: str, *command: str, vcpus: float = 1, memory: int = 512, **others: Any) -> str:
        """A container job definition of the image ``shell``, which runs its command as it is; returns its name."""
        container = container_properties(*command, vcpus=vcpus, memory=memory, **others.pop("container", {}))
        self.client.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **others
        )
        return name

    def gang(self, name: str, nodes: int, *command: str, **others: Any) -> str:
        """A multi-node job definition with one open node range; returns its name."""
        ranges = [{"targetNodes": "0:", "container": container_properties(*command)}]
        properties = {"numNodes": nodes, "mainNode": 0, "nodeRangeProperties": ranges}
        self.client.register_job_definition(
            jobDefinitionName=name, type="multinode", nodeProperties=properties, **others
        )
        return name

    def submit(self, definition: str, queue: str, name: str = "job", **others: Any) -> str:
        """Submit a job to a queue of this prefix; returns its id."""
        made = self.client.submit_job(jobName=name, jobQueue=self.prefix + queue, jobDefinition=definition, **others)
        return str(made["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as DescribeJobs shows it now."""
        return dict(self.client.describe_jobs(jobs=[job_id])["jobs"][0])

    def until(self, job_id: str, *states: str, seconds: float = 20.0) -> dict[str, Any]:
        """The job once it is in one of `states`."""
        return self.when(job_id, lambda job: job["status"] in states, seconds)

    def ended(self, job_id: str, seconds: float = 20.0) -> dict[str, Any]:
        """The job once it has ended."""
        return self.until(job_id, "SUCCEEDED", "FAILED", seconds=seconds)

    def when(self, job_id: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 20.0) -> dict[str, Any]:
        """The job once `holds` of it."""
        end = time.monotonic() + seconds
        while not holds(job := self.job(job_id)):
            assert time.monotonic() < end, f"waited {seconds} s in vain, the job is {json.dumps(job, indent=1)}"
            time.sleep(0.01)
        return job

    def output(self, job: Mapping[str, Any], group: str = GROUP) -> list[str]:
        """The lines that a described job's container wrote."""
        logs = client("logs")
        stream = job["container"]["logStreamName"]
        return [event["message"] for event in logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]]

    def statuses(self, job_id: str) -> list[str]:
        """The states in events, in order."""
        return [event["detail"]["status"] for event in self.changes(job_id)]

    def statuses_when(self, job_id: str, status: str, seconds: float = 5.0) -> list[str]:
        """The states in events, once one of them has `status`."""
        end = time.monotonic() + seconds
        while status not in (states := self.statuses(job_id)):
            assert time.monotonic() < end, f"no event has {status}, only of {states}"
            time.sleep(0.01)
        return states

    def first_of(self, what: str, seconds: float = 5.0) -> dict[str, Any]:
        """The first event of a type, once there is one."""
        end = time.monotonic() + seconds
        while not (found := [event for event in self.events if event["type"] == what]):
            assert time.monotonic() < end, f"no event {what}, only {[event['type'] for event in self.events]}"
            time.sleep(0.01)
        return found[0]

    def changes(self, job_id: str) -> list[dict[str, Any]]:
        """State change events of a job, in order."""
        what = "Batch Job State Change"
        return [event for event in self.events if event["type"] == what and event["detail"]["jobId"] == job_id]


def container_properties(*command: str, vcpus: float = 1, memory: int = 512, **others: Any) -> dict[str, Any]:
    """Properties of a container of the image ``shell``."""
    return {
        "image": "shell:latest",
        "command": list(command),
        "resourceRequirements": [
            {"type": "VCPU", "value": str(vcpus)},
            {"type": "MEMORY", "value": str(memory)},
            *others.pop("resources", []),
        ],
        **others,
    }


@contextlib.contextmanager
def batch_cloud(root: Path, *, scale: float = 1.0, noop: bool = False) -> Iterator[BatchCloud]:
    """A running Batch whose images are the folders of ``root/jobs``; ``shell`` is one without an entry point."""
    (root / "jobs" / "shell").mkdir(parents=True, exist_ok=True)
    (root / "jobs" / "shell" / "Dockerfile").write_text("FROM scratch\n")
    BackendDict.reset()
    no_images = mock.patch.dict(os.environ, MOTO_EC2_LOAD_DEFAULT_AMIS="false")  # thousands, which no test looks at
    with no_images, mock_aws(), contextlib.ExitStack() as after:
        events: list[dict[str, Any]] = []

        def emit(source: str, detail_type: str, resources: Sequence[str], detail: Mapping[str, Any]) -> None:
            events.append({"source": source, "type": detail_type, "resources": resources, "detail": detail})

        def credentials(role: str) -> dict[str, str]:
            if role.endswith("/missing"):
                raise LookupError(f"no role {role} is deployed in the twin")
            return {"AWS_ACCESS_KEY_ID": f"key of {role}", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "y"}

        services = Services(
            account=ACCOUNT,
            region=REGION,
            clock=Clock(scale),
            endpoint=lambda: "http://127.0.0.1:4566",
            credentials=credentials,
            spawn=guardian.spawn,
            emit=emit,
            logs=MotoLogs(ACCOUNT, REGION),
            zone=lambda subnet: f"{REGION}a",
            resolve_image=FolderImages(root / "jobs"),
            scratch=None,
        )
        control = Control(services, stand_in=(lambda _: None) if noop else None)
        after.callback(control.stop)
        batch.install(JobService(control), control.look_for_room)
        after.callback(patches.restore)
        cloud = BatchCloud(control, client("batch"), root, account_network())
        cloud.events = events
        yield cloud


def account_network() -> dict[str, Any]:
    """The network that compute environments must name; the roles that they must name are made, unless there are any."""
    iam = iam_backends[ACCOUNT]["aws"]
    if not iam.instance_profiles:
        for role in ("service", "instance"):
            iam.create_role(role, "{}", "/", None, "", [], None)
        iam.create_instance_profile("instance-profile", "/", ["instance"])
    ec2 = ec2_backends[ACCOUNT][REGION]
    return {
        "subnets": [ec2.describe_subnets()[0].id],
        "securityGroupIds": [ec2.describe_security_groups()[0].id],
    }
