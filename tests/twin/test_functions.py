"""Deployed functions behave as on Lambda. Sources: the Lambda developer guide's pages named beside the cases."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import io
import json
import re
import threading
import time
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.exceptions import ClientError
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from twin import credentials, functions, guardian, patches
from twin.clock import Clock
from twin.functions import execution
from twin.functions.retries import Attempt, Settings, failed_delay_seconds, throttled_delay_seconds
from twin.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(60)

TIME_SCALE = 300.0
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass
class Cloud:
    """moto's server with the twin's functions."""

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
        """The next message within some seconds."""
        found = self.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=15, MessageAttributeNames=["All"])
        return next(iter(found.get("Messages", [])), None)

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
def running(time_scale: float) -> Iterator[Cloud]:
    """moto's server and the twin's functions on an empty account."""
    BackendDict.reset()
    reset_model_data()
    server = Server(0)
    credentials.connect(server.url)
    functions.install(SimpleNamespace(enforce_iam=False), Clock(time_scale))
    server.start()
    try:
        iam = credentials.internal_client("iam")
        yield Cloud(iam.create_role(RoleName="works", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"])
    finally:
        functions.stop()
        patches.restore()
        server.stop()
        credentials.disconnect()
        guardian.stop()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running(TIME_SCALE) as cloud:
        yield cloud


def test_stopping_leaves_no_process_and_no_thread() -> None:
    # Given functions at work: one idle, one in the middle of an invocation, one about to be tried again in a minute
    before = set(threading.enumerate())
    with running(time_scale=1.0) as cloud:
        pids = [cloud.invoke(cloud.deploy("import os\ndef handler(event, context): return os.getpid()")).value]
        flag = guardian.scratch("busy") / "pid"
        busy = cloud.deploy(
            "import os, pathlib, time\ndef handler(event, context):\n"
            "    path = pathlib.Path(event); path.with_suffix('.new').write_text(str(os.getpid()))\n"
            "    path.with_suffix('.new').rename(path); time.sleep(60)",
            Timeout=60,
        )
        cloud.invoke(busy, str(flag), InvocationType="Event")
        assert eventually(flag.exists)
        pids.append(int(flag.read_text()))
        cloud.invoke(cloud.deploy("def handler(event, context): raise ValueError"), InvocationType="Event")
        # When they are stopped
        started = time.monotonic()
    # Then it is quick, and nothing is left
    assert time.monotonic() - started < 5
    assert not any(_runs(pid) for pid in pids)
    assert eventually(lambda: not [t for t in threading.enumerate() if t not in before and t.name.startswith("twin-")])


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_function_answers_with_what_its_handler_returns(cloud: Cloud) -> None:
    name = cloud.deploy("def handler(event, context): return {'got': event, 'id': context.aws_request_id}")
    answer = cloud.invoke(name, {"a": [1, None]})
    assert answer.value == {"got": {"a": [1, None]}, "id": answer.response["ResponseMetadata"]["RequestId"]}
    assert (answer.response["StatusCode"], answer.response["ExecutedVersion"], answer.error) == (200, "$LATEST", None)


def test_an_invocation_without_a_payload_gets_an_empty_object(cloud: Cloud) -> None:
    name = cloud.deploy("def handler(event, context): return event")
    assert cloud.client("lambda").invoke(FunctionName=name)["Payload"].read() == b"{}"


def test_a_payload_of_megabytes_goes_in_and_out(cloud: Cloud) -> None:
    name = cloud.deploy("def handler(event, context): return event")
    text = "x" * 5_000_000
    assert cloud.invoke(name, text).value == text


def test_an_answer_beyond_lambdas_quota_is_a_function_error(cloud: Cloud) -> None:
    name = cloud.deploy("def handler(event, context): return 'x' * 7_000_000")
    answer = cloud.invoke(name)
    assert answer.error == "Unhandled"
    assert answer.value["errorType"] == "Function.ResponseSizeTooLarge"


class TestInstances:
    """ "Understanding the Lambda execution environment lifecycle"."""

    COUNTS = "import os\nn = 0\ndef handler(event, context):\n    global n; n += 1\n    return [os.getpid(), n]"

    def test_a_second_invocation_finds_the_instance_warm(self, cloud: Cloud) -> None:
        name = cloud.deploy(self.COUNTS)
        (pid, first), (other_pid, second) = cloud.invoke(name).value, cloud.invoke(name).value
        assert (pid, first, second) == (other_pid, 1, 2)

    def test_concurrent_invocations_have_an_instance_each(self, cloud: Cloud) -> None:
        # Given a function whose invocations wait until three of them run
        name = cloud.deploy(
            "import os, time, pathlib\n"
            "def handler(event, context):\n"
            "    here = pathlib.Path(event)\n"
            "    (here / str(os.getpid())).touch()\n"
            "    while len(list(here.iterdir())) < 3: time.sleep(0.01)\n"
            "    return os.getpid()"
        )
        folder = guardian.scratch("together")
        # When it is invoked three times at once
        with concurrent.futures.ThreadPoolExecutor(3) as threads:
            answers = list(threads.map(lambda _: cloud.invoke(name, str(folder)), range(3)))
        # Then they met
        assert len({answer.value for answer in answers}) == 3

    def test_an_instance_stands_still_between_invocations(self, cloud: Cloud) -> None:
        # Given a handler that leaves a thread behind
        name = cloud.deploy(
            "import threading, time\nticks = []\n"
            "def tick():\n    while True: ticks.append(1); time.sleep(0.01)\n"
            "threading.Thread(target=tick, daemon=True).start()\n"
            "def handler(event, context):\n    time.sleep(0.1)\n    return len(ticks)"
        )
        before = cloud.invoke(name).value
        # When a second passes in which it could have ticked a hundred times
        time.sleep(1.0)
        # Then it ticked during the invocations only
        assert cloud.invoke(name).value - before < 50

    def test_new_code_runs_in_a_new_instance(self, cloud: Cloud) -> None:
        name = cloud.deploy("def handler(event, context): return 'old'")
        cloud.invoke(name)
        code = package({"app.py": "def handler(event, context): return 'new'"})
        cloud.client("lambda").update_function_code(FunctionName=name, ZipFile=code)
        assert cloud.invoke(name).value == "new"

    def test_new_configuration_runs_in_a_new_instance(self, cloud: Cloud) -> None:
        name = cloud.deploy("import os\ndef handler(event, context): return os.environ.get('COLOUR')")
        cloud.invoke(name)
        cloud.client("lambda").update_function_configuration(
            FunctionName=name, Environment={"Variables": {"COLOUR": "blue"}}
        )
        assert cloud.invoke(name).value == "blue"

    def test_an_idle_instance_that_somebody_killed_is_replaced(self, cloud: Cloud) -> None:
        name = cloud.deploy(self.COUNTS)
        pid, _ = cloud.invoke(name).value
        psutil.Process(pid).kill()
        eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        assert cloud.invoke(name).value[1] == 1


class TestErrors:
    """ "Understanding retry behavior in Lambda" and "Using the Lambda runtime API"; shapes as Lambda returns them."""

    def test_an_exception_comes_back_with_type_message_and_stack(self, cloud: Cloud) -> None:
        name = cloud.deploy("class Refused(Exception): pass\ndef handler(event, context): raise Refused('no')")
        answer = cloud.invoke(name)
        assert (answer.error, answer.response["StatusCode"]) == ("Unhandled", 200)
        assert answer.value["errorType"] == "Refused"
        assert answer.value["errorMessage"] == "no"
        assert "line 2, in handler" in answer.value["stackTrace"][0]

    def test_a_function_that_runs_too_long_is_killed_and_says_so(self, cloud: Cloud) -> None:
        name = cloud.deploy("import time\ndef handler(event, context): time.sleep(30 if event else 0)", Timeout=1)
        answer = cloud.invoke(name, {"long": True}, LogType="Tail")
        request_id = answer.response["ResponseMetadata"]["RequestId"]
        assert answer.error == "Unhandled"
        assert answer.value == {
            "errorType": "Sandbox.Timedout",
            "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
        }
        tail = base64.b64decode(answer.response["LogResult"]).decode()
        assert f"{request_id} Task timed out after 1.00 seconds" in tail
        assert re.search(r"REPORT .*\tDuration: 10\d\d\.\d\d ms\t.*\tStatus: timeout\t", tail)
        assert cloud.invoke(name).error is None

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("os._exit(3)", "Runtime exited with error: exit status 3"),
            ("os._exit(0)", "Runtime exited without providing a reason"),
            ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ],
    )
    def test_a_process_that_ends_is_a_function_error(self, cloud: Cloud, code: str, reason: str) -> None:
        name = cloud.deploy(f"import os\ndef handler(event, context): {code}")
        answer = cloud.invoke(name)
        request_id = answer.response["ResponseMetadata"]["RequestId"]
        assert answer.error == "Unhandled"
        assert answer.value == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {request_id} Error: {reason}",
        }

    def test_a_module_that_cannot_be_imported_is_reported_after_a_second_try(self, cloud: Cloud) -> None:
        name = cloud.deploy("import no_such_module")
        answer = cloud.invoke(name)
        assert answer.error == "Unhandled"
        assert answer.value["errorType"] == "Runtime.ImportModuleError"
        assert answer.value["errorMessage"] == "Unable to import module 'app': No module named 'no_such_module'"
        phases = [re.findall(r"Phase: (\w+)\tStatus: (\w+)", line) for line in cloud.log(f"/aws/lambda/{name}")]
        assert [phase for found in phases for phase in found] == [("init", "error"), ("invoke", "error")]

    def test_a_slow_initialisation_is_done_again_under_the_functions_own_limit(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(execution, "INIT_LIMIT_SECONDS", 0.3)
        name = cloud.deploy("import time\ntime.sleep(0.6)\ndef handler(event, context): return 'ready'", Timeout=9)
        assert cloud.invoke(name).value == "ready"
        assert any("Phase: init\tStatus: timeout" in line for line in cloud.log(f"/aws/lambda/{name}"))

    @pytest.mark.parametrize(
        ("payload", "code", "status"),
        [
            (b"{", "InvalidRequestContentException", 400),
            (b'"' + b"x" * 6_291_456 + b'"', "RequestTooLargeException", 413),
        ],
    )
    def test_a_bad_payload_is_refused(self, cloud: Cloud, payload: bytes, code: str, status: int) -> None:
        name = cloud.deploy("def handler(event, context): return 1")
        with pytest.raises(ClientError) as refused:
            cloud.client("lambda").invoke(FunctionName=name, Payload=payload)
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status

    def test_a_runtime_that_the_twin_cannot_run_is_refused_by_name(self, cloud: Cloud) -> None:
        name = cloud.deploy("", Runtime="nodejs22.x")
        with pytest.raises(ClientError, match=r"nodejs22\.x: the twin runs Python functions"):
            cloud.invoke(name)

    def test_an_unknown_function_is_not_found(self, cloud: Cloud) -> None:
        with pytest.raises(cloud.client("lambda").exceptions.ResourceNotFoundException):
            cloud.invoke("nobody")


class TestSandbox:
    """ "Working with Lambda environment variables" and "Working with layers for Python Lambda functions"."""

    # The page's list of defined runtime environment variables, and what the runtime sets for an invocation.
    LAMBDAS = frozenset(
        """_HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE
        AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR LANG PATH LD_LIBRARY_PATH
        PYTHONPATH AWS_XRAY_CONTEXT_MISSING AWS_XRAY_DAEMON_ADDRESS TZ""".split()  # noqa: SIM905  as on the page
    )
    # An endpoint instead of AWS's own; a home without the user's profiles; the guardian's mark; C locale coercion.
    TWINS = frozenset({"AWS_ENDPOINT_URL", "HOME", guardian.MARK})
    PYTHONS = frozenset({"LC_CTYPE"})

    def test_the_environment_is_lambdas_the_functions_and_nothing_of_the_users(self, cloud: Cloud) -> None:
        name = cloud.deploy(
            "import os\ndef handler(event, context): return dict(os.environ)",
            Environment={"Variables": {"COLOUR": "blue"}},
            MemorySize=256,
        )
        environment = cloud.invoke(name).value
        assert set(environment) - self.PYTHONS == self.LAMBDAS | self.TWINS | {"COLOUR", "AWS_LAMBDA_LOG_FORMAT"}
        expected = {
            "_HANDLER": "app.handler",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "TZ": ":UTC",
            "COLOUR": "blue",
            "AWS_ENDPOINT_URL": credentials.endpoint(),
        }
        assert {key: environment[key] for key in expected} == expected

    def test_a_function_calls_with_the_credentials_of_its_role(self, cloud: Cloud) -> None:
        name = cloud.deploy(
            "import boto3\ndef handler(event, context): return boto3.client('sts').get_caller_identity()['Arn']"
        )
        assert cloud.invoke(name).value.startswith(f"arn:aws:sts::{credentials.account()}:assumed-role/works/")

    def test_layers_are_laid_over_each_other_in_their_order(self, cloud: Cloud) -> None:
        layers = [
            cloud.client("lambda").publish_layer_version(LayerName=layer, Content={"ZipFile": package(files)})
            for layer, files in {
                "lower": {"python/shared.py": "name = 'lower'", "python/lower.py": "here = True"},
                "upper": {"python/shared.py": "name = 'upper'"},
            }.items()
        ]
        name = cloud.deploy(
            "import shared, lower\ndef handler(event, context): return [shared.name, lower.here]",
            Layers=[layer["LayerVersionArn"] for layer in layers],
        )
        assert cloud.invoke(name).value == ["upper", True]

    @pytest.mark.parametrize("module", ["twin", "spotline", "preprocess", "ingest"])
    def test_what_is_neither_in_the_package_nor_in_a_layer_cannot_be_imported(self, cloud: Cloud, module: str) -> None:
        name = cloud.deploy(f"import {module}")
        assert cloud.invoke(name).value["errorMessage"].endswith(f"No module named '{module}'")


class TestLogs:
    """ "Viewing CloudWatch logs for Lambda functions"."""

    def test_an_invocation_is_logged_between_start_and_report(self, cloud: Cloud) -> None:
        name = cloud.deploy("print('loading')\ndef handler(event, context): print('working'); print('two\\nlines')")
        request_id = cloud.invoke(name).response["ResponseMetadata"]["RequestId"]
        init, loading, start, *lines, end, report = cloud.log(f"/aws/lambda/{name}")
        assert init.startswith("INIT_START Runtime Version: python:3.12")
        assert loading == "loading\n"
        assert start == f"START RequestId: {request_id} Version: $LATEST\n"
        assert lines == ["working\n", "two\n", "lines\n"]
        assert end == f"END RequestId: {request_id}\n"
        assert re.fullmatch(
            rf"REPORT RequestId: {request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
            r"Max Memory Used: [1-9]\d+ MB\tInit Duration: \d+\.\d\d ms\t\n",
            report,
        )

    def test_a_warm_invocation_logs_to_the_same_stream_without_an_initialisation(self, cloud: Cloud) -> None:
        name = cloud.deploy("def handler(event, context): print(context.log_stream_name)")
        cloud.invoke(name)
        cloud.invoke(name)
        (stream,) = cloud.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
        lines = cloud.log(f"/aws/lambda/{name}")
        assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream["logStreamName"])
        assert lines.count(f"{stream['logStreamName']}\n") == 2
        assert [("Init Duration" in line) for line in lines if line.startswith("REPORT")] == [True, False]

    def test_a_traceback_is_one_event(self, cloud: Cloud) -> None:
        name = cloud.deploy("def handler(event, context): raise ValueError('bad')")
        cloud.invoke(name)
        (event,) = [line for line in cloud.log(f"/aws/lambda/{name}") if line.startswith("[ERROR]")]
        assert event.startswith("[ERROR] ValueError: bad\nTraceback (most recent call last):\n")

    def test_the_tail_is_returned_to_who_asks_for_it(self, cloud: Cloud) -> None:
        name = cloud.deploy("def handler(event, context): print('x' * 3000); print('y' * 3000)")
        tail = base64.b64decode(cloud.invoke(name, LogType="Tail").response["LogResult"])
        assert len(tail) == 4096
        assert b"REPORT RequestId" in tail
        assert "LogResult" not in cloud.invoke(name).response

    def test_a_function_logs_to_the_group_it_is_configured_with(self, cloud: Cloud) -> None:
        name = cloud.deploy("def handler(event, context): print('here')", LoggingConfig={"LogGroup": "/shared/group"})
        cloud.invoke(name)
        assert "here\n" in cloud.log("/shared/group")


class TestConcurrency:
    """ "Configuring reserved concurrency for a function"."""

    def test_an_invocation_beyond_the_reserved_concurrency_is_refused(self, cloud: Cloud) -> None:
        name = cloud.deploy("def handler(event, context): return 1")
        cloud.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        with pytest.raises(cloud.client("lambda").exceptions.TooManyRequestsException) as refused:
            cloud.invoke(name)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"

    def test_a_throttled_event_waits_in_the_queue(self, cloud: Cloud) -> None:
        # Given a function that may not run now
        url, arn = cloud.queue("unthrottled")
        name = cloud.deploy("def handler(event, context): return 1")
        lambda_ = cloud.client("lambda")
        lambda_.put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
        lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        # When an event comes, and later it may run again
        cloud.invoke(name, InvocationType="Event")
        time.sleep(0.2)
        lambda_.delete_function_concurrency(FunctionName=name)
        # Then the event is handled, and its time in the queue was no attempt
        message = cloud.receive(url)
        assert message is not None
        assert json.loads(message["Body"])["requestContext"]["approximateInvokeCount"] == 1


class TestAsynchronous:
    """ "How Lambda handles errors and retries with asynchronous invocation"."""

    def test_an_event_is_accepted_at_once_and_handled_later(self, cloud: Cloud) -> None:
        url, arn = cloud.queue("handled")
        name = cloud.deploy("import time\ndef handler(event, context): time.sleep(0.5); return {'sum': sum(event)}")
        cloud.client("lambda").put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
        started = time.monotonic()
        answer = cloud.invoke(name, [1, 2], InvocationType="Event")
        assert (answer.response["StatusCode"], answer.body) == (202, b"")
        assert time.monotonic() - started < 0.5
        message = cloud.receive(url)
        assert message is not None
        record = json.loads(message["Body"])
        assert record["requestContext"] == {
            "requestId": answer.response["ResponseMetadata"]["RequestId"],
            "functionArn": f"arn:aws:lambda:us-east-1:{credentials.account()}:function:{name}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        }
        assert record["requestPayload"] == [1, 2]
        assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
        assert record["responsePayload"] == {"sum": 3}

    def test_a_failing_event_is_tried_three_times_and_then_sent_to_destination_and_dead_letter_queue(
        self, cloud: Cloud
    ) -> None:
        # Given a function that always fails, with both kinds of catch
        (url, arn), (letters, letters_arn) = cloud.queue("failed"), cloud.queue("letters")
        name = cloud.deploy(
            "def handler(event, context): print('trying', context.aws_request_id); raise ValueError('no')",
            DeadLetterConfig={"TargetArn": letters_arn},
        )
        cloud.client("lambda").put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnFailure": {"Destination": arn}}
        )
        # When an event comes
        started = time.monotonic()
        answer = cloud.invoke(name, {"n": 1}, InvocationType="Event")
        request_id = answer.response["ResponseMetadata"]["RequestId"]
        # Then it is tried three times under one id, with AWS's waits of one and two minutes in between
        message, letter = cloud.receive(url), cloud.receive(letters)
        assert time.monotonic() - started >= 180 / TIME_SCALE
        assert cloud.log(f"/aws/lambda/{name}").count(f"trying {request_id}\n") == 3
        # And the destination learns how it went
        assert message is not None
        record = json.loads(message["Body"])
        assert record["requestContext"]["condition"] == "RetriesExhausted"
        assert record["requestContext"]["approximateInvokeCount"] == 3
        assert record["responseContext"]["functionError"] == "Unhandled"
        assert record["responsePayload"]["errorType"] == "ValueError"
        # And the dead-letter queue gets the event itself
        assert letter is not None
        assert json.loads(letter["Body"]) == {"n": 1}
        attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
        assert attributes == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "no"}

    def test_another_function_can_be_the_destination(self, cloud: Cloud) -> None:
        listener = cloud.deploy("def handler(event, context): print('heard', event['responsePayload'])")
        name = cloud.deploy("def handler(event, context): return 'done'")
        arn = f"arn:aws:lambda:us-east-1:{credentials.account()}:function:{listener}"
        cloud.client("lambda").put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
        cloud.invoke(name, InvocationType="Event")
        logs = cloud.client("logs")
        assert eventually(
            lambda: bool(logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{listener}")["logGroups"])
        )
        assert eventually(lambda: "heard done\n" in cloud.log(f"/aws/lambda/{listener}"))

    def test_a_dry_run_runs_nothing(self, cloud: Cloud) -> None:
        name = cloud.deploy("def handler(event, context): return 1")
        answer = cloud.invoke(name, InvocationType="DryRun")
        assert (answer.response["StatusCode"], answer.body) == (204, b"")
        groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")
        assert groups["logGroups"] == []

    @pytest.mark.parametrize(
        ("executions", "max_retries", "delay"),
        [(1, 2, 60), (2, 2, 120), (3, 2, None), (1, 1, 60), (2, 1, None), (1, 0, None)],
    )
    def test_the_waits_between_attempts_are_aws_own(
        self, executions: int, max_retries: int, delay: float | None
    ) -> None:
        attempt = Attempt("id", b"{}", datetime.now(UTC), executions=executions)
        assert failed_delay_seconds(attempt, Settings(max_retries=max_retries)) == delay

    def test_an_event_that_is_too_old_is_given_up(self, cloud: Cloud) -> None:
        # Given a function that may not run, whose events may grow a minute old
        url, arn = cloud.queue("expired")
        name = cloud.deploy("def handler(event, context): return 1")
        lambda_ = cloud.client("lambda")
        lambda_.put_function_event_invoke_config(
            FunctionName=name, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": arn}}
        )
        lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        # When an event comes
        cloud.invoke(name, {"n": 1}, InvocationType="Event")
        # Then it is given up without an execution
        message = cloud.receive(url)
        assert message is not None
        record = json.loads(message["Body"])
        assert record["requestContext"]["condition"] == "EventAgeExceeded"
        assert record["requestContext"]["approximateInvokeCount"] == 0
        assert "responsePayload" not in record

    def test_an_event_ages_by_awss_waits_and_by_the_time_that_work_takes_here(self) -> None:
        # Given a clock on which a minute of AWS is a second, and an event queued 10 seconds ago
        clock = Clock(60.0)
        attempt = Attempt("id", b"{}", datetime.now(UTC) - timedelta(seconds=10))
        # When 2 of these seconds were waits of AWS's, then those count as the 120 that they stand for
        assert attempt.age_seconds(clock) == pytest.approx(10, abs=1)
        assert attempt.waited(60).waited(60).age_seconds(clock) == pytest.approx(128, abs=1)

    @pytest.mark.parametrize(("throttles", "delay"), [(0, 1), (1, 2), (5, 32), (8, 256), (9, 300), (5000, 300)])
    def test_the_wait_of_a_throttled_event_grows_to_five_minutes(self, throttles: int, delay: float) -> None:
        assert throttled_delay_seconds(Attempt("id", b"{}", datetime.now(UTC), throttles=throttles)) == delay
