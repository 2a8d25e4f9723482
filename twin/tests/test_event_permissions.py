"""With IAM enforced, a rule, a schedule and a state machine can do what their policies and roles let them, and no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from clouds.steps import ACCOUNT, REGION, ROLE, Options, StepsCloud, job, only, steps_cloud, task, trust
from twin import events, iam, schedules

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/r"


@pytest.fixture
def cloud() -> Iterator[StepsCloud]:
    with steps_cloud(scale=100, options=Options(enforce_iam=True)) as cloud:
        yield cloud


def allow(cloud: StepsCloud, queue: str, service: str, **condition: Any) -> None:
    """Let a service send to a queue."""
    sqs = cloud.client("sqs")
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": queue}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, **condition}]}
    url = sqs.get_queue_url(QueueName=queue.rsplit(":", 1)[1])["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})


def give(cloud: StepsCloud, role: str, *actions: str) -> None:
    """Let a role do `actions` on everything."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    cloud.client("iam").put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps(policy))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html",
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq",
)
def test_a_rule_needs_the_queues_permission(cloud: StepsCloud) -> None:
    queue, dead = cloud.queue("q"), cloud.queue("dead")
    allow(cloud, dead, "events.amazonaws.com", Condition={"ArnEquals": {"aws:SourceArn": RULE}})
    cloud.rule("r", {"source": ["mine"]}, queue, DeadLetterConfig={"Arn": dead})

    events.emit("mine", "t", [], {})

    assert cloud.bodies(queue) == []
    (letter,) = cloud.messages(dead)
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert "sqs:SendMessage" in attributes["ERROR_MESSAGE"]
    assert RULE in attributes["ERROR_MESSAGE"], "what is missing is named"


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html")
def test_with_the_queues_permission_for_this_rule_it_arrives(cloud: StepsCloud) -> None:
    queue = cloud.queue("q")
    allow(cloud, queue, "events.amazonaws.com", Condition={"ArnEquals": {"aws:SourceArn": RULE}})
    cloud.rule("r", {"source": ["mine"]}, queue)

    events.emit("mine", "t", [], {})

    assert len(cloud.bodies(queue)) == 1


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq"
)
def test_a_letter_needs_permission_too(cloud: StepsCloud) -> None:
    queue, dead = cloud.queue("q"), cloud.queue("dead")
    cloud.rule("r", {"source": ["mine"]}, queue, DeadLetterConfig={"Arn": dead})

    events.emit("mine", "t", [], {})

    assert events.wait_idle(5)
    assert cloud.messages(dead) == []


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html")
@pytest.mark.parametrize(("trusted", "actions", "came"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_a_schedule_needs_a_role_that_trusts_it_and_may(
    cloud: StepsCloud, trusted: bool, actions: bool, came: int
) -> None:
    queue = cloud.queue("q")
    service = "scheduler.amazonaws.com" if trusted else "events.amazonaws.com"
    cloud.client("iam").create_role(RoleName="scheduler", AssumeRolePolicyDocument=trust(service))
    give(cloud, "scheduler", "sqs:SendMessage" if actions else "sqs:ReceiveMessage")
    cloud.client("scheduler").create_schedule(
        Name="s",
        ScheduleExpression="cron(0 0 1 1 ? 2199)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": queue, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/scheduler", "Input": "1"},
    )

    schedules.fire("s")

    assert len(cloud.bodies(queue)) == came


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html")
def test_a_tasks_denied_call_fails_it_naming_the_permission(cloud: StepsCloud) -> None:
    cloud.client("s3").create_bucket(Bucket="bucket")

    ended = cloud.run(only(task("aws-sdk:s3:headObject", {"Bucket": "bucket", "Key": "k"})))

    assert ended["error"] == "S3.S3Exception"
    assert "Status Code: 403" in ended["cause"]


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html")
def test_a_machine_needs_a_role_that_trusts_step_functions(cloud: StepsCloud) -> None:
    cloud.client("iam").update_assume_role_policy(RoleName="machine", PolicyDocument=trust("lambda.amazonaws.com"))

    with pytest.raises(ClientError, match=r"AccessDeniedException.*role/machine"):
        cloud.machine(only({"Type": "Succeed"}))


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html")
def test_a_machine_that_waits_for_jobs_needs_to_make_a_rule(cloud: StepsCloud) -> None:
    with pytest.raises(ClientError, match=r"not authorized to create managed-rule.*events:PutRule"):
        cloud.machine(only(job()))

    give(cloud, "machine", "events:PutRule", "events:PutTargets", "events:DescribeRule")
    assert cloud.machine(only(job()))
    used = {exercise.action for exercise in iam.exercised() if ROLE.rsplit("/", 1)[1] in exercise.owner}
    assert {"events:PutRule", "events:PutTargets", "events:DescribeRule"} <= used
