"""Every command of docs/operate.md, as it stands there, with the `aws` command against `spotline up`.

Each fenced `sh` block is run by a shell in document order, after its section's `given` has brought about what the section is for, and
`then` looks whether the commands did what the text says. A block without a case here fails the tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from spotline.layout import parse_data_key
from spotline.runs import Source, execution_arn, run_id
from tests.twin.deployed import CONTRACT, sample
from tests.twin.test_up import BIN, ROOT, Up, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DOCUMENT = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
OVER = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")

pytestmark = [pytest.mark.ours, pytest.mark.timeout(300)]


def blocks() -> list[tuple[str, int, str]]:
    """Every fenced `sh` block: its section, its number there, and its commands."""
    found: list[tuple[str, int, str]] = []
    for section in re.split(r"^##+ ", DOCUMENT, flags=re.MULTILINE):
        heading = section.split("\n", 1)[0]
        bodies: list[str] = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        found += [(heading, number, body) for number, body in enumerate(bodies)]
    return found


FIRST, *BLOCKS = blocks()
PRELUDE = FIRST[2]

# Version 1 of the command sends `aws sqs` to an address of its own unless it is told one (its overridesslcommonname.py), whatever
# AWS_ENDPOINT_URL says; the document says so, too.
AWS_AGAINST_THE_TWIN = """
aws() {
  if [ "$1" = sqs ]; then command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; else command aws "$@"; fi
}
"""


@dataclass(frozen=True)
class Landed:
    """A file that was landed, and its run."""

    run: str
    arn: str
    day: str


class Operator:
    """An operator at work on a running twin: a shell, a folder, and what is looked up afterwards."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up, self.folder = up, folder
        self.variables: dict[str, str] = {"WEBHOOK": "https://hooks.slack.com/services/T0/B0/new"}
        self.failed: Landed | None = None
        self._days = iter(range(20130101, 20130132))  # what the document's backfill is about

    def run(self, commands: str) -> str:
        """What the commands print, once every one of them has succeeded."""
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            **self.up.exports,
            **self.variables,
        }
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", AWS_AGAINST_THE_TWIN + PRELUDE + commands],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert finished.returncode == 0, (commands, finished.stdout, finished.stderr)
        return finished.stdout

    def client(self, service: str) -> Any:
        exports, make = self.up.exports, boto3.client  # type: Any, Any
        return make(
            service,
            endpoint_url=exports["AWS_ENDPOINT_URL"],
            region_name=exports["AWS_REGION"],
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        )

    def contract(self, tolerance: float) -> None:
        """Put the contract of the dataset, with nothing to analyse, so that runs are quick."""
        spotline = {"trim": True, "tolerance": {"maxRejectedShare": tolerance, "minRows": 1}}
        body = json.dumps({**CONTRACT, "spotline": spotline}).encode()
        self.client("s3").put_object(Bucket=self.up.output("IngestBucket"), Key="contracts/flights.json", Body=body)

    def land(self, *, bad_rows: int = 0) -> Landed:
        """Land a day's file that no test has landed before, and let the commands be about its run."""
        day, bucket = str(next(self._days)), self.up.output("IngestBucket")
        key, body = f"data/flights/{day}/flights.csv", sample(bad_rows=bad_rows)
        version = self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        run = run_id(Source(bucket, key, version, len(body)), parse_data_key(key))
        landed = Landed(run, execution_arn(self.up.output("StateMachineArn"), run), day)
        self.be_about(landed)
        return landed

    def be_about(self, landed: Landed) -> None:
        """Let the commands be about this run."""
        self.variables |= {"RUN": landed.run, "EXECUTION": landed.arn, "DAY": landed.day}

    def lend(self, vcpus: str) -> None:
        """Change how many vCPUs each market can lend."""
        for market in ("spot", "on-demand"):
            self.run(f"spotline capacity --market {market} --vcpus {vcpus}")

    def status(self, arn: str) -> str:
        """The execution's status; empty while there is none."""
        steps = self.client("stepfunctions")
        try:
            return str(steps.describe_execution(executionArn=arn)["status"])
        except steps.exceptions.ExecutionDoesNotExist:
            return ""

    def ended(self, arn: str) -> str:
        wait_for(lambda: self.status(arn) in OVER, 200)
        return self.status(arn)

    def concurrency(self) -> dict[str, Any]:
        client = self.client("lambda")
        names = [self.up.output(name) for name in ("IngestFunction", "SweepFunction")]
        return {
            name: client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
            for name in names
        }

    def answer(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "answer.json").read_text())
        return document


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    running = Up("--time-scale", "60")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def operator(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    found = Operator(up, tmp_path_factory.mktemp("operator"))
    found.contract(tolerance=0.02)
    return found


@dataclass(frozen=True)
class Case:
    """What a block is for: what must be so before it, and after it (given what it printed)."""

    given: Callable[[Operator], Any]
    then: Callable[[Operator, Any, str], None]


def nothing(_: Operator) -> None:
    """The block needs nothing but the stack."""


def rejected(operator: Operator) -> Landed:
    """A run that failed, because too many of its rows were refused; one that nobody has redriven is good for many looks."""
    operator.contract(tolerance=0.02)
    if operator.failed is None or operator.status(operator.failed.arn) != "FAILED":
        operator.failed = operator.land(bad_rows=20)
    else:
        operator.be_about(operator.failed)
    assert operator.ended(operator.failed.arn) == "FAILED"
    return operator.failed


def mended(operator: Operator) -> Landed:
    """A failed run whose cause is gone."""
    landed = rejected(operator)
    operator.contract(tolerance=0.5)
    return landed


def done(operator: Operator) -> Landed:
    operator.contract(tolerance=0.02)
    landed = operator.land()
    assert operator.ended(landed.arn) == "SUCCEEDED"
    return landed


def recorded(operator: Operator) -> Landed:
    """A failed run that stands in the table as such."""
    landed = rejected(operator)
    table, key = operator.up.output("RunsTable"), {"pk": {"S": f"RUN#{landed.run}"}, "sk": {"S": "RUN"}}
    dynamodb = operator.client("dynamodb")
    wait_for(lambda: "failed_run" in dynamodb.get_item(TableName=table, Key=key).get("Item", {}))
    return landed


def waiting(operator: Operator) -> Landed:
    """A run whose preprocess waits for an instance."""
    operator.lend("0")
    landed = operator.land()
    wait_for(lambda: operator.status(landed.arn) == "RUNNING")
    return landed


def unknown_to_ingest(operator: Operator) -> Landed:
    """A file that landed while its event reached nobody."""
    lambda_, name = operator.client("lambda"), operator.up.output("IngestFunction")
    rules = operator.client("events")
    arn = lambda_.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    [rule] = rules.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    rules.disable_rule(Name=rule)
    landed = operator.land()
    rules.enable_rule(Name=rule)
    assert operator.status(landed.arn) == ""
    return landed


def undeliverable(operator: Operator) -> Landed:
    """The same, with a message about it in the queue of failed events."""
    landed = unknown_to_ingest(operator)
    operator.client("sqs").send_message(QueueUrl=operator.up.output("FailedEvents"), MessageBody='{"lost": true}')
    return landed


def paused(operator: Operator) -> Landed:
    """A file that landed while nothing was started."""
    for name in operator.concurrency():
        operator.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    return operator.land()


def looked_at(operator: Operator, landed: Landed, printed: str) -> None:
    for told in ("FAILED", "States.TaskFailed", f"RUN#{landed.run}", f"{landed.run}-preprocess", "TaskFailed"):
        assert told in printed, printed


def shows_inputs(operator: Operator, landed: Landed, printed: str) -> None:
    assert "Preprocess\t{" in printed, printed
    assert f'"run_id": "{landed.run}"' in printed or f'"run_id":"{landed.run}"' in printed, printed


def listed_as_failed(operator: Operator, landed: Landed, printed: str) -> None:
    assert f"{landed.run}\tData.Rejected" in printed, printed
    assert f"{landed.run}\tFAILED" in printed, printed


def succeeds(operator: Operator, landed: Landed, printed: str) -> None:
    assert operator.ended(landed.arn) == "SUCCEEDED"


def stopped(operator: Operator, landed: Landed, printed: str) -> None:
    assert operator.ended(landed.arn) == "ABORTED"
    operator.lend("inf")


def runs_again(operator: Operator, landed: Landed, printed: str) -> None:
    again = f"{landed.arn}-r1"
    assert operator.ended(again) == "SUCCEEDED"
    given = json.loads(operator.client("stepfunctions").describe_execution(executionArn=again)["input"])
    assert (given["run_id"], given["market"]) == (f"{landed.run}-r1", "on-demand")


def filled_back(operator: Operator, landed: Landed, printed: str) -> None:
    assert operator.answer()["started"] == [landed.run], printed
    assert operator.ended(landed.arn) == "SUCCEEDED"


def swept(operator: Operator, landed: Landed, printed: str) -> None:
    assert operator.ended(landed.arn) == "SUCCEEDED"


def nothing_starts(operator: Operator, landed: Any, printed: str) -> None:
    assert set(operator.concurrency().values()) == {0}
    landed = operator.land()
    assert operator.status(landed.arn) == ""


def goes_on(operator: Operator, landed: Landed, printed: str) -> None:
    assert set(operator.concurrency().values()) == {None}
    assert operator.ended(landed.arn) == "SUCCEEDED"


def queue_enabled(operator: Operator, _: Any, printed: str) -> None:
    [queue] = operator.client("batch").describe_job_queues(jobQueues=[operator.up.output("BackfillQueue")])["jobQueues"]
    assert queue["state"] == "ENABLED"


def environments_are_listed(operator: Operator, _: Any, printed: str) -> None:
    assert printed.count("VALID") == len(operator.up.output("ComputeEnvironments").split(",")) == 4, printed


def patched(operator: Operator, landed: Landed, printed: str) -> None:
    batch, arns = operator.client("batch"), operator.up.output("ComputeEnvironments").split(",")
    found = batch.describe_compute_environments(computeEnvironments=arns)["computeEnvironments"]
    assert {environment["status"] for environment in found} == {"VALID"}
    assert all(environment["computeResources"]["instanceTypes"] for environment in found)
    operator.lend("inf")
    assert operator.ended(landed.arn) == "SUCCEEDED"


def webhook_is_new(operator: Operator, _: Any, printed: str) -> None:
    secret = operator.client("secretsmanager").get_secret_value(SecretId=operator.up.output("SlackWebhookSecret"))
    assert secret["SecretString"] == operator.variables["WEBHOOK"]


def emptied(operator: Operator, landed: Landed, printed: str) -> None:
    assert '{\\"lost\\": true}' in printed, printed
    queue = operator.up.output("FailedEvents")
    assert "Messages" not in operator.client("sqs").receive_message(QueueUrl=queue)
    assert operator.ended(landed.arn) == "SUCCEEDED"


def subscribed(operator: Operator, _: Any, printed: str) -> None:
    assert "email\tyou@example.com" in printed


CASES = {
    ("Look at a run", 0): Case(recorded, looked_at),
    ("Look at a run", 1): Case(recorded, shows_inputs),
    ("Look at a run", 2): Case(recorded, listed_as_failed),
    ("Redrive", 0): Case(mended, succeeds),
    ("Redrive", 1): Case(mended, succeeds),
    ("Stop a run", 0): Case(waiting, stopped),
    ("Run a file again", 0): Case(done, runs_again),
    ("Fill back", 0): Case(unknown_to_ingest, filled_back),
    ("Fill back", 1): Case(unknown_to_ingest, swept),
    ("Pause", 0): Case(nothing, nothing_starts),
    ("Pause", 1): Case(paused, goes_on),
    ("Pause", 2): Case(nothing, queue_enabled),
    ("Patch the instances", 0): Case(nothing, environments_are_listed),
    ("Patch the instances", 1): Case(waiting, patched),
    ("Raise a tolerance", 0): Case(rejected, succeeds),
    ("Rotate the webhook", 0): Case(nothing, webhook_is_new),
    ("Empty the queue of failed events", 0): Case(undeliverable, emptied),
    ("Subscribe", 0): Case(nothing, subscribed),
}


def test_every_block_of_the_document_has_a_case() -> None:
    assert [(heading, number) for heading, number, _ in BLOCKS] == list(CASES)


@pytest.mark.parametrize(
    ("heading", "number", "commands"), BLOCKS, ids=[f"{heading} {number + 1}" for heading, number, _ in BLOCKS]
)
def test_the_commands_do_what_the_document_says(operator: Operator, heading: str, number: int, commands: str) -> None:
    case = CASES[heading, number]
    given = case.given(operator)
    printed = operator.run(commands)
    case.then(operator, given, printed)


def test_every_verb_is_one_of_the_aws_command(operator: Operator) -> None:
    """What stands in the text besides the blocks names no other verb."""
    in_blocks = set(re.findall(r"\baws ([a-z0-9]+ [a-z0-9-]+)", "".join(commands for _, _, commands in BLOCKS)))
    outside = set(
        re.findall(
            r"\baws ([a-z0-9]+ [a-z0-9-]+)", re.sub(r"^```sh\n.*?^```$", "", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
        )
    )
    assert len(in_blocks) >= 15
    assert outside <= in_blocks
