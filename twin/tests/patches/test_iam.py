"""Each patch to moto's authorisation is still needed: a test here fails once stock moto has closed the gap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.s3.models import s3_backends

from twin import patches
from twin.patches import iam

if TYPE_CHECKING:
    from collections.abc import Iterator

INSECURE = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "arn:aws:s3:::bucket/*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


@pytest.fixture(autouse=True)
def _stock() -> Iterator[None]:
    patches.restore()
    with mock_aws():
        yield
    patches.restore()


def client(service: str, keys: dict[str, str] | None = None) -> Any:
    keys = keys or {"AccessKeyId": "a", "SecretAccessKey": "b"}
    make: Any = boto3.client  # the stubs know services by literal name only
    return make(
        service,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys.get("SessionToken"),
    )


def permission_in_a_bucket_that_insists_on_tls() -> Any:
    client("s3").create_bucket(Bucket="bucket")
    client("s3").put_bucket_policy(
        Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [INSECURE]})
    )
    return s3_backends["123456789012"]["aws"].buckets["bucket"].get_permission("s3:GetObject", "arn:aws:s3:::bucket/k")


def test_stock_moto_takes_a_denial_of_plain_http_for_a_denial_of_everything() -> None:
    assert permission_in_a_bucket_that_insists_on_tls() == PermissionResult.DENIED


def test_patched_a_buckets_policy_is_left_to_the_guard() -> None:
    iam.install(guard=None)
    assert permission_in_a_bucket_that_insists_on_tls() == PermissionResult.PERMITTED


def test_stock_moto_refuses_a_role_what_its_policy_allows_on_a_table() -> None:
    # Given a role that may write to one table
    trust = {"Version": "2012-10-17", "Statement": []}
    role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "arn:aws:dynamodb:*:*:table/t"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
    client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    keys = client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    # When it does so under moto's own enforcement, then it is refused
    with pytest.raises(ClientError, match="AccessDenied"):
        _put_item_enforced(keys)


@set_initial_no_auth_action_count(0)
def _put_item_enforced(keys: dict[str, str]) -> None:
    client("dynamodb", keys).put_item(TableName="t", Item={"pk": {"S": "1"}})


def test_stock_moto_ignores_a_condition_that_it_does_not_know() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": "*",
        "Condition": {"StringLike": {"s3:prefix": "runs/*"}},
    }
    found = IAMPolicyStatement(statement).is_action_permitted("s3:ListBucket", "*", None, {"s3:prefix": "data/"})
    assert found == PermissionResult.PERMITTED
