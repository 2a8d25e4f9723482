"""Step Functions, EventBridge and Scheduler for tests: the twin's own over HTTP; jobs and functions in memory."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.exceptions import ClientError
from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaBackend
from moto.batch.responses import BatchResponse
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from twin import credentials, events, executions, iam, patches, schedules
from twin.clock import Clock
from twin.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/machine"
WAIT = {"Type": "Wait", "Seconds": 1000, "End": True}
LAUNCH = {"FunctionName": "launch", "Payload": {"token.$": "$$.Task.Token"}}
S3_EVENTS = {"source": ["aws.s3"]}

Json = Any


@dataclass(frozen=True)
class Options:
    """The options of a twin that concern events."""

    enforce_iam: bool = False
    duplicate_events: float = 0.0
    drop_events: float = 0.0
    delay_events: float = 0.0
    seed: int = 0


class FakeBatch:
    """Jobs that end when a test says so, or at once."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.submitted: list[dict[str, Any]] = []
        self.terminated: dict[str, str] = {}
        self.at_once: dict[str, Any] | None = None
        self.silent = False
        self.refuse: str | None = None
        self._changed = threading.Condition()

    def submit(self, request: Mapping[str, Any]) -> tuple[int, dict[str, str], str] | str:
        if self.refuse:
            return 400, {"x-amzn-ErrorType": self.refuse, "status": "400"}, json.dumps({"message": "no"})
        with self._changed:
            job_id = f"job-{len(self.jobs)}"
            self.submitted.append(dict(request))
            self.jobs[job_id] = {"jobId": job_id, "jobName": request["jobName"], "status": "RUNNING", "createdAt": 1}
            self._changed.notify_all()
        if self.at_once is not None:
            self.end(job_id, **self.at_once)
        return json.dumps({"jobId": job_id, "jobName": request["jobName"], "jobArn": f"arn:{job_id}"})

    def end(self, job_id: str, status: str = "SUCCEEDED", **detail: Any) -> None:
        self.jobs[job_id] |= {"status": status, **detail}
        if not self.silent:
            events.emit("aws.batch", "Batch Job State Change", [], self.jobs[job_id])

    def terminate(self, job_id: str, reason: str) -> str:
        with self._changed:
            self.terminated[job_id] = reason
            self._changed.notify_all()
        return ""

    def until(self, holds: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait until `holds` of the jobs."""
        with self._changed:
            assert self._changed.wait_for(holds, seconds), f"in vain: {self.jobs}, terminated {self.terminated}"


class StepsCloud:
    """Clients of the twin under test, with short ways to make what a test needs."""

    def __init__(self) -> None:
        self.batch = FakeBatch()
        self.functions: dict[str, Callable[[Json], Json]] = {}
        self._machines = 0

    def clear(self) -> None:
        """Forget jobs, functions and rules, for the next test of a module."""
        self.batch = FakeBatch()
        self.functions.clear()
        client = self.client("events")
        for rule in client.list_rules()["Rules"]:
            client.remove_targets(Rule=rule["Name"], Ids=["target"])
            client.delete_rule(Name=rule["Name"])

    def tokens(self) -> list[str]:
        """The task tokens that the function ``launch`` is given from here on."""
        given: list[str] = []
        self.functions["launch"] = lambda event: given.append(event["token"])
        return given

    def client(self, service: str) -> Any:
        return credentials.internal_client(service)

    def machine(self, definition: Mapping[str, Json], name: str | None = None) -> str:
        """A state machine; returns its ARN."""
        self._machines += 1
        made = self.client("stepfunctions").create_state_machine(
            name=name or f"machine-{self._machines}", definition=json.dumps(definition), roleArn=ROLE
        )
        return str(made["stateMachineArn"])

    def start(self, definition: Mapping[str, Json], given: Json = None, name: str | None = None) -> str:
        """Start an execution of a new state machine; returns its ARN."""
        return self.start_on(self.machine(definition), given, name)

    def start_on(self, machine: str, given: Json = None, name: str | None = None) -> str:
        """Start an execution of a state machine; returns its ARN."""
        extra = {"name": name} if name else {}
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps({} if given is None else given), **extra
        )
        return str(started["executionArn"])

    def described(self, execution: str) -> dict[str, Any]:
        return dict(self.client("stepfunctions").describe_execution(executionArn=execution))

    def ended(self, execution: str, seconds: float = 10.0) -> dict[str, Any]:
        """The execution once it has ended."""
        end = time.monotonic() + seconds
        while (description := self.described(execution))["status"] == "RUNNING":
            assert time.monotonic() < end, f"waited {seconds} s in vain: {self.history(execution)}"
            time.sleep(0.005)
        return description

    def run(self, definition: Mapping[str, Json], given: Json = None) -> dict[str, Any]:
        """Execute a new state machine to its end."""
        return self.ended(self.start(definition, given))

    def history(self, execution: str) -> list[dict[str, Any]]:
        found = self.client("stepfunctions").get_execution_history(executionArn=execution, maxResults=1000)
        return list(found["events"])

    def events(self, execution: str) -> list[str]:
        """The history's event types, with the state's name where one is entered."""
        return [
            f"{event['type']} {event['stateEnteredEventDetails']['name']}"
            if "stateEnteredEventDetails" in event
            else event["type"]
            for event in self.history(execution)
        ]

    def until_event(self, execution: str, event_type: str, times: int = 1, seconds: float = 5.0) -> None:
        """Wait until the history has `times` events of this type."""
        end = time.monotonic() + seconds
        while sum(event["type"] == event_type for event in self.history(execution)) < times:
            assert time.monotonic() < end, f"no {event_type} in {self.events(execution)}"
            time.sleep(0.005)

    def queue(self, name: str) -> str:
        """A queue; returns its ARN."""
        self.client("sqs").create_queue(QueueName=name)
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Every message in a queue (ARN), taken out."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=queue.rsplit(":", 1)[1])["QueueUrl"]
        found: list[dict[str, Any]] = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            found += batch
        return found

    def bodies(self, queue: str) -> list[Json]:
        """The parsed bodies of every message in a queue, once all deliveries are done."""
        assert events.wait_idle(20)
        return [json.loads(message["Body"]) for message in self.messages(queue)]

    def rule(self, name: str, pattern: Mapping[str, Json], target: str, **settings: Any) -> None:
        """A rule on the default bus with one target."""
        self.client("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
        self.client("events").put_targets(Rule=name, Targets=[{"Id": "target", "Arn": target, **settings}])


@contextlib.contextmanager
def steps_cloud(scale: float = 1.0, options: Options | None = None) -> Iterator[StepsCloud]:
    """A running twin of the three services, and of whatever moto has besides."""
    cloud = StepsCloud()
    clock = Clock(scale)
    with contextlib.ExitStack() as after:
        server = Server(0)
        after.callback(server.stop)
        _forget_everything()
        after.callback(_forget_everything)
        after.enter_context(mock.patch.dict(os.environ, {"MOTO_PORT": str(server.port), "AWS_DEFAULT_REGION": REGION}))
        credentials.connect(server.url)
        after.callback(credentials.disconnect)
        after.callback(patches.restore)
        for part in (iam, events, schedules, executions):
            part.install(options or Options(), clock)
            after.callback(part.stop)
        _use_fakes(cloud)
        server.start()
        cloud.client("iam").create_role(RoleName="machine", AssumeRolePolicyDocument=trust("states.amazonaws.com"))
        yield cloud


def _forget_everything() -> None:
    BackendDict.reset()
    reset_model_data()


def _use_fakes(cloud: StepsCloud) -> None:
    def submit(response: BatchResponse) -> Any:
        return cloud.batch.submit(json.loads(response.body))

    def describe(response: BatchResponse) -> str:
        wanted = json.loads(response.body)["jobs"]
        return json.dumps({"jobs": [cloud.batch.jobs[job_id] for job_id in wanted if job_id in cloud.batch.jobs]})

    def terminate(response: BatchResponse) -> str:
        request = json.loads(response.body)
        return cloud.batch.terminate(request["jobId"], request["reason"])

    def invoke(
        backend: LambdaBackend, name: str, qualifier: Any, body: Any, headers: Any, answer_headers: Any
    ) -> bytes:
        function = cloud.functions.get(name.rsplit(":", 1)[-1])
        if function is None:
            raise UnknownFunctionException(name)
        try:
            answer = function(json.loads(body or "{}"))
        except Exception as error:  # noqa: BLE001  Lambda reports whatever a function raises
            answer_headers["x-amz-function-error"] = "Unhandled"
            answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return json.dumps(answer).encode()

    patches.replace(BatchResponse, "submitjob", lambda original: submit)
    patches.replace(BatchResponse, "describejobs", lambda original: describe)
    patches.replace(BatchResponse, "terminatejob", lambda original: terminate)
    patches.replace(LambdaBackend, "invoke", lambda original: invoke)


def until(holds: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until `holds`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.005)


def refused(sfn: Any, token: str) -> str:
    """The error with which a heartbeat for `token` is refused."""
    try:
        sfn.send_task_heartbeat(taskToken=token)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def trust(service: str) -> str:
    """The trust policy of a role for `service`."""
    allow = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


def task(resource: str, parameters: Mapping[str, Json], **fields: Json) -> dict[str, Json]:
    """A Task state; its last one of the machine unless it says where to go on."""
    last = {} if "Next" in fields else {"End": True}
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Parameters": dict(parameters),
        **last,
        **fields,
    }


def job(**fields: Json) -> dict[str, Json]:
    """A Task state that runs a Batch job and waits for it."""
    return task(
        "batch:submitJob.sync", {"JobName": "job", "JobQueue": "queue", "JobDefinition": "definition"}, **fields
    )


def only(state: Mapping[str, Json]) -> dict[str, Json]:
    """A state machine of one state, called ``Only``."""
    return {"StartAt": "Only", "States": {"Only": dict(state)}}
