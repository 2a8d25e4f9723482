"""Every sample event is accepted by its handler, matches the template's rule, and tells of the run that its names derive from."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
import yaml
from moto import mock_aws

import ingest
import launch_gang
import looking
import notify
import reconcile
import sweep
from announce.outcomes import SUCCEEDED, DayLate, ExecutionEnded, FileRejected, read_request
from seen import Seen
from spotline.failures import ErrorName, Failure
from spotline.layout import MalformedKey, parse_data_key
from spotline.runs import Market, Run, execution_arn, run_id
from sweeping.days import Place
from sweeping.lease import Lease
from sweeping.requests import Backfill, Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"


@dataclass
class Context:
    function_name: str = "sample"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:sample"
    aws_request_id: str = "1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def sample(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def the_run() -> Run:
    """The run that all samples tell of, as `ingest` derives it from the landed object."""
    source = ingest.source_of(sample("ingest-object-created"))
    key = parse_data_key(source.key)
    return Run(run_id(source, key), key.dataset, key.day, source)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


def test_ingest_starts_the_run_of_the_landed_object(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = boto3.client("stepfunctions")
    machine = steps.create_state_machine(
        name="spotline-Pipeline",
        definition='{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/pipeline",
    )["stateMachineArn"]
    monkeypatch.setenv("STATE_MACHINE_ARN", machine)
    monkeypatch.setenv("NOTIFY_FUNCTION", "notify")
    monkeypatch.setenv("MAX_OBJECT_BYTES", "1000000")

    answer = ingest.handler(sample("ingest-object-created"), cast("LambdaContext", Context()))

    assert answer == {"outcome": "started", "run_id": the_run().run_id}
    assert steps.list_executions(stateMachineArn=machine)["executions"][0]["name"] == the_run().run_id


def tell(
    monkeypatch: pytest.MonkeyPatch, settings_class: type[launch_gang.Settings | reconcile.Settings | sweep.Settings]
) -> None:
    """Set every variable that a function reads, to a value that any type of setting takes."""
    for field in fields(settings_class):
        monkeypatch.setenv(field.name.upper(), "1")


def test_launch_gang_reads_its_task(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, launch_gang.Settings)
    launched: list[launch_gang.Task] = []

    def answered(task: launch_gang.Task, *_: Any) -> dict[str, Any]:
        launched.append(task)
        return {}

    monkeypatch.setattr(launch_gang, "answer_task", answered)

    launch_gang.handler(sample("launch-gang-task"), cast("LambdaContext", Context()))

    assert (launched[0].run_id, launched[0].market) == (the_run().run_id, Market.SPOT)
    assert launched[0].execution_arn.endswith(the_run().run_id)


@pytest.mark.parametrize(
    ("name", "names_the_run"),
    [
        ("reconcile-batch-job-state-change", True),
        ("execution-status-change", True),
        ("reconcile-schedule", False),
    ],
)
def test_reconcile_looks_where_the_event_points(
    aws: None, monkeypatch: pytest.MonkeyPatch, name: str, names_the_run: bool
) -> None:
    tell(monkeypatch, reconcile.Settings)
    looked: list[str | None] = []

    def again(_look: looking.Look, run: str | None = None) -> Seen:
        looked.append(run)
        return Seen()

    monkeypatch.setattr(looking.Look, "again", again)
    monkeypatch.setattr(reconcile, "request_summary", lambda *_: None)
    monkeypatch.setattr(reconcile, "measurements", lambda *_: iter(()))

    reconcile.handler(sample(name), cast("LambdaContext", Context()))

    assert looked == [the_run().run_id if names_the_run else None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notify-success", (ExecutionEnded, SUCCEEDED)),
        ("execution-status-change", (ExecutionEnded, "FAILED")),
        ("notify-rejected-file", (FileRejected, None)),
        ("notify-late-day", (DayLate, None)),
    ],
)
def test_notify_reads_every_request(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: tuple[type, str | None]
) -> None:
    for field in dataclasses.fields(notify.Settings):
        monkeypatch.setenv(field.name.upper(), "1")
    told: list[Any] = []

    def announced(outcome: Any, *_: Any) -> tuple[dict[str, str], dict[str, Exception]]:
        told.append(outcome)
        return {"SLACK": "post"}, {}

    monkeypatch.setattr(notify, "tell", announced)

    notify.handler(sample(name), cast("LambdaContext", Context()))

    kind, status = expected
    assert isinstance(told[0], kind)
    assert getattr(told[0], "status", None) == status


def test_notify_summarises_when_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in dataclasses.fields(notify.Settings):
        monkeypatch.setenv(field.name.upper(), "1")
    monkeypatch.setattr(notify, "summarise", lambda *_: "post")

    assert notify.handler(sample("notify-summary"), cast("LambdaContext", Context())) == {"SLACK": "post"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sweep-schedule", Sweep()),
        ("sweep-backfill", Backfill("20130201", "20130228", "flights", force=False, request="1")),
    ],
)
def test_sweep_does_what_it_is_asked_for(
    aws: None, monkeypatch: pytest.MonkeyPatch, name: str, expected: Sweep | Backfill
) -> None:
    tell(monkeypatch, sweep.Settings)
    asked: list[Sweep | Backfill] = []
    monkeypatch.setattr(sweep, "tell_late_days", lambda *_: [])
    monkeypatch.setattr(sweep, "repeat_bad_endings", lambda *_: None)
    monkeypatch.setattr(sweep, "start_runs", lambda request, *_: asked.append(request))
    monkeypatch.setattr(Lease, "take", lambda *_: Place())
    monkeypatch.setattr(Lease, "leave_at", lambda *_: None)

    answer = sweep.handler(sample(name), cast("LambdaContext", Context()))

    assert asked == [expected]
    assert answer["continues"] is False


def test_the_backfill_of_the_sample_is_about_the_run_of_the_others() -> None:
    asked, run = sample("sweep-backfill"), the_run()

    assert asked["dataset"] == run.dataset
    assert asked["from"] <= run.day <= asked["to"]


def test_the_machine_s_call_and_the_execution_s_event_tell_of_one_execution() -> None:
    told = read_request(sample("notify-success"))
    seen = read_request(sample("execution-status-change"))
    machine = sample("execution-status-change")["detail"]["stateMachineArn"]

    assert isinstance(told, ExecutionEnded)
    assert isinstance(seen, ExecutionEnded)
    assert told.execution_arn == seen.execution_arn == execution_arn(machine, the_run().run_id)


def test_the_execution_s_event_carries_the_input_that_ingest_gives_and_a_typed_failure() -> None:
    detail = sample("execution-status-change")["detail"]

    assert detail["input"] == the_run().to_input()
    assert Failure.from_cause(detail["cause"]).error is ErrorName(detail["error"])


def test_the_rejected_file_is_one_that_the_layout_refuses_with_that_reason() -> None:
    request = sample("notify-rejected-file")

    with pytest.raises(MalformedKey) as refusal:
        parse_data_key(request["key"])
    assert str(refusal.value) == request["reason"]


class Template(yaml.SafeLoader):
    """CloudFormation's short forms read as what they name."""


Template.add_multi_constructor("!", lambda loader, _, node: getattr(node, "value", None))


def patterns() -> dict[str, dict[str, Any]]:
    """The event patterns of all functions, by their detail-type and function."""
    template = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), Loader=Template)
    return {
        f"{resource}.{name}": event["Properties"]["Pattern"]
        for resource, body in template["Resources"].items()
        for name, event in (body.get("Properties", {}).get("Events") or {}).items()
        if event["Type"] == "EventBridgeRule"
    }


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ingest-object-created", "IngestFunction.FileLanded"),
        ("reconcile-batch-job-state-change", "ReconcileFunction.JobEnded"),
        ("execution-status-change", "ReconcileFunction.ExecutionEnded"),
        ("execution-status-change", "NotifyFunction.ExecutionEnded"),
    ],
)
def test_the_template_s_rule_lets_the_event_through(name: str, rule: str) -> None:
    event, pattern = sample(name), patterns()[rule]

    assert event["source"] in pattern["source"]
    assert event["detail-type"] in pattern["detail-type"]
    if "status" in pattern["detail"]:
        assert event["detail"]["status"] in pattern["detail"]["status"]
    for part, wanted in pattern["detail"].get("object", {}).items():
        assert any(event["detail"]["object"][part].startswith(entry["prefix"]) for entry in wanted)


def test_every_sample_is_told_of_in_the_readme() -> None:
    readme = (EVENTS / "README.md").read_text(encoding="utf-8")

    assert all(f"`{path.name}`" in readme for path in EVENTS.glob("*.json"))
