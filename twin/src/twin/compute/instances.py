"""The instances that jobs run on: identities and addresses, one per placement, gone when the placement ends."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twin.compute.scheduler import Market

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Task:
    """A container as ECS knows it: what the container metadata endpoint tells it about itself."""

    id: str
    arn: str
    cluster: str
    family: str
    revision: int
    container: str
    image: str
    address: str
    awsvpc: bool
    attachment: str
    log_group: str
    log_stream: str


@dataclass
class Instance:
    """A running EC2 instance, or what Fargate runs a task on.

    `address` is its private IPv4 address; `notice` is when it will be taken back, once that has been announced.
    """

    id: str
    type: str
    market: Market
    address: str
    account: str
    region: str
    zone: str
    container_instance: str
    endpoint: str = ""
    notice: datetime | None = None
    tasks: dict[str, Task] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """What one container runs on."""

    instance: Instance
    task: Task


def new_instance_id() -> str:
    """An EC2 instance id."""
    return f"i-{secrets.token_hex(9)[:17]}"


class Addresses:
    """Private addresses for instances and tasks: loopback addresses of their own on Linux, 127.0.0.1 elsewhere.

    Linux answers on all of 127.0.0.0/8; other systems only on addresses that an administrator has added.
    """

    def __init__(self, distinct: bool | None = None) -> None:
        self._lock = threading.Lock()
        self._used: set[str] = set()
        self._distinct = _has_distinct_loopback() if distinct is None else distinct
        self._next = _cycle(int.from_bytes(os.urandom(2)) | 0x100)

    def take(self) -> str:
        """An address that no living instance or task has."""
        if not self._distinct:
            return LOOPBACK
        with self._lock:
            address = next(address for address in self._next if address not in self._used)
            self._used.add(address)
            return address

    def give_back(self, address: str) -> None:
        """The instance or task that had `address` is gone."""
        with self._lock:
            self._used.discard(address)


def _cycle(start: int) -> Iterator[str]:
    """Hosts of 127.0.0.0/8 but the lowest, in order from some place, so that two twins rarely give out the same."""
    first = int(ipaddress.IPv4Address("127.1.0.1"))
    count = int(ipaddress.IPv4Address("127.254.255.254")) - first
    offset = start * 251
    while True:
        address = ipaddress.IPv4Address(first + offset % count)
        offset += 1
        if address.packed[-1] not in (0, 255):
            yield str(address)


def _has_distinct_loopback() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    with socket.socket() as probe:
        try:
            probe.bind(("127.254.254.254", 0))
        except OSError:
            return False
    return True
