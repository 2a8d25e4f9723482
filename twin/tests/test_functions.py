"""What a deployed function answers, and when that is an error. Sources: the Lambda developer guide's pages named beside."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from clouds.functions import FunctionsCloud, functions_cloud
from twin.functions import execution

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def cloud() -> Iterator[FunctionsCloud]:
    with functions_cloud() as cloud:
        yield cloud


@pytest.mark.documented(
    "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html",
    "https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html",
)
def test_a_function_answers_with_what_its_handler_returns(cloud: FunctionsCloud) -> None:
    name = cloud.deploy("def handler(event, context): return {'got': event, 'id': context.aws_request_id}")
    answer = cloud.invoke(name, {"a": [1, None]})
    assert answer.value == {"got": {"a": [1, None]}, "id": answer.response["ResponseMetadata"]["RequestId"]}
    assert (answer.response["StatusCode"], answer.response["ExecutedVersion"], answer.error) == (200, "$LATEST", None)


@pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html")
def test_an_invocation_without_a_payload_gets_an_empty_object(cloud: FunctionsCloud) -> None:
    name = cloud.deploy("def handler(event, context): return event")
    assert cloud.client("lambda").invoke(FunctionName=name)["Payload"].read() == b"{}"


@pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html")
def test_a_payload_of_megabytes_goes_in_and_out(cloud: FunctionsCloud) -> None:
    name = cloud.deploy("def handler(event, context): return event")
    text = "x" * 5_000_000
    assert cloud.invoke(name, text).value == text


@pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html")
def test_an_answer_beyond_lambdas_quota_is_a_function_error(cloud: FunctionsCloud) -> None:
    name = cloud.deploy("def handler(event, context): return 'x' * 7_000_000")
    answer = cloud.invoke(name)
    assert answer.error == "Unhandled"
    assert answer.value["errorType"] == "Function.ResponseSizeTooLarge"


class TestErrors:
    """ "Understanding retry behavior in Lambda" and "Using the Lambda runtime API"; shapes as Lambda returns them."""

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html",
        "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html",
    )
    def test_an_exception_comes_back_with_type_message_and_stack(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("class Refused(Exception): pass\ndef handler(event, context): raise Refused('no')")
        answer = cloud.invoke(name)
        assert (answer.error, answer.response["StatusCode"]) == ("Unhandled", 200)
        assert answer.value["errorType"] == "Refused"
        assert answer.value["errorMessage"] == "no"
        assert "line 2, in handler" in answer.value["stackTrace"][0]

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html",
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html",
    )
    def test_a_function_that_runs_too_long_is_killed_and_says_so(self, cloud: FunctionsCloud) -> None:
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

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html")
    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("os._exit(3)", "Runtime exited with error: exit status 3"),
            ("os._exit(0)", "Runtime exited without providing a reason"),
            ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ],
    )
    def test_a_process_that_ends_is_a_function_error(self, cloud: FunctionsCloud, code: str, reason: str) -> None:
        name = cloud.deploy(f"import os\ndef handler(event, context): {code}")
        answer = cloud.invoke(name)
        request_id = answer.response["ResponseMetadata"]["RequestId"]
        assert answer.error == "Unhandled"
        assert answer.value == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {request_id} Error: {reason}",
        }

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html")
    def test_a_module_that_cannot_be_imported_is_reported_after_a_second_try(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("import no_such_module")
        answer = cloud.invoke(name)
        assert answer.error == "Unhandled"
        assert answer.value["errorType"] == "Runtime.ImportModuleError"
        assert answer.value["errorMessage"] == "Unable to import module 'app': No module named 'no_such_module'"
        phases = [re.findall(r"Phase: (\w+)\tStatus: (\w+)", line) for line in cloud.log(f"/aws/lambda/{name}")]
        assert [phase for found in phases for phase in found] == [("init", "error"), ("invoke", "error")]

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html")
    def test_a_slow_initialisation_is_done_again_under_the_functions_own_limit(
        self, cloud: FunctionsCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(execution, "INIT_LIMIT_SECONDS", 0.3)
        name = cloud.deploy("import time\ntime.sleep(0.6)\ndef handler(event, context): return 'ready'", Timeout=9)
        assert cloud.invoke(name).value == "ready"
        assert any("Phase: init\tStatus: timeout" in line for line in cloud.log(f"/aws/lambda/{name}"))

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html")
    @pytest.mark.parametrize(
        ("payload", "code", "status"),
        [
            (b"{", "InvalidRequestContentException", 400),
            (b'"' + b"x" * 6_291_456 + b'"', "RequestTooLargeException", 413),
        ],
    )
    def test_a_bad_payload_is_refused(self, cloud: FunctionsCloud, payload: bytes, code: str, status: int) -> None:
        name = cloud.deploy("def handler(event, context): return 1")
        with pytest.raises(ClientError) as refused:
            cloud.client("lambda").invoke(FunctionName=name, Payload=payload)
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status

    @pytest.mark.ours
    def test_a_runtime_that_the_twin_cannot_run_is_refused_by_name(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("", Runtime="nodejs22.x")
        with pytest.raises(ClientError, match=r"nodejs22\.x: the twin runs Python functions"):
            cloud.invoke(name)

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html")
    def test_an_unknown_function_is_not_found(self, cloud: FunctionsCloud) -> None:
        with pytest.raises(cloud.client("lambda").exceptions.ResourceNotFoundException):
            cloud.invoke("nobody")
