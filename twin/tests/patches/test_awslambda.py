"""Each patch to moto's Lambda is still needed: a test here fails once stock moto has closed the gap."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.awslambda.models import LambdaFunction
from moto.awslambda.responses import LambdaResponse

from clouds import clients
from twin import patches
from twin.patches import awslambda

if TYPE_CHECKING:
    from collections.abc import Iterator

QUEUES = [f"arn:aws:sqs:us-east-1:123456789012:{name}" for name in ("first", "second")]
DEAD_LETTERS = {"TargetArn": QUEUES[0]}
LOGGING = {"LogFormat": "JSON", "LogGroup": "/shared"}


@pytest.fixture
def _stock() -> Iterator[None]:
    """moto as it is, in this process."""
    patches.restore()
    with mock_aws():
        yield


@pytest.fixture
def _patched(_stock: None) -> Iterator[None]:
    def answer(_request: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {awslambda.REQUEST_ID: "mine", "status": "200"}, b'"answered"'

    awslambda.install(answer, lambda _function, body, _headers: body.encode(), lambda role, _: role.endswith("/r"))
    yield
    patches.restore()


@pytest.fixture
def invoked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stock moto runs, without Docker: the events of every run."""
    events: list[str] = []

    def run(_self: Any, event: str) -> tuple[str, bool, str]:
        events.append(event)
        return "{}", True, ""

    monkeypatch.setattr(LambdaFunction, "_invoke_lambda", run)
    return events


def client() -> Any:
    return clients.client("lambda")


def deploy(role_name: str = "r", **configuration: Any) -> Any:
    iam = clients.client("iam")
    role = iam.create_role(
        RoleName=role_name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    )
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", "")
    lambda_ = client()
    lambda_.create_function(
        FunctionName="f",
        Runtime="python3.12",
        Handler="app.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": body.getvalue()},
        **configuration,
    )
    return lambda_


@pytest.mark.usefixtures("_stock")
class TestStock:
    def test_it_forgets_dead_letter_queue_and_log_group_at_creation(self) -> None:
        found = deploy(DeadLetterConfig=DEAD_LETTERS, LoggingConfig=LOGGING).get_function_configuration(
            FunctionName="f"
        )
        assert "DeadLetterConfig" not in found
        assert "LoggingConfig" not in found

    def test_it_forgets_them_at_an_update(self) -> None:
        lambda_ = deploy()
        lambda_.update_function_configuration(FunctionName="f", DeadLetterConfig=DEAD_LETTERS, LoggingConfig=LOGGING)
        found = lambda_.get_function_configuration(FunctionName="f")
        assert "DeadLetterConfig" not in found
        assert "LoggingConfig" not in found

    def test_it_takes_a_role_that_nobody_may_assume(self) -> None:
        assert deploy(role_name="distant").get_function(FunctionName="f")

    def test_it_takes_a_variable_that_lambda_keeps_to_itself(self) -> None:
        lambda_ = deploy(Environment={"Variables": {"AWS_REGION": "eu-west-1"}})
        lambda_.update_function_configuration(FunctionName="f", Environment={"Variables": {"_HANDLER": "x"}})

    def test_it_answers_with_the_first_event_invoke_config(self) -> None:
        assert put_twice(deploy()) == QUEUES[0]

    def test_it_waits_for_an_event_invocation_and_runs_a_dry_one(self, invoked: list[str]) -> None:
        lambda_ = deploy()
        for kind in ("Event", "DryRun"):
            lambda_.invoke(FunctionName="f", InvocationType=kind)
        assert len(invoked) == 2

    @pytest.mark.usefixtures("invoked")
    def test_it_calls_an_error_handled(self) -> None:
        assert deploy().invoke(FunctionName="f")["FunctionError"] == "Handled"

    def test_it_makes_up_the_id_of_a_request(self) -> None:
        headers, _ = LambdaResponse._enrich_response({awslambda.REQUEST_ID: "mine"}, "")
        assert headers[awslambda.REQUEST_ID] != "mine"


@pytest.mark.usefixtures("_patched")
class TestPatched:
    def test_dead_letter_queue_and_log_group_are_kept(self) -> None:
        lambda_ = deploy(DeadLetterConfig=DEAD_LETTERS, LoggingConfig=LOGGING)
        found = lambda_.get_function_configuration(FunctionName="f")
        assert (found["DeadLetterConfig"], found["LoggingConfig"]) == (DEAD_LETTERS, LOGGING)
        lambda_.update_function_configuration(FunctionName="f", DeadLetterConfig={"TargetArn": QUEUES[1]})
        found = lambda_.get_function_configuration(FunctionName="f")
        assert (found["DeadLetterConfig"], found["LoggingConfig"]) == ({"TargetArn": QUEUES[1]}, LOGGING)

    def test_a_role_that_lambda_may_not_assume_is_refused(self) -> None:
        with pytest.raises(ClientError, match="The role defined for the function cannot be assumed by Lambda"):
            deploy(role_name="distant")
        assert client().list_functions()["Functions"] == []

    def test_a_variable_that_lambda_keeps_to_itself_is_refused(self) -> None:
        with pytest.raises(ClientError, match="Reserved keys used in this request: AWS_REGION, _HANDLER"):
            deploy(Environment={"Variables": {"AWS_REGION": "eu-west-1", "_HANDLER": "x", "FREE": "1"}})
        assert client().list_functions()["Functions"] == []

    def test_the_last_event_invoke_config_counts(self) -> None:
        assert put_twice(deploy()) == QUEUES[1]

    def test_invocations_go_to_the_twin_and_keep_their_id(self, invoked: list[str]) -> None:
        answer = deploy().invoke(FunctionName="f")
        assert answer["Payload"].read() == b'"answered"'
        assert answer["ResponseMetadata"]["RequestId"] == "mine"
        assert invoked == []


def put_twice(lambda_: Any) -> str:
    """The destination that counts after two configurations."""
    for queue in QUEUES:
        lambda_.put_function_event_invoke_config(
            FunctionName="f", DestinationConfig={"OnFailure": {"Destination": queue}}
        )
    found: str = lambda_.get_function_event_invoke_config(FunctionName="f")["DestinationConfig"]["OnFailure"][
        "Destination"
    ]
    return found
