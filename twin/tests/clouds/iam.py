"""IAM for tests: policies and ARNs in short, and an account on moto's server in which IAM is enforced."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from twin import credentials, iam, patches
from twin.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/twin"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}"


def batch_arn(resource: str) -> str:
    return f"arn:aws:batch:us-east-1:{ACCOUNT}:{resource}"


TABLE = arn("dynamodb", "table/runs")


class Account:
    """An account with one role, whose permissions each test sets."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        made = self.administrator("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=document(trust))
        self.role: str = made["Role"]["Arn"]

    def administrator(self, service: str) -> Any:
        return credentials.internal_client(service)

    def grant(self, *statements: dict[str, Any]) -> None:
        self.administrator("iam").put_role_policy(
            RoleName="worker", PolicyName="given", PolicyDocument=document(*statements)
        )

    def client(self, service: str, **keys: str) -> Any:
        """A client with the role's credentials, or with others in their place."""
        make: Any = boto3.client  # the stubs know services by literal name only
        given = {**credentials.role_credentials(self.role), **keys}
        return make(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=given["AWS_SESSION_TOKEN"],
            config=Config(retries={"total_max_attempts": 1}),
        )


@contextlib.contextmanager
def iam_account() -> Iterator[Account]:
    """moto's server with IAM enforced; on it an account with a role, two buckets of an object each, and a table."""
    BackendDict.reset()
    reset_model_data()
    server = Server(0)
    credentials.connect(server.url)
    iam.install(SimpleNamespace(enforce_iam=True))
    server.start()
    try:
        account = Account(server)
        _furnish(account.administrator("s3"), account.administrator("dynamodb"))
        yield account
    finally:
        iam.stop()
        patches.restore()
        server.stop()
        credentials.disconnect()


def _furnish(s3: Any, dynamodb: Any) -> None:
    for bucket in ("landing", "other"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="data/here", Body=b"x")
    dynamodb.create_table(
        TableName="runs",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
