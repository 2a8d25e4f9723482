"""EventBridge: targets get what matches, again until they take it, or else the dead-letter queue does."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from clouds.steps import ACCOUNT, REGION, S3_EVENTS, StepsCloud, only
from twin import events
from twin.clock import Clock
from twin.events.delivery import Deliverer, Delivery, Origin, backoff_seconds
from twin.events.pool import Pool
from twin.events.targets import Undeliverable

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html")
def test_a_rule_with_an_unknown_operator_is_not_made(cloud: StepsCloud) -> None:
    with pytest.raises(ClientError, match=r"InvalidEventPatternException.*regex"):
        cloud.client("events").put_rule(Name="bad", EventPattern=json.dumps({"source": [{"regex": "x"}]}))


def emit(key: str = "data/a.csv") -> None:
    events.emit("aws.s3", "Object Created", ["arn:aws:s3:::b"], {"object": {"key": key}})


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html")
def test_an_event_reaches_a_queue(cloud: StepsCloud) -> None:
    queue = cloud.queue("plain")
    cloud.rule("to-queue", S3_EVENTS, queue)

    emit("data/a+b%41.csv")

    (event,) = cloud.bodies(queue)
    assert event["detail"]["object"]["key"] == "data/a+b%41.csv"
    assert (event["account"], event["region"], event["version"]) == (ACCOUNT, REGION, "0")


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html")
def test_an_event_reaches_a_function_without_waiting_for_it(cloud: StepsCloud) -> None:
    release, seen = threading.Event(), []

    def function(event: Any) -> None:
        release.wait(5)
        seen.append(event)

    cloud.functions["f"] = function
    cloud.rule("to-function", S3_EVENTS, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f")

    began = time.monotonic()
    emit()
    assert time.monotonic() - began < 0.5, "emitting does not wait"
    release.set()

    assert events.wait_idle(5)
    assert [event["source"] for event in seen] == ["aws.s3"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html",
)
def test_an_event_starts_an_execution_with_the_targets_role(cloud: StepsCloud) -> None:
    machine = cloud.machine(only({"Type": "Pass", "End": True}))
    role = f"arn:aws:iam::{ACCOUNT}:role/machine"
    cloud.rule("to-machine", S3_EVENTS, machine, RoleArn=role, InputPath="$.detail.object")

    emit("k")

    assert events.wait_idle(5)
    (execution,) = cloud.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert json.loads(cloud.described(execution["executionArn"])["input"]) == {"key": "k"}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/batch-cwe-target.html",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_BatchParameters.html",
)
def test_an_event_submits_a_job_with_its_parameters(cloud: StepsCloud) -> None:
    queue = f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/q"
    settings = {
        "JobDefinition": "d",
        "JobName": "from-rule",
        "ArrayProperties": {"Size": 2},
        "RetryStrategy": {"Attempts": 3},
    }
    transformer = {"InputPathsMap": {"key": "$.detail.object.key"}, "InputTemplate": '{"Parameters": {"key": <key>}}'}
    cloud.rule("to-batch", S3_EVENTS, queue, BatchParameters=settings, InputTransformer=transformer)

    emit("k")

    assert events.wait_idle(5)
    (sent,) = cloud.batch.submitted
    assert (sent["jobName"], sent["jobQueue"], sent["parameters"]) == ("from-rule", queue, {"key": "k"})
    assert (sent["arrayProperties"], sent["retryStrategy"]) == ({"size": 2}, {"attempts": 3})


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html")
def test_an_event_reaches_a_topic_and_a_log_group(cloud: StepsCloud) -> None:
    queue = cloud.queue("behind-topic")
    topic = cloud.client("sns").create_topic(Name="topic")["TopicArn"]
    cloud.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"}
    )
    cloud.client("logs").create_log_group(logGroupName="/aws/events/all")
    cloud.rule("to-topic", S3_EVENTS, topic)
    cloud.rule("to-logs", S3_EVENTS, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/all:*")

    emit()

    assert cloud.bodies(queue)[0]["source"] == "aws.s3"
    (logged,) = cloud.client("logs").filter_log_events(logGroupName="/aws/events/all")["events"]
    assert json.loads(logged["message"])["source"] == "aws.s3"


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html")
def test_put_events_is_delivered_like_an_event_of_aws(cloud: StepsCloud) -> None:
    queue = cloud.queue("own-events")
    cloud.rule("own", {"source": ["mine"], "detail": {"n": [{"numeric": [">", 1]}]}}, queue)

    entries = [{"Source": "mine", "DetailType": "t", "Detail": json.dumps({"n": n})} for n in (1, 2)]
    cloud.client("events").put_events(Entries=entries)

    (event,) = cloud.bodies(queue)
    assert (event["detail"], event["detail-type"]) == ({"n": 2}, "t")
    assert event["time"].endswith("Z")
    assert "ingestion-time" not in event


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html")
def test_a_disabled_rule_and_a_schedule_get_no_events(cloud: StepsCloud) -> None:
    queue = cloud.queue("silent")
    cloud.rule("disabled", S3_EVENTS, queue)
    cloud.client("events").disable_rule(Name="disabled")
    cloud.client("events").put_rule(Name="scheduled", ScheduleExpression="rate(1 day)")
    cloud.client("events").put_targets(Rule="scheduled", Targets=[{"Id": "target", "Arn": queue}])

    emit()

    assert cloud.bodies(queue) == []


@pytest.mark.ours
def test_a_burst_of_a_thousand_goes_through(cloud: StepsCloud) -> None:
    queue = cloud.queue("burst")
    cloud.rule("burst", S3_EVENTS, queue)
    threads_before = threading.active_count()

    for number in range(1000):
        emit(str(number))
    extra_threads = threading.active_count() - threads_before

    assert events.wait_idle(60)
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="burst")["QueueUrl"]
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert counted["Attributes"]["ApproximateNumberOfMessages"] == "1000"
    assert extra_threads < 50, "not a thread an event"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq"
)
def test_a_target_that_is_gone_is_given_up_at_once(cloud: StepsCloud) -> None:
    dead = cloud.queue("dead-gone")
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:gone"
    cloud.rule("gone", S3_EVENTS, function, DeadLetterConfig={"Arn": dead})

    emit("k")

    assert events.wait_idle(5)
    (letter,) = cloud.messages(dead)
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert json.loads(letter["Body"])["detail"]["object"]["key"] == "k", "the letter is the event"
    assert attributes["RULE_ARN"] == f"arn:aws:events:{REGION}:{ACCOUNT}:rule/gone"
    assert attributes["TARGET_ARN"] == function
    assert (attributes["ERROR_CODE"], attributes["RETRY_ATTEMPTS"]) == ("NO_RESOURCE", "0")
    assert "function:gone" in attributes["ERROR_MESSAGE"]
    assert "EXHAUSTED_RETRY_CONDITION" not in attributes


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html")
def test_a_throttled_target_is_tried_again_until_it_takes_the_event(cloud: StepsCloud) -> None:
    cloud.batch.refuse = "ThrottlingException"
    queue = f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/q"
    cloud.rule("throttled", S3_EVENTS, queue, BatchParameters={"JobDefinition": "d", "JobName": "n"})
    before = len(cloud.batch.submitted)

    emit()
    time.sleep(0.1)
    cloud.batch.refuse = None

    assert events.wait_idle(10)
    assert len(cloud.batch.submitted) == before + 1


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html",
)
def test_exhausted_retries_end_in_the_dead_letter_queue(cloud: StepsCloud) -> None:
    cloud.batch.refuse = "ThrottlingException"
    dead = cloud.queue("dead-throttled")
    queue = f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/q"
    cloud.rule(
        "exhausted",
        S3_EVENTS,
        queue,
        BatchParameters={"JobDefinition": "d", "JobName": "n"},
        RetryPolicy={"MaximumRetryAttempts": 2},
        DeadLetterConfig={"Arn": dead},
    )

    emit()

    assert events.wait_idle(10)
    cloud.batch.refuse = None
    (letter,) = cloud.messages(dead)
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert (attributes["ERROR_CODE"], attributes["RETRY_ATTEMPTS"]) == ("THROTTLING", "2")
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq"
)
def test_an_input_that_cannot_be_made_ends_in_the_dead_letter_queue(cloud: StepsCloud) -> None:
    dead, queue = cloud.queue("dead-input"), cloud.queue("no-input")
    transformer = {"InputPathsMap": {"absent": "$.absent"}, "InputTemplate": '{"a": <absent>}'}
    cloud.rule("no-input", S3_EVENTS, queue, InputTransformer=transformer, DeadLetterConfig={"Arn": dead})

    emit()

    assert events.wait_idle(5)
    (letter,) = cloud.messages(dead)
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "INVALID_PARAMETER"


@pytest.mark.ours
@pytest.mark.parametrize(
    "arn", ["arn:aws:kinesis:us-east-1:1:stream/s", "arn:aws:ecs:us-east-1:1:cluster/c", "nonsense"]
)
def test_a_target_nothing_is_delivered_to_is_refused(cloud: StepsCloud, arn: str) -> None:
    cloud.client("events").put_rule(Name="r", EventPattern=json.dumps(S3_EVENTS))

    with pytest.raises(ClientError, match="ValidationException"):
        cloud.client("events").put_targets(Rule="r", Targets=[{"Id": "target", "Arn": arn}])


@pytest.mark.ours
def test_an_events_copy_is_delivered_not_what_becomes_of_it(cloud: StepsCloud) -> None:
    queue = cloud.queue("copies")
    cloud.rule("copies", S3_EVENTS, queue)
    detail = {"n": 1}

    events.emit("aws.s3", "t", [], detail)
    detail["n"] = 2

    assert cloud.bodies(queue)[0]["detail"] == {"n": 1}


@pytest.mark.ours
def test_back_off_doubles_up_to_ten_minutes() -> None:
    assert [backoff_seconds(n, jitter=0) for n in (0, 1, 2, 9, 10, 100)] == [1, 2, 4, 512, 600, 600]
    assert backoff_seconds(2, jitter=1) == 2


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html",
)
def test_an_event_that_is_too_old_is_given_up() -> None:
    attempts = []

    def send(target: Mapping[str, Any], text: str) -> None:
        attempts.append(text)
        raise Undeliverable("THROTTLING", "no", retriable=True)

    deliverer = Deliverer(Clock(100), send=send)
    deliverer.deliver(
        Delivery({"Arn": "a", "RetryPolicy": {"MaximumEventAgeInSeconds": 6}}, "p", "l", Origin.from_rule("arn:r"))
    )
    idle = deliverer.wait_idle(5)
    deliverer.stop()

    assert idle
    assert 2 <= len(attempts) <= 5, "after 1, 2 and 4 seconds, less the jitter"


@pytest.mark.ours
def test_work_that_fails_takes_no_thread_along() -> None:
    pool = Pool(1, "test")
    done: list[int] = []

    def fail() -> None:
        raise RuntimeError("expected")

    pool.submit(fail)
    pool.submit(lambda: done.append(1))

    assert pool.wait_idle(5)
    pool.stop()
    assert done == [1]


@pytest.mark.ours
def test_a_stopped_pool_leaves_no_thread_and_does_no_work() -> None:
    pool = Pool(2, "test-stopped")
    done: list[int] = []
    pool.submit(lambda: done.append(1), delay=10)
    pool.stop()
    pool.submit(lambda: done.append(2))

    assert done == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-stopped")]
