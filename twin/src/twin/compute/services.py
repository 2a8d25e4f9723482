"""What jobs need of the rest of the twin, so that this package can be run, and tested, without it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from twin.clock import Clock
    from twin.compute.processes import Spawn
    from twin.images import ResolveImage

_logger = logging.getLogger(__name__)


class LogGroupMissing(Exception):
    """A container's log group does not exist; the message is the reason ECS would give."""


class Logs(Protocol):
    """Where containers' output goes."""

    def open(self, group: str, stream: str, create_group: bool) -> None:
        """Make a log stream; raises `LogGroupMissing` when there is no such group and none is to be made."""

    def write(self, group: str, stream: str, lines: Sequence[str]) -> None:
        """Append `lines` to a log stream."""


class Emit(Protocol):
    """How an event gets onto the default bus; `twin.events.emit` is one."""

    def __call__(self, source: str, detail_type: str, resources: list[str], detail: dict[str, Any]) -> None:
        """Put an event."""


@dataclass(frozen=True)
class Services:
    """The services that AWS Batch uses, and what the twin gives it besides.

    Parameters
    ----------
    endpoint
        The address of the twin's AWS, as jobs call it.
    credentials
        Keys of a role, as environment variables; raises LookupError for a role that is not deployed.
    zone
        The Availability Zone of a subnet.
    resolve_image
        The program that stands in for a container image; raises `ImageNotFound` when there is none.
    scratch
        Where containers' own folders are made; the system's place when None.
    """

    account: str
    region: str
    clock: Clock
    endpoint: Callable[[], str]
    credentials: Callable[[str], Mapping[str, str]]
    spawn: Spawn
    emit: Emit
    logs: Logs
    zone: Callable[[str], str]
    resolve_image: ResolveImage
    scratch: Path | None = None


class MotoLogs:
    """CloudWatch Logs as moto keeps it."""

    def __init__(self, account: str, region: str) -> None:
        from moto.logs.models import logs_backends  # noqa: PLC0415  only where there is moto

        self._backend = logs_backends[account][region]

    def open(self, group: str, stream: str, create_group: bool) -> None:
        """Make a log stream."""
        if group not in self._backend.groups:
            if not create_group:
                raise LogGroupMissing(
                    "CannotStartContainerError: Error response from daemon: failed to initialize logging driver: failed "
                    "to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not "
                    f"exist: {group}"
                )
            self._backend.ensure_log_group(group)
        self._backend.ensure_log_stream(group, stream)

    def write(self, group: str, stream: str, lines: Sequence[str]) -> None:
        """Append `lines` to a log stream, at the present time."""
        moment = time.time_ns() // 1_000_000
        events = [{"timestamp": moment, "message": line} for line in lines if line]  # CloudWatch refuses empty ones
        if events and group in self._backend.groups:
            self._backend.put_log_events(group, stream, events)


class Notices:
    """A thread that tells others what happened, in order, so that nobody who listens can hold up the jobs."""

    def __init__(self, name: str) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, action: Callable[[], None]) -> None:
        """Do `action` after all that was put before."""
        self._waiting.put(action)

    def _run(self) -> None:
        while (action := self._waiting.get()) is not None:
            try:
                action()
            except Exception:  # a listener's fault must not end the listening of others
                _logger.exception("a listener to job changes failed")

    def stop(self) -> None:
        """Finish what was put, and end the thread."""
        self._waiting.put(None)
        self._thread.join()
