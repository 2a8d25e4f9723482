"""Permissions that AWS's services need by themselves, as the twin's own services ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clouds.iam import allow, arn, batch_arn, document
from twin import iam
from twin.iam.policies import Ask

if TYPE_CHECKING:
    from clouds.iam import Account

pytestmark = pytest.mark.timeout(60)


class TestServices:
    """Permissions that AWS's services need by themselves."""

    @pytest.mark.documented("https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html")
    def test_a_role_is_asked_for_a_log_as_lambda_asks(self, account: Account) -> None:
        stream = Ask("logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/f:log-stream:s"))
        assert not iam.role_may(account.role, stream).allowed
        account.grant(allow("logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/f:*")))
        assert iam.role_may(account.role, stream).allowed

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    )
    def test_a_role_is_lent_to_the_services_that_it_trusts(self, account: Account) -> None:
        job = batch_arn("job/id")
        assert iam.service_may_assume("ecs-tasks.amazonaws.com", account.role, job).allowed
        assert not iam.service_may_assume("lambda.amazonaws.com", account.role, job).allowed

    @pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html")
    def test_a_queue_lets_in_the_rules_that_its_policy_names(self, account: Account) -> None:
        rule, other = arn("events", "rule/landed"), arn("events", "rule/other")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn("sqs", "dead"),
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        account.administrator("sqs").create_queue(QueueName="dead", Attributes={"Policy": document(statement)})
        ask = Ask("sqs:SendMessage", arn("sqs", "dead"))
        assert iam.service_may("events.amazonaws.com", rule, ask).allowed
        assert not iam.service_may("events.amazonaws.com", other, ask).allowed
        assert not iam.service_may("sns.amazonaws.com", rule, ask).allowed
