"""What policies decide together. Source: the IAM user guide's page named below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clouds.iam import ACCOUNT, ROLE, SESSION, allow, deny, document
from twin.iam.policies import Ask, Caller, Decision, Policies, decide, parse

if TYPE_CHECKING:
    from twin.iam.conditions import Context

CALLER = Caller(SESSION, ACCOUNT, frozenset({SESSION, ROLE}))
BUCKET = "arn:aws:s3:::bucket"


def decision(ask: Ask, *statements: dict[str, Any], context: Context | None = None, **others: Any) -> Decision:
    policies = Policies(identity=(parse("policy p of worker", document(*statements)),), **others)
    return decide(ask, CALLER, policies, {**(context or {}), **ask.context})


class TestDecisions:
    """ "Policy evaluation logic"."""

    READ = Ask("s3:GetObject", f"{BUCKET}/a/b")

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notaction.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notresource.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html",
    )
    @pytest.mark.parametrize(
        ("statements", "allowed"),
        [
            ([], False),
            ([allow("s3:GetObject", f"{BUCKET}/*")], True),
            ([allow("S3:getobject", f"{BUCKET}/*")], True),
            ([allow("s3:Get*", f"{BUCKET}/?/b")], True),
            ([allow("s3:GetObject", BUCKET)], False),
            ([allow("s3:GetObject", f"{BUCKET}/A/*")], False),
            ([allow(["s3:PutObject", "s3:GetObject"], [BUCKET, f"{BUCKET}/a/*"])], True),
            ([allow("*"), deny("s3:*", f"{BUCKET}/a/*")], False),
            ([allow("*"), deny("s3:PutObject")], True),
            ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
            ([{"Effect": "Allow", "NotAction": ["s3:Get*"], "Resource": "*"}], False),
            ([{"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/secret/*"}], True),
            ([{"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/a/*"}], False),
            ([allow("s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})], False),
            ([allow("s3:*"), deny("s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})], True),
            ([allow("s3:*", Condition={"StringEquals": {"ec2:Region": "x"}})], False),
            ([allow("s3:*"), deny("s3:*", Condition={"StringEquals": {"ec2:Region": "x"}})], False),
            ([allow("s3:*", "arn:aws:s3:::bucket/${aws:username}/*")], True),
            ([allow("s3:*", "arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*")], False),
        ],
    )
    def test_a_deny_wins_and_something_must_allow(self, statements: list[dict[str, Any]], allowed: bool) -> None:
        context = {"aws:securetransport": ("true",), "aws:username": ("a",)}
        assert decision(self.READ, *statements, context=context).allowed is allowed

    @pytest.mark.documented("https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html")
    def test_an_action_without_resources_is_allowed_by_every_resource_only(self) -> None:
        describe = Ask("batch:DescribeJobs")
        assert decision(describe, allow("batch:*")).allowed
        assert not decision(describe, allow("batch:*", "arn:aws:batch:us-east-1:123456789012:job/*")).allowed

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html")
    def test_a_boundary_limits_what_a_policy_allows(self) -> None:
        boundary = parse("boundary", document(allow("s3:PutObject")))
        assert not decision(self.READ, allow("s3:*"), boundaries=(boundary,)).allowed
        assert decision(Ask("s3:PutObject", f"{BUCKET}/a"), allow("s3:*"), boundaries=(boundary,)).allowed
        assert not decision(Ask("s3:PutObject", f"{BUCKET}/a"), boundaries=(boundary,)).allowed

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
    )
    @pytest.mark.parametrize(
        ("principal", "allowed"),
        [
            ("*", True),
            ({"AWS": "*"}, True),
            ({"AWS": ROLE}, True),
            ({"AWS": [SESSION, "arn:aws:iam::123456789012:role/other"]}, True),
            ({"AWS": "arn:aws:iam::123456789012:role/other"}, False),
            ({"AWS": ACCOUNT}, False),  # the account's own policies must allow then
            ({"Service": "lambda.amazonaws.com"}, False),
        ],
    )
    def test_a_resources_policy_lets_in_whom_it_names(self, principal: Any, allowed: bool) -> None:
        statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:*", "Resource": f"{BUCKET}/*"}
        assert decision(self.READ, resource=parse("bucket", document(statement))).allowed is allowed

    @pytest.mark.documented("https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html")
    def test_a_resources_policy_keeps_out_whom_it_names(self) -> None:
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"{BUCKET}/*"}
        found = decision(self.READ, allow("*"), resource=parse("the policy of the bucket", document(statement)))
        assert found == Decision(False, "with an explicit deny in a statement of the policy of the bucket")

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
        "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html",
    )
    @pytest.mark.parametrize(
        ("trusted", "statements", "allowed"),
        [
            ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, [allow("sts:AssumeRole")], True),
            ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, [], False),
            ({"AWS": ROLE}, [], True),
            ({"Service": "ecs-tasks.amazonaws.com"}, [allow("*")], False),
        ],
    )
    def test_a_role_is_assumed_by_whom_it_trusts(
        self, trusted: Any, statements: list[dict[str, Any]], allowed: bool
    ) -> None:
        trust = parse("trust", document({"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}))
        assert decision(Ask("sts:AssumeRole", ROLE), *statements, trust=trust).allowed is allowed
