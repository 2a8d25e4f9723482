"""Every statement of every role is needed: without it a rehearsal breaks, or AWS itself needs it (docs/permissions.md)."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.deployment import make_twin
from cli.slack import SlackWebhook
from tests.soak.company import Company, Facts
from tests.soak.document import table, write_section
from tests.soak.rehearsals import REHEARSALS, Rehearsal, settled, under_way
from tests.soak.statements import Statement, managed_policies_of, statements_of, taken_out
from tests.template.emitted import emitted
from twin import TwinOptions, compute, iam
from twin.iam import gate

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "permissions.md"
TIME_SCALE = 60.0
DAY = "a day"
ONLY = os.environ.get("SOAK_STATEMENTS", "")
"""A regular expression of the statements to take out; all of them when it is empty."""

pytestmark = [pytest.mark.timeout(7200)]


@dataclass
class Played:
    """One rehearsal with every permission there: what it came to, how long it took, and what it used."""

    rehearsal: Rehearsal
    facts: Facts
    seconds: float
    used: frozenset[iam.Exercise]


@dataclass
class Whole:
    """The system with all of its permissions, every rehearsal played once."""

    company: Company
    statements: list[Statement]
    played: list[Played] = field(default_factory=list)

    def uses(self, statement: Statement) -> list[Played]:
        """The rehearsals that use a statement, the quickest first."""
        found = [it for it in self.played if any(statement.is_meant_by(used) for used in it.used)]
        return sorted(found, key=lambda it: it.seconds)


def play(company: Company, rehearsal: Rehearsal) -> Played:
    gate.exercised.clear()
    began = time.monotonic()
    facts = settled(rehearsal.begin(company), limit=600)
    assert not under_way(facts), f"{rehearsal.name} did not end: {facts}"
    after_it(company)
    return Played(rehearsal, facts, time.monotonic() - began, iam.exercised())


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    """The template, deployed under enforced IAM, every role within a boundary and under a path, with nobody's permission missing."""
    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=TIME_SCALE)) as twin:
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        boundary = twin.client("iam").create_policy(PolicyName="boundary", PolicyDocument=json.dumps(everything))
        parameters = {
            "GangMembers": "2",
            "PermissionsBoundary": boundary["Policy"]["Arn"],
            "RolePath": "/teams/data/",
            "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        }
        stack = twin.deploy(ROOT / "template.yaml", stack_name="spotline", parameters=parameters)
        secret = stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        found = Company(twin, stack, slack)
        found.pause_sweep()
        yield found


@pytest.fixture(scope="module")
def whole(company: Company) -> Whole:
    """The same, every rehearsal played once."""
    found = Whole(company, statements_of(company.twin, company.stack))
    found.played += [play(company, rehearsal) for rehearsal in REHEARSALS]
    return found


def documented() -> tuple[set[str], dict[str, str]]:
    """What docs/permissions.md lists: statements that AWS itself needs, each with its page; and of ours, what shows the need."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    by_aws = {label for label, reason in rows if "](https://docs.aws.amazon.com/" in reason}
    return by_aws, {label: reason for label, reason in rows if label not in by_aws}


@pytest.fixture(scope="module")
def day(company: Company) -> Played:
    """One file that went the whole way."""
    [a_day] = [rehearsal for rehearsal in REHEARSALS if rehearsal.name == DAY]
    return play(company, a_day)


def test_a_day_leaves_the_metrics_that_the_dashboard_draws(company: Company, day: Played) -> None:
    assert day.facts["execution"] == "SUCCEEDED"
    of_other_days = {"RunsFailed", "SpotReclaims"}
    wanted = {name for name, _ in emitted()} - of_other_days
    company.until(lambda: wanted <= set(company.measured_since(0)), f"all of {wanted}", 90)


def test_no_log_of_a_day_holds_a_task_token(company: Company, day: Played) -> None:
    # Given the tokens of the day's Tasks, and every line that functions and jobs wrote
    assert day.facts["execution"] == "SUCCEEDED"
    tokens, lines = task_tokens(company), company.log_lines()
    assert tokens
    assert len(lines) > 10

    # Then none of them is written anywhere
    assert [line for line in lines if any(token in line for token in tokens)] == []


def task_tokens(company: Company) -> set[str]:
    """The tokens that Tasks have handed out, from the executions' histories."""
    steps = company.twin.client("stepfunctions")
    executions = steps.list_executions(stateMachineArn=company.stack.outputs["StateMachineArn"])["executions"]
    histories = [
        steps.get_execution_history(executionArn=execution["executionArn"], maxResults=1000)["events"]
        for execution in executions
    ]
    scheduled = [event.get("taskScheduledEventDetails", {}) for events in histories for event in events]
    payloads = [json.loads(details["parameters"]).get("Payload", {}) for details in scheduled if details]
    return {payload["task_token"] for payload in payloads if "task_token" in payload}


def test_every_statement_is_documented_and_the_ones_of_a_day_are_used(company: Company, day: Played) -> None:
    # Given the statements that are deployed, and those that a day's run uses
    statements = statements_of(company.twin, company.stack)
    used = {it.label for it in statements if any(it.is_meant_by(exercise) for exercise in day.used)}

    # Then every one is documented, and a day uses those that are said to be shown by it, and none that only AWS needs
    by_aws, ours = documented()
    managed = {f"{role} {policy}" for role, policy in managed_policies_of(company.twin, company.stack)}
    assert by_aws | set(ours) == {statement.label for statement in statements} | managed
    assert {label for label, shown_by in ours.items() if shown_by == DAY} - used == set()
    assert by_aws & used == set()


@pytest.mark.soak
def test_what_no_rehearsal_uses_is_documented_as_needed_by_aws(whole: Whole) -> None:
    managed = {f"{role} {policy}" for role, policy in managed_policies_of(whole.company.twin, whole.company.stack)}
    unused = {statement.label for statement in whole.statements if not whole.uses(statement)}
    by_aws, _ = documented()
    assert by_aws == unused | managed


@pytest.mark.soak
def test_without_any_one_statement_a_rehearsal_breaks(whole: Whole) -> None:
    began, rows, needless = time.monotonic(), [], []
    chosen = [statement for statement in whole.statements if whole.uses(statement) and re.search(ONLY, statement.label)]
    for statement in chosen:
        broken = broken_without(whole, statement)
        rows.append([f"`{statement.label}`", *(broken or ("**nothing**", ""))])
        if broken is None:
            needless.append(statement.label)
    body = table(["taken out", "what broke", "how it showed"], rows)
    if not ONLY:
        write_section(
            "Permissions",
            f"{len(rows)} statements of roles were taken out in turn, in {time.monotonic() - began:.0f} s; "
            f"{len(needless)} were not missed. What AWS itself needs is listed in permissions.md.\n\n{body}",
        )
    assert needless == [], body


def broken_without(whole: Whole, statement: Statement) -> tuple[str, str] | None:
    """The first rehearsal that ends otherwise without the statement, and the first fact that differs."""
    for played in whole.uses(statement):
        with taken_out(whole.company.twin, statement), denials() as denied:
            facts = play_without(whole.company, played)
        after_it(whole.company)
        if facts != played.facts and any(statement.role_name in text for text in denied):
            return played.rehearsal.name, difference(played.facts, facts)
    return None


def play_without(company: Company, played: Played) -> Facts:
    """The facts of a rehearsal that lacks something; it may not even come as far as it must to begin."""
    try:
        look = played.rehearsal.begin(company)
    except AssertionError as error:
        return {"begun": str(error).split("\n", 1)[0]}
    return settled(look, wanted=played.facts, limit=max(15.0, 3 * played.seconds))


def difference(expected: Facts, found: Facts) -> str:
    """The first fact that differs, in words."""
    if "begun" in found:
        return f"begun: {found['begun']}"[:120].replace("|", "/")
    for name, value in expected.items():
        now = found.get(name)
        if isinstance(value, dict) and value != now:
            return f"{name}: {difference(value, now or {})}"
        if value != now:
            return f"{name}: {now!r}"[:120].replace("|", "/")
    return "something more"


class denials(logging.Handler):  # noqa: N801  used as a context manager, like a function
    """The refusals that IAM wrote down meanwhile."""

    def __enter__(self) -> list[str]:
        self.found: list[str] = []
        logging.getLogger("twin").addHandler(self)
        return self.found

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())

    def __exit__(self, *_: object) -> None:
        logging.getLogger("twin").removeHandler(self)


def after_it(company: Company) -> None:
    """Let nothing of a broken rehearsal reach into the next one."""
    compute.set_capacity("spot", math.inf)
    company.remove_damaged_records()
    steps, batch = company.twin.client("stepfunctions"), company.twin.client("batch")
    company.twin.client("events").enable_rule(Name=company.find_rule("IngestFunctionFileLanded"))
    running = steps.list_executions(stateMachineArn=company.stack.outputs["StateMachineArn"], statusFilter="RUNNING")
    for execution in running["executions"]:
        steps.stop_execution(executionArn=execution["executionArn"])
    company.until(lambda: not unfinished(batch, company), "jobs to end", 90)
    company.until(lambda: not company.unsent(), "a summary of the messages that wait", 90)
    company.forget_messages()
    company.failed_events()


def unfinished(batch: object, company: Company) -> list[str]:
    queues = [value for name, value in company.stack.outputs.items() if name.endswith("Queue")]
    return [
        job["jobId"]
        for queue in dict.fromkeys(queues)
        for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
        for job in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]  # type: ignore[attr-defined]
    ]
