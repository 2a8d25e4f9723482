"""The cases of statemachine/mocks.json on AWS's own interpreter, Step Functions Local, where Docker has its image.

Step Functions Local scales Wait states but not the intervals of Retry, so it gets the definition with short ones.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.statemachine import pipeline
from tests.statemachine.cases import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.statemachine.pipeline import Course

pytestmark = [pytest.mark.sfn_local, pytest.mark.timeout(300)]

IMAGE = "amazon/aws-stepfunctions-local"
PORT = 8083  # in the container ("Setting up Step Functions Local", Step Functions developer guide)
KEYS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
ROLE = "arn:aws:iam::123456789012:role/machine"
READY_WITHIN_SECONDS = 60.0
OVER_WITHIN_SECONDS = 180.0


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)


def why_not() -> str | None:
    """Why the container cannot run here; None when it can."""
    if shutil.which("docker") is None:
        return "Docker is not installed"
    if docker("info").returncode != 0:
        return "Docker is installed, but its daemon does not answer"
    if docker("image", "inspect", IMAGE).returncode != 0:
        return f"the image is not there: `docker pull {IMAGE}` brings it"
    return None


@pytest.fixture(scope="module")
def steps(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of Step Functions Local."""
    if "sfn_local" not in request.config.getoption("markexpr"):
        pytest.skip("runs in `make test-sfn-local` only")
    if reason := why_not():
        pytest.skip(reason)
    keys = [option for name, value in KEYS.items() for option in ("--env", f"{name}={value}")]
    started = docker(
        *("run", "--detach", "--rm", "--publish", f"127.0.0.1::{PORT}"),
        *("--volume", f"{pipeline.MOCKS}:/mocks.json:ro", "--env", "SFN_MOCK_CONFIG=/mocks.json"),
        *keys,
        IMAGE,
    )
    assert started.returncode == 0, started.stderr
    container = started.stdout.strip()
    try:
        address = docker("port", container, str(PORT)).stdout.split()[0]
        yield _ready(client(f"http://{address}"))
    finally:
        docker("stop", "--time", "1", container)


def client(endpoint: str) -> Any:
    """A client of an interpreter at `endpoint`."""
    return boto3.client(
        "stepfunctions",
        endpoint_url=endpoint,
        region_name=KEYS["AWS_DEFAULT_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"mode": "standard", "max_attempts": 5}),
    )


def _ready(steps: Any) -> Any:
    end = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            steps.list_state_machines()
        except (BotoCoreError, ClientError):
            assert time.monotonic() < end, f"Step Functions Local did not answer within {READY_WITHIN_SECONDS} s"
            time.sleep(0.5)
        else:
            return steps


def run_all(steps: Any) -> dict[str, Course]:
    """Run every case, side by side; what each of them did."""
    definition = json.dumps(pipeline.deployable(pipeline.DEFINITION))
    machine = steps.create_state_machine(name=pipeline.NAME, definition=definition, roleArn=ROLE)["stateMachineArn"]
    started = {
        case: steps.start_execution(stateMachineArn=f"{machine}#{case}", name=case, input=CASES[case].input)
        for case in CASES
    }
    end = time.monotonic() + OVER_WITHIN_SECONDS
    return {case: _course(steps, execution["executionArn"], end) for case, execution in started.items()}


def _course(steps: Any, execution: str, end: float) -> Course:
    while steps.describe_execution(executionArn=execution)["status"] == "RUNNING":
        assert time.monotonic() < end, f"{execution} did not end within {OVER_WITHIN_SECONDS} s"
        time.sleep(0.1)
    pages = steps.get_paginator("get_execution_history").paginate(executionArn=execution)
    return pipeline.course(event for page in pages for event in page["events"])


@pytest.fixture(scope="module")
def courses(steps: Any) -> dict[str, Course]:
    return run_all(steps)


@pytest.mark.parametrize("case", CASES)
def test_a_case_takes_the_same_path_as_on_the_twin(case: str, courses: dict[str, Course]) -> None:
    expected, took = CASES[case], courses[case]

    assert took.states == expected.states
    assert (took.status, took.error) == (expected.status, expected.error)
    assert took.repeated == expected.repeated
