"""Two applications that the twin has never heard of are deployed and do their work; one through the `twin` command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from clouds.processes import eventually
from twin import FolderImages, Twin, TwinOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECTS = Path(__file__).parent / "projects"
COMMAND = Path(sys.executable).with_name("twin")

pytestmark = [pytest.mark.ours, pytest.mark.timeout(180)]


class Up:
    """A `twin up`, seen from outside."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [COMMAND, "up", "--port", "0", *arguments]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(list(map(str, command)), text=True, env={"PATH": os.environ["PATH"]}, **pipes)
        self.printed = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            if "Ctrl-C" in line:
                break

    def output(self, name: str) -> str:
        found = re.search(rf"^{name} (\S+)$", self.printed, re.MULTILINE)
        assert found, self.printed
        return found[1]

    def client(self, service: str) -> Any:
        exports = dict(re.findall(r"^export (\w+)=(\S+)$", self.printed, re.MULTILINE))
        make: Any = boto3.client  # the stubs know services by literal name only
        return make(
            service,
            endpoint_url=exports["AWS_ENDPOINT_URL"],
            region_name=exports["AWS_REGION"],
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        )

    def stop(self) -> tuple[int, str]:
        """The exit code, and what was printed since and into stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        rest, errors = self.process.communicate(timeout=60)
        return self.process.returncode, rest + errors


@pytest.fixture
def film() -> Iterator[Up]:
    up = Up(
        "--template", PROJECTS / "render" / "template.yaml", "--images", PROJECTS / "render" / "images.json",
        "--time-scale", "60",
    )  # fmt: skip
    yield up
    up.stop()


def render(client: Any, bucket: str, machine: str, frames: int) -> bytes:
    """The film that an execution leaves."""
    steps = client("stepfunctions")
    arn = steps.start_execution(stateMachineArn=machine, input=json.dumps({"frames": frames}))["executionArn"]
    assert eventually(lambda: steps.describe_execution(executionArn=arn)["status"] != "RUNNING", 90)
    assert steps.describe_execution(executionArn=arn)["status"] == "SUCCEEDED", steps.describe_execution(
        executionArn=arn
    )
    body: bytes = client("s3").get_object(Bucket=bucket, Key="film")["Body"].read()
    return body


def test_step_functions_and_batch_render_a_film_under_the_command(film: Up) -> None:
    # Given an application of Batch, Step Functions and S3 that `twin up` has deployed
    bucket, machine = film.output("Films"), film.output("Film")
    # When an execution renders three frames, each a job of an array, and joins them
    body = render(film.client, bucket, machine, 3)
    # Then the programs of both images have run, one from a folder and one by its command
    assert body == b"frame 0\nframe 1\nframe 2\n"
    # And Ctrl-C ends it in order
    code, printed = film.stop()
    assert (code, printed) == (0, "stopping the twin and every process that it started\n")


def test_the_same_application_runs_from_a_folder_of_images() -> None:
    images = FolderImages(PROJECTS / "render" / "images")
    with Twin(TwinOptions(time_scale=60, resolve_image=images)) as twin:
        stack = twin.deploy(PROJECTS / "render" / "template.yaml", stack_name="film")
        assert render(twin.client, stack.outputs["Films"], stack.outputs["Film"], 2) == b"frame 0\nframe 1\n"


def test_functions_take_orders_from_a_bucket_into_a_table() -> None:
    # Given an application of Lambda, DynamoDB and S3
    with Twin(TwinOptions(time_scale=60)) as twin:
        stack = twin.deploy(PROJECTS / "orders" / "template.yaml", stack_name="orders")
        # When a file of orders arrives
        orders = [
            {"customer": "ada", "order": "1", "price": 2.5},
            {"customer": "ada", "order": "2", "price": 4},
            {"customer": "bob", "order": "3", "price": 1},
        ]
        s3, lambda_ = twin.client("s3"), twin.client("lambda")
        s3.put_object(Bucket=stack.outputs["Inbox"], Key="monday.json", Body=json.dumps(orders).encode())
        s3.put_object(Bucket=stack.outputs["Inbox"], Key="readme.txt", Body=b"not an order")

        def read(customer: str) -> Any:
            payload = json.dumps({"customer": customer}).encode()
            return json.load(lambda_.invoke(FunctionName=stack.outputs["Read"], Payload=payload)["Payload"])

        # Then its event has started the function, and another one answers from the table
        assert eventually(lambda: len(read("ada")["orders"]) == 2)
        assert read("ada") == {"orders": ["1", "2"], "total": 6.5}
        assert read("bob") == {"orders": ["3"], "total": 1.0}


def test_what_the_twin_does_not_model_ends_the_command_before_anything_runs(tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps({"Resources": {"Stream": {"Type": "AWS::Kinesis::Stream"}}}))
    code, printed = Up("--template", template).stop()
    assert code == 1
    assert printed.startswith("twin: the twin does not model Stream (AWS::Kinesis::Stream)")


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ('{"film-frames": "nowhere"}', "there is no .*nowhere/Dockerfile"),
        ('{"film-frames": []}', "is a folder or a command"),
        ('["film-frames"]', "is a JSON object"),
        ("film-frames", "is not JSON"),
    ],
)
def test_a_wrong_map_of_images_ends_the_command_in_one_line(tmp_path: Path, images: str, said: str) -> None:
    (tmp_path / "images.json").write_text(images)
    up = Up("--template", PROJECTS / "render" / "template.yaml", "--images", tmp_path / "images.json")
    code, printed = up.stop()
    assert code == 1
    assert re.fullmatch(rf"twin: .*{said}.*\n", printed), printed


def test_a_parameter_without_a_value_is_named() -> None:
    code, printed = Up("--template", PROJECTS / "render" / "template.yaml", "--parameter", "Registry").stop()
    assert (code, printed) == (1, "twin: --parameter is NAME=VALUE, not 'Registry'\n")
