"""A twin begins empty, answers any AWS SDK, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import boto3
import psutil
import pytest

from twin import PortTaken, Twin, TwinOptions, credentials
from twin.clock import Clock
from twin.server import HOST

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ours

QUICK = TwinOptions(time_scale=60, jobs="noop")


def test_an_ordinary_client_works_with_the_twins_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a twin, and a program that knows only its environment variables
    monkeypatch.setattr(
        boto3, "DEFAULT_SESSION", None
    )  # one of an earlier test keeps the credentials that it found then
    with Twin(QUICK) as twin:
        for name, value in twin.environment().items():
            monkeypatch.setenv(name, value)
        # When it uses boto3 as anybody would
        bucket = boto3.client("s3").create_bucket(Bucket="from-outside")
        # Then it reaches the twin, as its administrator
        assert bucket["Location"] == "/from-outside"
        assert "administrator" in boto3.client("sts").get_caller_identity()["Arn"]
        assert [it["Name"] for it in twin.client("s3").list_buckets()["Buckets"]] == ["from-outside"]


def test_one_twin_finds_nothing_of_the_one_before() -> None:
    with Twin(QUICK) as first:
        first.client("s3").create_bucket(Bucket="of-the-first")
        first.client("iam").create_user(UserName="of-the-first")
    with Twin(QUICK) as second:
        assert second.client("s3").list_buckets()["Buckets"] == []
        assert [it["UserName"] for it in second.client("iam").list_users()["Users"]] == ["administrator"]


def test_a_twin_that_has_ended_leaves_no_thread_process_port_or_variable() -> None:
    # Given what this process has
    threads, children = set(threading.enumerate()), psutil.Process().children(recursive=True)
    environment = dict(os.environ)
    # When a twin was there
    with Twin(QUICK) as twin:
        twin.client("s3").list_buckets()
        port = int(twin.url.rsplit(":", 1)[1])
    # Then nothing of it is left
    end = time.monotonic() + 10
    while set(threading.enumerate()) - threads and time.monotonic() < end:
        time.sleep(0.01)
    assert set(threading.enumerate()) - threads == set()
    assert set(psutil.Process().children(recursive=True)) <= set(children)
    assert dict(os.environ) == environment
    with socket.create_server((HOST, port)):
        pass


def test_a_taken_port_leaves_nothing_behind_either() -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken), Twin(TwinOptions(port=port)):
            pass
    with Twin(TwinOptions(port=port, jobs="noop")) as twin:
        assert twin.url == f"http://{HOST}:{port}"


def test_a_process_has_one_twin_at_a_time() -> None:
    with Twin(QUICK), pytest.raises(RuntimeError, match="process of its own"), Twin(QUICK):
        pass


def test_without_a_twin_there_is_no_endpoint() -> None:
    with pytest.raises(credentials.NotConnected):
        credentials.endpoint()


def test_a_profile_of_the_user_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, small_template: Path) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-does-not-exist")
    with Twin(QUICK) as twin:
        twin.client("s3").list_buckets()
        assert twin.deploy(small_template, stack_name="small").outputs["Bucket"]
    assert os.environ["AWS_PROFILE"] == "a-profile-that-does-not-exist"


def test_the_region_is_the_callers(monkeypatch: pytest.MonkeyPatch, small_template: Path) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    with Twin(QUICK) as twin:
        stack = twin.deploy(small_template, stack_name="small")
        assert stack.outputs["Machine"].startswith("arn:aws:states:eu-central-1:")


def test_a_roles_credentials_are_that_roles(twin: Twin) -> None:
    # Given a role
    trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
    role = twin.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=trust)["Role"]
    # When its credentials are used
    keys = credentials.role_credentials(role["Arn"])
    caller = boto3.client(
        "sts",
        endpoint_url=twin.url,
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=keys["AWS_SESSION_TOKEN"],
    )
    # Then the caller is a session of that role
    assert caller.get_caller_identity()["Arn"] == f"arn:aws:sts::{credentials.account()}:assumed-role/worker/twin"


def test_there_are_no_credentials_of_a_role_that_is_not_deployed(twin: Twin) -> None:
    with pytest.raises(LookupError, match="nobody"):
        credentials.role_credentials("arn:aws:iam::123456789012:role/nobody")


@pytest.mark.parametrize(("scale", "aws_seconds", "here"), [(1, 120, 120), (60, 120, 2), (0.5, 1, 2)])
def test_a_clock_divides_the_waits_of_aws(scale: float, aws_seconds: float, here: float) -> None:
    assert Clock(scale).real(aws_seconds) == here


@pytest.mark.parametrize("scale", [0, -1, float("nan")])
def test_a_clock_runs_forward(scale: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Clock(scale)
