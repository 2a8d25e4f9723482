"""What a member learns from its instance: its own address, and Spot interruption notices, which it writes to S3.

The metadata services are plain HTTP on a link-local address, read without an SDK so that a supervisor stays small.
"""

import asyncio
import contextlib
import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from analysis.membership import Formation, Member
from analysis.settings import Settings, open_storage
from spotline.documents import DocumentError, parse_object
from spotline.layout import notice_key
from spotline.settings import SettingsError

INSTANCE_METADATA = "http://169.254.169.254"
_TOKEN_SECONDS = 21600
# Metadata services are throttled and may be late after a boot: one failure is no reason to call a run misconfigured.
_ATTEMPTS, _PAUSE_SECONDS = 5, 1.0
_NO_ADDRESS = "this member cannot find its own address"
_WAY_OUT = "In host mode the instance must allow IMDSv2 with a hop limit of 2; MEMBER_ADDRESS sets the address by hand"


class MetadataUnavailable(OSError):
    """The metadata service did not answer, or its answer was of no use."""


@dataclass(frozen=True)
class InstanceMetadata:
    """Instance metadata, version 2 ("Use IMDSv2", EC2 user guide). `base` is the service's address."""

    base: str = INSTANCE_METADATA
    timeout: float = 2

    @classmethod
    def discover(cls, environ: Mapping[str, str]) -> "InstanceMetadata | None":
        """The service that the AWS SDKs would use, by the same variables; None when it is switched off."""
        if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return None
        return cls(environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or INSTANCE_METADATA)

    def read_local_ipv4(self) -> str:
        """The instance's private address, which is also that of a container in host mode."""
        address = self._get("local-ipv4")
        if address is None:
            raise MetadataUnavailable(f"{self.base} has no local-ipv4")
        return address

    def read_spot_notice(self) -> dict[str, object] | None:
        """The instance's interruption notice (`action`, `time`), or None while there is none."""
        body = self._get("spot/instance-action")
        return None if body is None else _parse(body, f"{self.base}, spot/instance-action")

    def _get(self, item: str) -> str | None:
        lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        status, token = _request("PUT", f"{self.base}/latest/api/token", lifetime, self.timeout)
        if status != http.client.OK:
            raise MetadataUnavailable(f"{self.base} gave no token: HTTP {status}")
        status, body = _request(
            "GET", f"{self.base}/latest/meta-data/{item}", {"X-aws-ec2-metadata-token": token}, self.timeout
        )
        if status == http.client.NOT_FOUND:
            return None
        if status != http.client.OK:
            raise MetadataUnavailable(f"{self.base} answered HTTP {status} for {item}")
        return body.strip()


def read_container_address(environ: Mapping[str, str], timeout: float = 2) -> str:
    """A container's own address in awsvpc mode ("Task metadata endpoint version 4", ECS developer guide)."""
    base = environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if not base:
        raise MetadataUnavailable("ECS_CONTAINER_METADATA_URI_V4 is not set")
    status, body = _request("GET", base, {}, timeout)
    if status != http.client.OK:
        raise MetadataUnavailable(f"{base} answered HTTP {status}")
    networks = _parse(body, base).get("Networks")
    for network in networks if isinstance(networks, list) else ():
        addresses = network.get("IPv4Addresses") if isinstance(network, dict) else None
        for address in filter(None, addresses if isinstance(addresses, list) else ()):
            return str(address)  # in host mode ECS lists one empty address
    raise MetadataUnavailable(f"{base} names no IPv4 address")


def find_own_address(member: Member, environ: Mapping[str, str]) -> str:
    """The address under which the other members reach this one.

    Raises
    ------
    SettingsError
        When the metadata service does not answer, though it was asked several times.
    """
    if member.formation is Formation.ALONE:
        return "127.0.0.1"
    if member.formation is Formation.MULTI_NODE:
        ask: Callable[[], str] = partial(read_container_address, environ)
    elif instance := InstanceMetadata.discover(environ):
        ask = instance.read_local_ipv4
    else:
        raise SettingsError(f"{_NO_ADDRESS}: AWS_EC2_METADATA_DISABLED is true. {_WAY_OUT}")
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(OSError):
            return ask()
        time.sleep(_PAUSE_SECONDS)
    try:
        return ask()
    except OSError as cause:
        raise SettingsError(f"{_NO_ADDRESS}: {cause}. {_WAY_OUT}") from cause


@dataclass(frozen=True)
class Notice:
    """Why this member must leave. `spot`: EC2's Spot interruption notice, with its `action` and `time`. `sigterm`: the container is being stopped."""

    kind: str
    details: dict[str, Any] = field(default_factory=dict)


async def wait_for_spot_notice(instance: InstanceMetadata, seconds: float) -> dict[str, Any]:
    """Wait for the instance's interruption notice. A metadata service that fails is asked again: notices are best effort anyway."""
    while True:
        with contextlib.suppress(MetadataUnavailable, OSError):
            notice = await asyncio.to_thread(instance.read_spot_notice)
            if notice is not None:
                return notice
        await asyncio.sleep(seconds)


def write_notice(settings: Settings, member: Member, notice: Notice) -> None:
    """Write the notice beside the checkpoints, where it counts as an interruption, whatever the exit codes are."""
    record = {"job_id": member.job_id, "generation": settings.generation, "member": member.index, **asdict(notice)}
    results = open_storage(settings, member.job_id).results
    results.write(notice_key(member.job_id, member.index), json.dumps(record).encode())


def _parse(body: str, name: str) -> dict[str, Any]:
    try:
        return parse_object(body, name)
    except DocumentError as cause:
        raise MetadataUnavailable(str(cause)) from cause


def _request(method: str, url: str, headers: Mapping[str, str], timeout: float) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(method, parts.path or "/", headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except http.client.HTTPException as cause:
        raise MetadataUnavailable(f"{url}: {cause!r}") from cause
    finally:
        connection.close()
