"""`spotline up` and the plain `aws` command against it; and what is left when it goes away."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SAMPLE = ROOT / "samples" / "data" / "flights" / "20130209" / "flights.csv"

LONGEST_STOP_SECONDS = 100
"""It takes a second; on a machine with much else to do it may take many."""

pytestmark = [pytest.mark.ours, pytest.mark.timeout(240)]


class Up:
    """A running `spotline up`, and what it printed until it was ready."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [BIN / "spotline", "up", "--port", "0", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.printed = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            if "Ctrl-C" in line:
                break
        self.exports = dict(re.findall(r"^export (\w+)=(\S+)$", self.printed, re.MULTILINE))
        # What it says from here on must not fill the pipe, or it would wait for its reader.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def output(self, name: str) -> str:
        found = re.search(rf"^{name} (\S+)$", self.printed, re.MULTILINE)
        assert found, self.printed
        return found[1]

    def aws(self, *arguments: str) -> Any:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.exports}
        finished = subprocess.run(
            [BIN / "aws", "--output", "json", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, (arguments, finished.stderr)
        return json.loads(finished.stdout) if finished.stdout.strip().startswith(("{", "[")) else finished.stdout

    def stop(self) -> None:
        """Ctrl-C, as its user would."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(LONGEST_STOP_SECONDS)

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    running = Up("--time-scale", "60")
    yield running
    running.stop()


def wait_for(what: Callable[[], Any], seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError("it did not come to pass in time")


@pytest.fixture(scope="module")
def finished_run(up: Up) -> dict[str, Any]:
    up.aws("s3", "cp", str(SAMPLE), f"s3://{up.output('IngestBucket')}/data/flights/20130209/flights.csv")
    machine = up.output("StateMachineArn")

    def ended() -> Any:
        listed = up.aws("stepfunctions", "list-executions", "--state-machine-arn", machine)["executions"]
        return [execution for execution in listed if execution["status"] != "RUNNING"]

    [execution] = wait_for(ended)
    found: dict[str, Any] = up.aws("stepfunctions", "describe-execution", "--execution-arn", execution["executionArn"])
    return found


def test_a_copied_file_becomes_a_finished_run(finished_run: dict[str, Any]) -> None:
    assert finished_run["status"] == "SUCCEEDED"


def test_the_history_and_the_jobs_are_there_to_look_at(up: Up, finished_run: dict[str, Any]) -> None:
    history = up.aws("stepfunctions", "get-execution-history", "--execution-arn", finished_run["executionArn"])[
        "events"
    ]
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))
    assert history[-1]["type"] == "ExecutionSucceeded"
    listed = up.aws("batch", "list-jobs", "--job-queue", up.output("MainQueue"), "--job-status", "SUCCEEDED")[
        "jobSummaryList"
    ]
    assert {job["jobName"] for job in listed} == {
        f"{finished_run['name']}-preprocess",
        f"{finished_run['name']}-postprocess",
    }
    described = up.aws("batch", "describe-jobs", "--jobs", *[job["jobId"] for job in listed])["jobs"]
    assert {job["container"]["exitCode"] for job in described} == {0}


def test_the_table_and_the_logs_are_there_to_look_at(up: Up, finished_run: dict[str, Any]) -> None:
    items = up.aws("dynamodb", "scan", "--table-name", up.output("RunsTable"))["Items"]
    assert f"RUN#{finished_run['name']}" in {item["pk"]["S"] for item in items}
    assert "DAY#flights#20130209" in {item["pk"]["S"] for item in items}
    lines = up.aws("logs", "filter-log-events", "--log-group-name", up.output("JobLogGroup"))["events"]
    assert any("round" in line["message"] for line in lines)


def test_a_function_can_be_invoked(up: Up, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    up.aws("lambda", "invoke", "--function-name", up.output("ReconcileFunction"), "--payload", "{}", str(answer))
    assert json.loads(answer.read_text()) == {"looked_at": 0, "acted": []}


def test_an_execution_can_be_started_stopped_and_redriven(up: Up, finished_run: dict[str, Any]) -> None:
    # Given an execution of the same version under another name, stopped on its way
    run = json.loads(finished_run["input"]) | {"run_id": "flights-20130209-byhand"}
    arn = up.aws(
        "stepfunctions", "start-execution", "--state-machine-arn", up.output("StateMachineArn"),
        "--name", run["run_id"], "--input", json.dumps(run),
    )["executionArn"]  # fmt: skip

    def entered_preprocess() -> bool:
        history = up.aws("stepfunctions", "get-execution-history", "--execution-arn", arn)["events"]
        return any(event.get("stateEnteredEventDetails", {}).get("name") == "Preprocess" for event in history)

    def status() -> str:
        return str(up.aws("stepfunctions", "describe-execution", "--execution-arn", arn)["status"])

    wait_for(entered_preprocess)
    up.aws("stepfunctions", "stop-execution", "--execution-arn", arn, "--cause", "a test")
    wait_for(lambda: status() == "ABORTED")
    # When it is redriven
    up.aws("stepfunctions", "redrive-execution", "--execution-arn", arn)
    # Then it ends well
    wait_for(lambda: status() in ("SUCCEEDED", "FAILED"))
    assert status() == "SUCCEEDED"


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_no_process_outlives_the_twin(signal_number: signal.Signals) -> None:
    # Given a twin with a gang at work
    running = Up("--time-scale", "60")
    running.aws("s3", "cp", str(SAMPLE), f"s3://{running.output('IngestBucket')}/data/flights/20130209/flights.csv")
    wait_for(lambda: any("analysis" in " ".join(_command(process)) for process in running.descendants()))
    descendants = running.descendants()
    # When it goes away
    running.process.send_signal(signal_number)
    running.process.wait(LONGEST_STOP_SECONDS)
    # Then so do they all
    _, alive = psutil.wait_procs(descendants, timeout=60)
    assert alive == []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = subprocess.run(
            [BIN / "spotline", "up", "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert finished.returncode == 1
    assert (
        finished.stderr.strip()
        == f"spotline: port {port} is taken: stop the program that listens there, or choose another port"
    )
