"""Lambda for tests: the twin's own functions over HTTP, on an empty account of moto's server."""

from __future__ import annotations

import contextlib
import io
import json
import time
import zipfile
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from twin import credentials, functions, guardian, patches
from twin.clock import Clock
from twin.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIME_SCALE = 300.0
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass
class FunctionsCloud:
    """Clients of the twin's functions, with short ways to make what a test needs."""

    role: str = ""
    names: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return credentials.internal_client(service)

    def deploy(self, source: str, **configuration: Any) -> str:
        """Deploy a module `app` with a function `handler`; its name."""
        name = f"function-{len(self.names)}"
        self.names.append(name)
        settings = {"Runtime": "python3.12", "Handler": "app.handler", "Role": self.role, "Timeout": 10}
        self.client("lambda").create_function(
            FunctionName=name, Code={"ZipFile": package({"app.py": source})}, **{**settings, **configuration}
        )
        return name

    def invoke(self, name: str, payload: Any = None, **options: Any) -> Answer:
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload).encode(), **options)
        return Answer(answer, answer["Payload"].read())

    def queue(self, name: str) -> tuple[str, str]:
        """A new queue: its URL and its ARN."""
        url = self.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:us-east-1:{credentials.account()}:{name}"

    def receive(self, url: str) -> dict[str, Any] | None:
        """The next message within a minute."""
        for _ in range(4):
            found = self.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=15, MessageAttributeNames=["All"])
            if found.get("Messages"):
                return dict(found["Messages"][0])
        return None

    def log(self, group: str) -> list[str]:
        found = self.client("logs").filter_log_events(logGroupName=group)
        return [event["message"] for event in found["events"]]


@dataclass
class Answer:
    response: dict[str, Any]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str | None:
        return self.response.get("FunctionError")


def package(files: dict[str, str]) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return body.getvalue()


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@contextlib.contextmanager
def functions_cloud(time_scale: float = TIME_SCALE) -> Iterator[FunctionsCloud]:
    """moto's server and the twin's functions on an empty account."""
    BackendDict.reset()
    reset_model_data()
    server = Server(0)
    credentials.connect(server.url)
    functions.install(SimpleNamespace(enforce_iam=False), Clock(time_scale))
    server.start()
    try:
        iam = credentials.internal_client("iam")
        yield FunctionsCloud(
            iam.create_role(RoleName="works", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        )
    finally:
        functions.stop()
        patches.restore()
        server.stop()
        credentials.disconnect()
        guardian.stop()
