"""What an instance tells the programs that run on it: EC2's instance metadata (IMDSv2) and ECS's container metadata.

`answer` is a pure function of a request and an instance; `MetadataServer` puts it behind an address. Sources: Amazon EC2
User Guide, "Use the Instance Metadata Service" and "Spot Instance interruption notices"; Amazon ECS Developer Guide,
"Task metadata endpoint version 4".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twin.compute.instances import Instance, Task
    from twin.compute.loop import Loop

_TOKEN_PATH = "/latest/api/token"  # noqa: S105  a path
_TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105  a name
_MAX_TTL_SECONDS = 21_600
_MAX_REQUEST_BYTES = 16_384
_REQUEST_SECONDS = 5.0


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: HTTPStatus
    body: str = ""
    content_type: str = "text/plain"
    headers: Mapping[str, str] | None = None


class Tokens:
    """IMDSv2 session tokens that one instance gave out."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._ends: dict[str, float] = {}

    def issue(self, seconds: int) -> str:
        """A token that is good for `seconds`."""
        self._ends = {token: end for token, end in self._ends.items() if end > self._now()}
        token = secrets.token_urlsafe(40)
        self._ends[token] = self._now() + seconds
        return token

    def good(self, token: str) -> bool:
        """Whether the instance gave out `token` and it has not ended."""
        return self._ends.get(token, 0.0) > self._now()


def answer(method: str, path: str, headers: Mapping[str, str], instance: Instance, tokens: Tokens) -> Reply:
    """What an instance's metadata service replies.

    Parameters
    ----------
    method, path
        As requested.
    headers
        With names in lower case.
    """
    if path.startswith("/v4/"):
        return _container_metadata(path, instance)
    if path == _TOKEN_PATH:
        return _token(method, headers, tokens)
    if method != "GET":
        return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
    if not tokens.good(headers.get(_TOKEN_HEADER, "")):
        return Reply(HTTPStatus.UNAUTHORIZED)
    documents = _documents(instance)
    wanted = path.partition("?")[0]
    if (document := documents.get(wanted.rstrip("/"))) is not None:
        return Reply(HTTPStatus.OK, document)
    listing = _listing(documents, wanted.rstrip("/") + "/")
    return Reply(HTTPStatus.OK, listing) if listing else Reply(HTTPStatus.NOT_FOUND)


def _token(method: str, headers: Mapping[str, str], tokens: Tokens) -> Reply:
    if method != "PUT":
        return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
    if "x-forwarded-for" in headers:  # EC2 refuses a token to an open proxy
        return Reply(HTTPStatus.FORBIDDEN)
    seconds = headers.get(_TTL_HEADER, "")
    if not seconds.isdecimal() or not 1 <= int(seconds) <= _MAX_TTL_SECONDS:
        return Reply(HTTPStatus.BAD_REQUEST)
    return Reply(HTTPStatus.OK, tokens.issue(int(seconds)), headers={_TTL_HEADER: seconds})


def _documents(instance: Instance) -> dict[str, str]:
    hostname = f"ip-{instance.address.replace('.', '-')}.ec2.internal"
    found = {
        "instance-id": instance.id,
        "instance-type": instance.type,
        "instance-life-cycle": "spot" if instance.market.reclaimable else "on-demand",
        "local-ipv4": instance.address,
        "local-hostname": hostname,
        "hostname": hostname,
        "placement/availability-zone": instance.zone,
        "placement/region": instance.region,
    }
    if instance.notice is not None:
        moment = instance.notice.strftime("%Y-%m-%dT%H:%M:%SZ")
        found["spot/instance-action"] = json.dumps({"action": "terminate", "time": moment})
        found["spot/termination-time"] = moment
    documents = {f"/latest/meta-data/{name}": value for name, value in found.items()}
    identity = {
        "accountId": instance.account,
        "availabilityZone": instance.zone,
        "instanceId": instance.id,
        "instanceType": instance.type,
        "privateIp": instance.address,
        "region": instance.region,
        "version": "2017-09-30",
    }
    documents["/latest/dynamic/instance-identity/document"] = json.dumps(identity)
    return documents


def _listing(documents: Mapping[str, str], folder: str) -> str:
    parts = (path[len(folder) :].partition("/") for path in documents if path.startswith(folder))
    return "\n".join(sorted({name + slash for name, slash, _ in parts}))


def _container_metadata(path: str, instance: Instance) -> Reply:
    container, _, part = path.removeprefix("/v4/").partition("/")
    task = instance.tasks.get(container)
    if task is None or part.rstrip("/") not in ("", "task"):
        return Reply(HTTPStatus.NOT_FOUND)
    description = _describe_container(task)
    document: dict[str, Any] = description
    if part:
        document = {
            "Cluster": task.cluster,
            "TaskARN": task.arn,
            "Family": task.family,
            "Revision": str(task.revision),
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "AvailabilityZone": instance.zone,
            "LaunchType": "FARGATE" if instance.market.fargate else "EC2",
            "Containers": [description],
        }
    return Reply(HTTPStatus.OK, json.dumps(document), "application/json")


def _describe_container(task: Task) -> dict[str, Any]:
    # A host-mode container shares its instance's interface: ECS knows of no address that would be the container's own.
    network: dict[str, Any] = {"NetworkMode": "host", "IPv4Addresses": [""]}
    if task.awsvpc:
        network = {"NetworkMode": "awsvpc", "IPv4Addresses": [task.address]}
    return {
        "DockerId": f"{task.id}-{task.container}",
        "Name": task.container,
        "Image": task.image,
        "Labels": {
            "com.amazonaws.ecs.cluster": task.cluster,
            "com.amazonaws.ecs.container-name": task.container,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.family,
            "com.amazonaws.ecs.task-definition-version": str(task.revision),
        },
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Type": "NORMAL",
        "LogDriver": "awslogs",
        "LogOptions": {"awslogs-group": task.log_group, "awslogs-stream": task.log_stream},
        "Networks": [network],
    }


class MetadataServer:
    """Serves one instance's metadata at the instance's own address, in the loop's thread."""

    def __init__(self, loop: Loop, instance: Instance) -> None:
        self._instance = instance
        self._tokens = Tokens()
        self._loop = loop
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((instance.address, 0))
        self._socket.listen(16)
        self._socket.setblocking(False)
        self._server: asyncio.Server | None = None
        self._closed = False
        loop.run(self._serve())

    @property
    def endpoint(self) -> str:
        """The address that stands for ``http://169.254.169.254``."""
        return f"http://{self._instance.address}:{self._socket.getsockname()[1]}"

    async def _serve(self) -> None:
        if not self._closed:
            self._server = await asyncio.start_server(self._converse, sock=self._socket, limit=_MAX_REQUEST_BYTES)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer: clients ask every few seconds, so no connection is kept."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _REQUEST_SECONDS)
            writer.write(_http(self._reply(head.decode("latin-1"))))
            await writer.drain()
        writer.close()

    def _reply(self, head: str) -> Reply:
        request, *lines = head.split("\r\n")
        parts = request.split(" ")
        if len(parts) != 3:
            return Reply(HTTPStatus.BAD_REQUEST)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return answer(parts[0], parts[1], headers, self._instance, self._tokens)

    def close(self) -> None:
        """The instance is gone, and nobody answers at its address."""
        self._closed = True
        self._loop.soon(self._close)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._socket.close()


def _http(reply: Reply) -> bytes:
    body = reply.body.encode()
    headers = {
        "Content-Type": reply.content_type,
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Server": "EC2ws",
        **(reply.headers or {}),
    }
    lines = [f"HTTP/1.1 {reply.status.value} {reply.status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
