"""`sam local invoke` runs each sample event: the functions as `sam build` leaves them, in a container, against the twin.

Opt-in, with `make test-images`; needs `sam` (which `make validate` installs), Docker with its bridge network, and Lambda's image
of Python or, with `IMAGES_BASE`, a substitute that is built on that.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import boto3
import pytest
import yaml

from tests.images.containers import BASE, BUILD_SECONDS, docker, need_docker, need_image
from tests.images.tunnel import tunnel
from tests.template.system import ROOT
from tests.twin.test_up import Up

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(3600)

MACHINE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
LAMBDA_IMAGE = "public.ecr.aws/lambda/python:3.13"
SUBSTITUTE = "spotline-test-lambda"
RUN_ID = "flights-20130209-138898b288d52cd0"
FUNCTIONS = {
    "ingest": ["IngestFunction"],
    "launch": ["LaunchGangFunction"],
    "reconcile": ["ReconcileFunction"],
    "notify": ["NotifyFunction"],
    "sweep": ["SweepFunction"],
    "execution": ["ReconcileFunction", "NotifyFunction"],
}
"""Who gets a sample event, by the first word of its file's name."""
EVENTS = [
    (function, path.stem)
    for path in sorted((ROOT / "events").glob("*.json"))
    for function in FUNCTIONS[path.stem.partition("-")[0]]
]


def sam(*arguments: str | Path, seconds: float) -> str:
    """What a sam command prints on its standard output; it must succeed."""
    beside = Path(sys.executable).with_name("sam")
    tool = str(beside) if beside.exists() else shutil.which("sam")
    if tool is None:
        pytest.skip("sam is not installed; `make validate` installs it")
    environ = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [tool, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=seconds)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def lambda_image() -> str:
    """Lambda's image of Python, or its substitute on the base that was given."""
    need_docker()
    if not BASE:
        need_image(LAMBDA_IMAGE)
        return LAMBDA_IMAGE
    file = Path(__file__).with_name("lambda_runtime.Dockerfile")
    arguments = ["--network", "host", "--build-arg", f"BASE={BASE}", "--file", str(file), "--tag", SUBSTITUTE, "."]
    docker("build", *arguments, seconds=BUILD_SECONDS)
    return SUBSTITUTE


@pytest.fixture(scope="module")
def gateway() -> str:
    """The address under which containers on Docker's bridge reach this machine."""
    need_docker()
    networks = docker("network", "ls", "--format", "{{.Name}}").split()
    if "bridge" not in networks:
        pytest.skip("Docker runs without its bridge network, whose ports `sam local invoke` talks through")
    (bridge,) = json.loads(docker("network", "inspect", "bridge"))
    return str(bridge["IPAM"]["Config"][0]["Gateway"])


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """A twin with the stack, and the run that the samples are about: its execution, and its clean rows."""
    running = Up("--time-scale", "60", "--jobs", "noop")
    try:
        detail = sample(running, "execution-status-change")["detail"]
        client(running, "stepfunctions").start_execution(
            stateMachineArn=running.output("StateMachineArn"), name=RUN_ID, input=detail["input"]
        )
        client(running, "s3").put_object(
            Bucket=running.output("IntermediateBucket"), Key=f"runs/{RUN_ID}/preprocess/manifest.json", Body=b"{}"
        )
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(60)


def client(up: Up, service: str) -> Any:
    """An administrator's client of the twin."""
    exports = up.exports
    keys = exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]
    session = boto3.Session(*keys, region_name=exports["AWS_REGION"])
    return session.client(service, endpoint_url=exports["AWS_ENDPOINT_URL"])  # type: ignore[call-overload]


def sample(up: Up, name: str) -> dict[str, Any]:
    """A sample event, filled in with the stack on the twin."""
    text = (ROOT / f"events/{name}.json").read_text()
    machine = up.output("StateMachineArn")
    for other, ours in {
        "arn:aws:states:eu-west-1:123456789012:stateMachine:spotline-Pipeline": machine,
        "arn:aws:states:eu-west-1:123456789012:execution:spotline-Pipeline": machine.replace(
            ":stateMachine:", ":execution:"
        ),
        "spotline-ingestbucket-1a2b3c4d5e6f": up.output("IngestBucket"),
    }.items():
        text = text.replace(other, ours)
    return dict(json.loads(text))


@pytest.fixture(scope="module")
def reached(up: Up, gateway: str) -> Iterator[dict[str, str]]:
    """What leads a container to the twin; its Slack is led to by the secret."""
    secrets, name = client(up, "secretsmanager"), up.output("SlackWebhookSecret")
    twin = urlsplit(up.exports["AWS_ENDPOINT_URL"])
    slack = urlsplit(secrets.get_secret_value(SecretId=name)["SecretString"])
    with tunnel(gateway, _at(twin)) as cloud, tunnel(gateway, _at(slack)) as webhook:
        secrets.put_secret_value(SecretId=name, SecretString=slack._replace(netloc=f"{gateway}:{webhook}").geturl())
        yield {**up.exports, "AWS_ENDPOINT_URL": f"http://{gateway}:{cloud}"}


def _at(address: SplitResult) -> tuple[str, int]:
    return str(address.hostname), int(address.port or 0)


@pytest.fixture(scope="module")
def template(up: Up, reached: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built template in a copy: for this machine's processor, and with the variables that the twin's deployment has."""
    folder = tmp_path_factory.mktemp("sam") / "build"
    sam("build", "--build-dir", folder, "--cache-dir", folder.with_name("cache"), seconds=BUILD_SECONDS)
    built = yaml.safe_load((folder / "template.yaml").read_text())
    functions = client(up, "lambda")
    for name in {function for function, _ in EVENTS}:
        deployed = functions.get_function_configuration(FunctionName=up.output(name))["Environment"]["Variables"]
        built["Resources"][name]["Properties"]["Environment"] = {"Variables": {**deployed, **reached}}
    text = json.dumps(built).replace('"arm64"', json.dumps(MACHINE[platform.machine()]))
    (folder / "template.json").write_text(text)
    return folder / "template.json"


@pytest.mark.parametrize(("function", "event"), EVENTS)
def test_sam_local_invoke_runs_the_event(
    function: str, event: str, template: Path, lambda_image: str, up: Up, tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_text(json.dumps(sample(up, event)))
    stdout = sam(
        *("local", "invoke", function, "--template", template, "--event", tmp_path / "event.json"),
        *("--invoke-image", lambda_image, "--skip-pull-image"),
        seconds=600,
    )
    answer = json.loads(stdout.strip().splitlines()[-1])
    assert isinstance(answer, dict)
    assert "errorMessage" not in answer, stdout
