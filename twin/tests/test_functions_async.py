"""Events that wait for a function: throttled, tried again, given up. Sources: the Lambda developer guide's pages named beside."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clouds.functions import TIME_SCALE, FunctionsCloud, eventually, functions_cloud
from clouds.recorded import recording, shape
from twin import credentials, guardian
from twin.clock import Clock
from twin.functions.retries import Attempt, Settings, failed_delay_seconds, throttled_delay_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def cloud() -> Iterator[FunctionsCloud]:
    with functions_cloud() as cloud:
        yield cloud


def busy_once(cloud: FunctionsCloud, **settings: Any) -> tuple[str, AbstractContextManager[None]]:
    """A function of which one may run at a time, with settings for its events, and a context in which one does run."""
    name = cloud.deploy(
        "import pathlib, time\ndef handler(event, context):\n"
        "    here = pathlib.Path(event or '/nowhere')\n"
        "    if here.exists(): (here / 'begun').touch()\n"
        "    while here.exists() and not (here / 'enough').exists(): time.sleep(0.01)",
        Timeout=50,
    )
    folder = guardian.scratch(f"busy-{name}")  # its own: what another test left there would end it at once
    lambda_ = cloud.client("lambda")
    lambda_.put_function_event_invoke_config(FunctionName=name, **settings)
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)

    @contextlib.contextmanager
    def busy() -> Iterator[None]:
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            answer = thread.submit(cloud.invoke, name, str(folder))
            try:
                assert eventually((folder / "begun").exists)
                yield
            finally:
                (folder / "enough").touch()
            assert answer.result().error is None

    return name, busy()


class TestConcurrency:
    """ "Configuring reserved concurrency for a function"."""

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html",
        "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html",
    )
    def test_an_invocation_beyond_the_reserved_concurrency_is_refused(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("def handler(event, context): return 1")
        cloud.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        with pytest.raises(cloud.client("lambda").exceptions.TooManyRequestsException) as refused:
            cloud.invoke(name)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html")
    def test_a_throttled_event_waits_in_the_queue(self, cloud: FunctionsCloud) -> None:
        # Given a function that is at work and may be only once at a time
        url, arn = cloud.queue("unthrottled")
        name, busy = busy_once(cloud, DestinationConfig={"OnSuccess": {"Destination": arn}})
        with busy:
            # When an event comes, and later it may run
            cloud.invoke(name, "", InvocationType="Event")
            time.sleep(0.2)
        # Then the event is handled, and its time in the queue was no attempt
        message = cloud.receive(url)
        assert message is not None
        assert json.loads(message["Body"])["requestContext"]["approximateInvokeCount"] == 1

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html")
    def test_without_any_concurrency_an_event_is_given_up_at_once(self, cloud: FunctionsCloud) -> None:
        # Given a function that may not run at all
        (url, arn), (letters, letters_arn) = cloud.queue("halted"), cloud.queue("halted-letters")
        name = cloud.deploy("def handler(event, context): return 1", DeadLetterConfig={"TargetArn": letters_arn})
        lambda_ = cloud.client("lambda")
        lambda_.put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnFailure": {"Destination": arn}}
        )
        lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        # When an event comes, it does not wait until it may
        cloud.invoke(name, {"n": 1}, InvocationType="Event")
        message, letter = cloud.receive(url), cloud.receive(letters)
        assert message is not None
        record = json.loads(message["Body"])
        assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
        assert record["requestContext"]["approximateInvokeCount"] == 0
        assert record.keys() & {"responseContext", "responsePayload"} == set()
        assert letter is not None
        assert json.loads(letter["Body"]) == {"n": 1}
        assert letter["MessageAttributes"]["ErrorCode"]["StringValue"] == "429"


class TestAsynchronous:
    """ "How Lambda handles errors and retries with asynchronous invocation"."""

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html",
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
    )
    def test_an_event_is_accepted_at_once_and_handled_later(self, cloud: FunctionsCloud) -> None:
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

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html",
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq",
    )
    def test_a_failing_event_is_tried_three_times_and_then_sent_to_destination_and_dead_letter_queue(
        self, cloud: FunctionsCloud
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
        # (what went in and came out is the function's own)
        published = recording("lambda-invocation-record")
        assert shape({**record, "requestPayload": 0, "responsePayload": 0}) == shape(
            {**published, "requestPayload": 0, "responsePayload": 0}
        )
        assert record["responsePayload"]["errorType"] == "ValueError"
        # And the dead-letter queue gets the event itself
        assert letter is not None
        assert json.loads(letter["Body"]) == {"n": 1}
        attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
        assert attributes == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "no"}

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html")
    def test_another_function_can_be_the_destination(self, cloud: FunctionsCloud) -> None:
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

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html")
    def test_a_dry_run_runs_nothing(self, cloud: FunctionsCloud) -> None:
        name = cloud.deploy("def handler(event, context): return 1")
        answer = cloud.invoke(name, InvocationType="DryRun")
        assert (answer.response["StatusCode"], answer.body) == (204, b"")
        groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")
        assert groups["logGroups"] == []

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html")
    @pytest.mark.parametrize(
        ("executions", "max_retries", "delay"),
        [(1, 2, 60), (2, 2, 120), (3, 2, None), (1, 1, 60), (2, 1, None), (1, 0, None)],
    )
    def test_the_waits_between_attempts_are_aws_own(
        self, executions: int, max_retries: int, delay: float | None
    ) -> None:
        attempt = Attempt("id", b"{}", datetime.now(UTC), executions=executions)
        assert failed_delay_seconds(attempt, Settings(max_retries=max_retries)) == delay

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html",
        "https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
    )
    def test_an_event_that_is_too_old_is_given_up(self, cloud: FunctionsCloud) -> None:
        # Given a function that is at work and may be only once at a time, whose events may grow a minute old
        url, arn = cloud.queue("expired")
        name, busy = busy_once(
            cloud, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": arn}}
        )
        with busy:
            # When an event comes
            cloud.invoke(name, "", InvocationType="Event")
            message = cloud.receive(url)
        # Then it is given up without an execution
        assert message is not None
        record = json.loads(message["Body"])
        assert record["requestContext"]["condition"] == "EventAgeExceeded"
        assert record["requestContext"]["approximateInvokeCount"] == 0
        assert "responsePayload" not in record

    @pytest.mark.ours
    def test_an_event_ages_by_awss_waits_and_by_the_time_that_work_takes_here(self) -> None:
        # Given a clock on which a minute of AWS is a second, and an event queued 10 seconds ago
        clock = Clock(60.0)
        attempt = Attempt("id", b"{}", datetime.now(UTC) - timedelta(seconds=10))
        # When 2 of these seconds were waits of AWS's, then those count as the 120 that they stand for
        assert attempt.age_seconds(clock) == pytest.approx(10, abs=1)
        assert attempt.waited(60).waited(60).age_seconds(clock) == pytest.approx(128, abs=1)

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html")
    @pytest.mark.parametrize(("throttles", "delay"), [(0, 1), (1, 2), (5, 32), (8, 256), (9, 300), (5000, 300)])
    def test_the_wait_of_a_throttled_event_grows_to_five_minutes(self, throttles: int, delay: float) -> None:
        assert throttled_delay_seconds(Attempt("id", b"{}", datetime.now(UTC), throttles=throttles)) == delay
