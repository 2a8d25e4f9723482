"""What the twin itself costs on this machine: `python benchmarks/twin.py [--runs 5] [--at-once 100] [--write]`.

A no-op run is a run whose jobs do nothing (`spotline up --jobs noop`), so what is left is triggers, state machine, functions,
queues and a gang's way through launch and settlement: the twin's overhead. Budgets, on 2 cores: a deployment in 5 s, a run in 3 s,
100 runs at once end with at most 1.5 GB for all processes together.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from benchmarks.demo import proportional_bytes
from spotline.layout import parse_data_key
from spotline.runs import Source, execution_arn, run_id

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- twin: begin -->", "<!-- twin: end -->"
DEPLOY_SECONDS, RUN_SECONDS, MEMORY_BYTES = 5.0, 3.0, 1_500_000_000
_OVER = ("FAILED", "TIMED_OUT", "ABORTED")
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 1800.0
_DEPLOY = """
import time
from cli.deployment import make_twin
from cli.project import TEMPLATE
from twin import TwinOptions
with make_twin(TwinOptions(jobs="noop")) as twin:
    began = time.monotonic()
    twin.deploy(TEMPLATE, stack_name="spotline")
    print(time.monotonic() - began)
"""


@dataclass
class NoopTwin:
    """A running `spotline up --jobs noop`, seen from outside."""

    process: subprocess.Popen[str]
    printed: str

    def output(self, name: str) -> str:
        """An output of the stack, as the command printed it."""
        found = re.search(rf"^{name} (\S+)$", self.printed, re.MULTILINE)
        assert found, self.printed
        return found[1]

    def client(self, service: str) -> Any:
        """A client with the credentials that the command printed."""
        exports = dict(re.findall(r"^export (\w+)=(\S+)$", self.printed, re.MULTILINE))
        make: Any = boto3.client  # the stubs know services by literal name only
        return make(
            service,
            endpoint_url=exports["AWS_ENDPOINT_URL"],
            region_name=exports["AWS_REGION"],
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50),
        )


@contextlib.contextmanager
def noop_twin(*arguments: str) -> Iterator[NoopTwin]:
    """`spotline up --jobs noop` until the end of the block."""
    command = [str(Path(sys.executable).with_name("spotline")), "up", "--jobs", "noop", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "Ctrl-C" in line:
            break
    reading = threading.Thread(target=process.stdout.read)  # what a Slack is told must not fill the pipe
    reading.start()
    try:
        yield NoopTwin(process, printed)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        reading.join()


class Runs:
    """Files dropped into a twin, and how their runs end."""

    def __init__(self, twin: NoopTwin) -> None:
        self._s3, self._steps = twin.client("s3"), twin.client("stepfunctions")
        self._bucket, self._machine = twin.output("IngestBucket"), twin.output("StateMachineArn")
        self._dropped = 0
        self._awaited: list[str] = []

    def drop(self) -> None:
        """Put one more file of a day into the ingest bucket."""
        key, body = f"data/flights/20130209/{self._dropped:05d}.csv", b"year,month,day\n2013,2,9\n"
        version = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)["VersionId"]
        name = run_id(Source(self._bucket, key, version, len(body)), parse_data_key(key))
        self._awaited.append(execution_arn(self._machine, name))
        self._dropped += 1

    def wait(self) -> None:
        """Wait until every dropped file's run has succeeded.

        Raises
        ------
        RuntimeError
            One has not, or it takes longer than half an hour.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        while self._awaited:
            status = self._status(self._awaited[0])
            if status == "SUCCEEDED":
                self._awaited.pop(0)
                continue
            if status in _OVER or time.monotonic() > end:
                raise RuntimeError(f"{self._awaited[0]} is {status or 'not started'}; {len(self._awaited)} are awaited")
            time.sleep(_LOOK_SECONDS)

    def _status(self, arn: str) -> str:
        """The execution's status; empty while there is none."""
        try:
            return str(self._steps.describe_execution(executionArn=arn)["status"])
        except self._steps.exceptions.ExecutionDoesNotExist:
            return ""


def deployment() -> float:
    """Seconds of a deployment of `template.yaml`."""
    command = [sys.executable, "-c", _DEPLOY]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def run_after_run(twin: NoopTwin, runs: Runs, count: int) -> tuple[list[float], int]:
    """Seconds from drop to SUCCEEDED of each, the first one cold; and the most memory of all processes, in bytes."""
    seconds = []
    for _ in range(count):
        began = time.monotonic()
        runs.drop()
        runs.wait()
        seconds.append(time.monotonic() - began)
    return seconds, proportional_bytes(twin.process.pid)


def runs_at_once(twin: NoopTwin, runs: Runs, count: int) -> tuple[float, int]:
    """Seconds until all have succeeded, and the most memory of all processes together, in bytes."""
    most, done = 0, threading.Event()

    def weigh() -> None:
        nonlocal most
        while not done.wait(0.5):
            most = max(most, proportional_bytes(twin.process.pid))

    weighing = threading.Thread(target=weigh)
    weighing.start()
    began = time.monotonic()
    try:
        for _ in range(count):
            runs.drop()
        runs.wait()
    finally:
        done.set()
        weighing.join()
    return time.monotonic() - began, most


def main() -> None:
    """Measure, and print a table in Markdown or put it into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=5, help="deployments, and runs one after another; medians are shown"
    )
    parser.add_argument("--at-once", type=int, default=100, help="files dropped at once")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    deployed = statistics.median(deployment() for _ in range(options.runs))
    with noop_twin() as twin:
        runs = Runs(twin)
        (cold, *warm), idle = run_after_run(twin, runs, options.runs + 1)
    with noop_twin() as twin:
        together, most = runs_at_once(twin, Runs(twin), options.at_once)
    text = "\n".join(
        [
            f"On {os.cpu_count()} cores, {dt.datetime.now(dt.UTC):%-d %B %Y}, medians of {options.runs}.",
            "",
            "| what | measured | budget |",
            "|---|---|---|",
            f"| deploy `template.yaml` | {deployed:.1f} s | {DEPLOY_SECONDS:.0f} s |",
            f"| a no-op run, from drop to SUCCEEDED, functions warm | {statistics.median(warm):.2f} s | {RUN_SECONDS:.0f} s |",
            f"| the first one, every function cold | {cold:.2f} s | {RUN_SECONDS:.0f} s |",
            f"| memory of all processes after {options.runs + 1} runs | {idle / 1e6:.0f} MB | |",
            f"| {options.at_once} no-op runs at once, until the last SUCCEEDED | {together:.0f} s | ends |",
            f"| most memory of all processes meanwhile | {most / 1e6:.0f} MB | {MEMORY_BYTES / 1e6:.0f} MB |",
        ]
    )
    print(text)
    if options.write:
        document = DOCUMENT.read_text(encoding="utf-8")
        before, _, rest = document.partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
