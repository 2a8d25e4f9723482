"""Conditions of policies as IAM takes them. Source: the IAM user guide's pages named below."""

from __future__ import annotations

from typing import Any

import pytest

from clouds.iam import ACCOUNT, ROLE
from twin.iam import conditions


class TestConditions:
    """ "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or values"."""

    CONTEXT = {  # noqa: RUF012  a table
        "s3:prefix": ("runs/a",),
        "aws:securetransport": ("true",),
        "aws:principalarn": (ROLE,),
        "aws:tagkeys": ("team", "cost"),
        "s3:max-keys": ("10",),
        "aws:sourceip": ("127.0.0.1",),
        "aws:currenttime": ("2026-03-01T12:00:00Z",),
        "aws:username": ("jane",),
    }

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html",
    )
    @pytest.mark.parametrize(
        ("operator", "key", "wanted", "holds"),
        [
            ("StringEquals", "s3:prefix", "runs/a", True),
            ("StringEquals", "s3:prefix", ["runs/b", "runs/a"], True),
            ("StringEquals", "s3:prefix", "runs/*", False),
            ("StringEquals", "S3:PREFIX", "runs/a", True),
            ("StringEqualsIgnoreCase", "s3:prefix", "RUNS/A", True),
            ("StringNotEquals", "s3:prefix", ["runs/b", "runs/c"], True),
            ("StringNotEquals", "s3:prefix", ["runs/b", "runs/a"], False),
            ("StringLike", "s3:prefix", "runs/?", True),
            ("StringLike", "s3:prefix", "runs/*", True),
            ("StringLike", "s3:prefix", "run?/b", False),
            ("StringNotLike", "s3:prefix", "runs/*", False),
            ("StringLike", "s3:prefix", "${aws:username}/*", False),
            ("StringEquals", "aws:username", "${aws:username}", True),
            ("ArnLike", "aws:principalarn", f"arn:aws:iam::{ACCOUNT}:role/*", True),
            ("ArnLike", "aws:principalarn", "arn:*:role/*", False),  # a wildcard does not span a colon
            ("ArnEquals", "aws:principalarn", "arn:aws:iam::*:role/work*", True),
            ("ArnNotEquals", "aws:principalarn", ROLE, False),
            ("Bool", "aws:securetransport", "false", False),
            ("Bool", "aws:securetransport", True, True),
            ("Null", "s3:delimiter", "true", True),
            ("Null", "s3:prefix", "true", False),
            ("Null", "s3:prefix", False, True),
            ("NumericLessThanEquals", "s3:max-keys", "10", True),
            ("NumericLessThan", "s3:max-keys", 10, False),
            ("NumericNotEquals", "s3:max-keys", "11", True),
            ("DateGreaterThan", "aws:currenttime", "2026-01-01T00:00:00Z", True),
            ("DateLessThan", "aws:currenttime", "1767225600", False),
            ("IpAddress", "aws:sourceip", "127.0.0.0/8", True),
            ("NotIpAddress", "aws:sourceip", ["10.0.0.0/8", "192.168.0.0/16"], True),
            # A key that the request does not have
            ("StringEquals", "s3:delimiter", "/", False),
            ("StringNotEquals", "s3:delimiter", "/", True),
            ("StringEqualsIfExists", "s3:delimiter", "/", True),
            ("StringEqualsIfExists", "s3:prefix", "other", False),
            ("BoolIfExists", "aws:multifactorauthpresent", "true", True),
            # A key with several values
            ("ForAllValues:StringEquals", "aws:tagkeys", ["team", "cost", "owner"], True),
            ("ForAllValues:StringEquals", "aws:tagkeys", ["team"], False),
            ("ForAllValues:StringEquals", "aws:absent", ["team"], True),
            ("ForAnyValue:StringEquals", "aws:tagkeys", ["team", "owner"], True),
            ("ForAnyValue:StringEquals", "aws:tagkeys", ["owner"], False),
            ("ForAnyValue:StringEquals", "aws:absent", ["team"], False),
        ],
    )
    def test_each_operator_holds_as_documented(self, operator: str, key: str, wanted: Any, holds: bool) -> None:
        assert conditions.hold({operator: {key: wanted}}, self.CONTEXT) is holds

    @pytest.mark.documented(
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html",
    )
    def test_every_condition_must_hold(self) -> None:
        first = {"StringEquals": {"s3:prefix": "runs/a"}, "Bool": {"aws:SecureTransport": "true"}}
        second = {"StringEquals": {"s3:prefix": "runs/a", "aws:username": "joe"}}
        assert conditions.hold(first, self.CONTEXT)
        assert not conditions.hold(second, self.CONTEXT)

    @pytest.mark.ours
    @pytest.mark.parametrize(
        "condition", [{"StringAlmost": {"s3:prefix": "a"}}, {"StringEquals": {"ec2:InstanceType": "p5.48xlarge"}}]
    )
    def test_what_the_twin_does_not_model_is_said(self, condition: dict[str, Any]) -> None:
        with pytest.raises(conditions.UnsupportedCondition, match="does not model"):
            conditions.hold(condition, self.CONTEXT)
