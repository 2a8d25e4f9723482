"""Containers on instances: launched, watched, stopped, and lost with their host."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twin.compute.fleet import Fleet
from twin.compute.jobs import OUT_OF_MEMORY, TASK_FAILED_TO_START, Status, now_ms
from twin.compute.memory import resident_mib
from twin.compute.processes import start
from twin.compute.services import LogGroupMissing
from twin.compute.variables import Node, Placed, batch_variables
from twin.images import ImageNotFound, ImageUnusable, program

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.compute.fleet import Host
    from twin.compute.instances import Instance, Place, Task
    from twin.compute.jobs import Attempt, Job, Member
    from twin.compute.loop import Loop
    from twin.compute.processes import ContainerProcess
    from twin.compute.services import Notices, Services
    from twin.compute.specification import ContainerSpec

STOP_GRACE_SECONDS = 30.0
"""From SIGTERM to SIGKILL (AWS Batch User Guide, "Job timeouts": "a SIGKILL signal is sent … 30 seconds")."""
SHUTDOWN_GRACE_SECONDS = 10.0
"""What a host that is shut down leaves its containers: Docker's own time from SIGTERM to SIGKILL."""
_MEMORY_LOOK_SECONDS = 1.0
_KILL_SECONDS = 5.0
MAX_OVERRIDES_LENGTH = 8192
"""ECS takes no longer overrides; AWS Batch learns it only when it starts the task (Amazon ECS API Reference, RunTask)."""
_SEARCH_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


class StartFailed(Exception):
    """A container did not start; the message is the reason ECS would give, `status_reason` what the job's says."""

    def __init__(self, reason: str, status_reason: str = TASK_FAILED_TO_START) -> None:
        super().__init__(reason)
        self.status_reason = status_reason


class Runner:
    """Runs members of attempts. Its methods are for the thread of `loop`, unless they say otherwise."""

    def __init__(
        self, loop: Loop, notices: Notices, services: Services, ended: Callable[[Job, Attempt, Member], None]
    ) -> None:
        self._loop = loop
        self._notices = notices
        self._services = services
        self._ended = ended
        self._fleet = Fleet(loop, services.account, services.region)
        self._running: set[Member] = set()
        self._looking = False

    def launch(self, job: Job, attempt: Attempt, host: Host) -> None:
        """Give each member of an attempt its place.

        Raises
        ------
        StartFailed
            This machine has no address or port left for another instance.
        """
        try:
            for member in attempt.members:
                member.place = self._fleet.launch(job, member.spec, member.instance_type, host)
        except OSError as error:
            raise StartFailed(f"CannotStartContainerError: no instance can be launched here: {error}") from error

    def start(self, job: Job, attempt: Attempt, member: Member) -> None:
        """Start a member at its place.

        Raises
        ------
        StartFailed
            ECS could not start such a container either, or the twin has nothing to stand in for its image.
        """
        spec, place = member.spec, member.place
        if place is None:
            raise StartFailed("CannotStartContainerError: the container has no instance")
        if _length_of_overrides(job) > MAX_OVERRIDES_LENGTH:
            message = f"Container Overrides length must be at most {MAX_OVERRIDES_LENGTH}"
            raise StartFailed(message, status_reason=message)
        try:
            image = self._services.resolve_image(spec.image)
            environment = self._environment(job, attempt, member, place) | {**image.environment, **spec.environment}
            argv = program(image, spec.command, environment["PATH"])
            member.process = start(
                self._loop,
                self._services.spawn,
                argv,
                environment,
                lines=self._log(spec, place.task),
                ended=partial(self._on_exit, job, attempt, member),
                has_init=spec.has_init,
                scratch=self._services.scratch,
            )
        except (ImageNotFound, ImageUnusable, LogGroupMissing, OSError) as error:
            raise StartFailed(str(error)) from error
        except LookupError as error:
            raise StartFailed(f"ECS was unable to assume the role '{spec.job_role}': {error}") from error
        member.started_at = now_ms()
        member.status = Status.RUNNING
        self._running.add(member)
        self._look_at_memory_later()

    def _log(self, spec: ContainerSpec, task: Task) -> Callable[[list[str]], None]:
        if not spec.logs_to_cloudwatch:
            return _discard
        self._services.logs.open(task.log_group, task.log_stream, spec.creates_log_group)
        return partial(self._services.logs.write, task.log_group, task.log_stream)

    def _environment(self, job: Job, attempt: Attempt, member: Member, place: Place) -> dict[str, str]:
        main = attempt.members[job.main_node].place or place
        placed = Placed(
            job_id=job.id,
            attempt=attempt.number,
            queue=job.queue.name,
            compute_environment=attempt.environment,
            array_index=job.array_index,
            array_size=job.submission.array_size,
            node=Node(member.index, len(attempt.members), job.main_node, main.task.address) if job.multinode else None,
        )
        fargate = place.instance.market.fargate
        variables = {
            "PATH": _SEARCH_PATH,
            "AWS_REGION": self._services.region,
            "AWS_DEFAULT_REGION": self._services.region,
            "AWS_ENDPOINT_URL": self._services.endpoint(),
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE" if fargate else "AWS_ECS_EC2",
            "ECS_CONTAINER_METADATA_URI_V4": f"{place.instance.endpoint}/v4/{place.task.id}",
            **batch_variables(placed),
        }
        if not fargate:
            variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = place.instance.endpoint
        if member.spec.job_role:
            variables |= self._services.credentials(member.spec.job_role)
        return variables

    def _on_exit(self, job: Job, attempt: Attempt, member: Member, process: ContainerProcess) -> None:
        self._running.discard(member)
        self._notices.put(process.remove_folder)
        member.stopped_at = now_ms()
        member.exit_code = None if member.lost_at_once else process.exit_code
        if member.out_of_memory:
            member.reason = OUT_OF_MEMORY
        succeeded = process.exit_code == 0 and not member.lost
        member.status = Status.SUCCEEDED if succeeded else Status.FAILED
        self._ended(job, attempt, member)

    def stop(self, member: Member, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """SIGTERM now and SIGKILL when the grace is over. From any thread."""
        process = member.process
        if process is None or not process.running:
            return
        process.terminate()
        self._loop.later(self._services.clock.real(grace_seconds), _kill_if_running, process)

    def announce(self, instance: Instance, seconds: float) -> None:
        """Write into an instance's metadata that it will be taken back in `seconds` of this machine. From any thread."""
        instance.notice = self._services.clock.now() + timedelta(seconds=seconds)

    def lose(self, member: Member, reason: str, grace_seconds: float = SHUTDOWN_GRACE_SECONDS) -> None:
        """A member's host shuts down: SIGTERM, and SIGKILL when the grace is over. From any thread."""
        if member.process is not None and member.process.running:
            member.lost = reason
            self.stop(member, grace_seconds)

    def lose_at_once(self, member: Member, reason: str) -> None:
        """A member's host is gone: its processes are dead when this returns. From any thread, without a lock."""
        process = member.process
        if process is not None and process.running:
            member.lost, member.lost_at_once = reason, True
            process.kill()
            process.wait(_KILL_SECONDS)

    def release(self, member: Member) -> None:
        """The member is over, and so is its instance."""
        if member.place is not None:
            self._fleet.release(member.place)

    def kill_all(self) -> None:
        """SIGKILL everything, for the end of the twin. From any thread."""
        running = [member.process for member in list(self._running) if member.process]
        for process in running:
            process.kill()
        for process in running:
            process.wait(_KILL_SECONDS)
            process.remove_folder()
        self._fleet.close()

    def _look_at_memory_later(self) -> None:
        if not self._looking and self._running:
            self._looking = True
            self._loop.later(_MEMORY_LOOK_SECONDS, self._look_at_memory)

    def _look_at_memory(self) -> None:
        """End containers that use more than their hard limit, as the kernel does on a host with cgroups."""
        self._looking = False
        limited = {member.process.pid: member for member in self._running if member.process}
        for session, used in resident_mib(limited.keys()).items():
            member = limited[session]
            if 0 < member.spec.resources.memory < used and member.process:
                member.out_of_memory = True
                member.process.kill()
        self._look_at_memory_later()


def _kill_if_running(process: ContainerProcess) -> None:
    if process.running:
        process.kill()


def _discard(lines: list[str]) -> None:
    """What is written to a log driver other than ``awslogs`` goes nowhere here."""


def _length_of_overrides(job: Job) -> int:
    overrides = job.submission.node_overrides or job.submission.container_overrides
    return len(json.dumps(overrides, separators=(",", ":"))) if overrides else 0
