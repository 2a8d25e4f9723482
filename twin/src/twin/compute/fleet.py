"""Launches what a container runs on: an instance with its metadata service, and the ECS task."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twin.compute.instances import Addresses, Instance, Place, Task, new_instance_id
from twin.compute.metadata import MetadataServer

if TYPE_CHECKING:
    from twin.compute.jobs import Job
    from twin.compute.loop import Loop
    from twin.compute.scheduler import Market
    from twin.compute.specification import ContainerSpec


@dataclass(frozen=True)
class Host:
    """Where an attempt's members run: the environment's name, its ECS cluster, market and Availability Zone."""

    environment: str
    cluster: str
    market: Market
    zone: str


class Fleet:
    """All instances of the twin: one for each container, from its start to its end. Methods are for any thread."""

    def __init__(self, loop: Loop, account: str, region: str) -> None:
        self._loop = loop
        self._account = account
        self._region = region
        self._addresses = Addresses()
        self._servers: dict[str, MetadataServer] = {}
        self._lock = threading.Lock()

    def launch(self, job: Job, spec: ContainerSpec, instance_type: str, host: Host) -> Place:
        """A new instance with a task of `job` on it.

        A multi-node job's tasks, and Fargate's, have a network interface and so an address of their own (``awsvpc``
        mode); the others share their instance's.

        Raises
        ------
        OSError
            This machine has no port or address left.
        """
        instance = self._launch_instance(instance_type, host)
        awsvpc = job.multinode or host.market.fargate
        task_id = secrets.token_hex(16)
        task = Task(
            id=task_id,
            arn=self._ecs_arn(f"task/{host.cluster}/{task_id}"),
            cluster=host.cluster,
            family=job.definition.name,
            revision=job.definition.revision,
            container="default",
            image=spec.image,
            address=self._addresses.take() if awsvpc else instance.address,
            awsvpc=awsvpc,
            attachment=secrets.token_hex(18) if awsvpc else "",
            log_group=spec.log_group,
            log_stream=f"{spec.log_prefix or job.definition.name}/default/{task_id}",
        )
        instance.tasks[task.id] = task
        return Place(instance, task)

    def _launch_instance(self, kind: str, host: Host) -> Instance:
        instance = Instance(
            id=new_instance_id(),
            type=kind,
            market=host.market,
            address=self._addresses.take(),
            account=self._account,
            region=self._region,
            zone=host.zone,
            container_instance=self._ecs_arn(f"container-instance/{host.cluster}/{secrets.token_hex(16)}"),
        )
        server = MetadataServer(self._loop, instance)
        instance.endpoint = server.endpoint
        with self._lock:
            self._servers[instance.id] = server
        return instance

    def _ecs_arn(self, resource: str) -> str:
        return f"arn:aws:ecs:{self._region}:{self._account}:{resource}"

    def release(self, place: Place) -> None:
        """The container is over: the instance goes away, and with it its metadata and addresses."""
        with self._lock:
            server = self._servers.pop(place.instance.id, None)
        if server is not None:
            server.close()
            self._addresses.give_back(place.instance.address)
            self._addresses.give_back(place.task.address)

    def close(self) -> None:
        """All instances go away."""
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.close()
