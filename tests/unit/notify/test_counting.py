"""What a run cost and what became of its messages is counted, recorded and told."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from announce.outcomes import UnknownRequest
from tests.unit.notify.edge import INPUT, RUN_ID, SUCCESS, Edge, ended, executions_time, invoke


def counted(output: str) -> dict[str, Any]:
    """The metrics in what was printed, by name; Powertools writes lists."""
    found: dict[str, Any] = {}
    for line in map(json.loads, output.splitlines()):
        for declared in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert declared["Namespace"] == "Spotline"
            found |= {metric["Name"]: line[metric["Name"]] for metric in declared["Metrics"]}
    return found


def test_what_is_told_and_what_is_not_is_counted(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.set_webhook("http://127.0.0.1:9/nobody-listens")

    invoke(SUCCESS)

    told = counted(capsys.readouterr().out)
    assert (told["MessageToldOrUnneeded"], told["MessageNotTold"]) == ([1.0], [1.0])


def test_a_run_s_end_is_counted_once(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]
    invoke(ended("FAILED"))
    first = counted(capsys.readouterr().out)
    invoke(ended("FAILED"))
    again = counted(capsys.readouterr().out)

    assert (first["RunsFailed"], first["EstimatedCostUSD"], first["StageSeconds"]) == (1, 0.38, 7200.0)
    assert again.keys() == {"MessageToldOrUnneeded", "MessageNotTold"}


def preprocess_job(hours: float) -> dict[str, Any]:
    start = int(executions_time().timestamp() * 1000)
    span = {"startedAt": start, "stoppedAt": start + int(hours * 3_600_000)}
    return {
        "jobId": "job-1",
        "jobQueue": "main",
        "status": "FAILED",
        "createdAt": start,
        "tags": {"spotline:run-id": RUN_ID, "spotline:stage": "preprocess"},
        "container": {"resourceRequirements": [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "15360"}]},
        "attempts": [span],
        **span,
    }


def run_record(edge: Edge) -> dict[str, Any]:
    key = {"pk": {"S": f"RUN#{RUN_ID}"}, "sk": {"S": "RUN"}}
    item = edge.dynamodb.get_item(TableName="runs", Key=key)["Item"]
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def test_a_failed_run_s_cost_is_told_and_recorded(edge: Edge) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]

    invoke(ended("FAILED"))

    (note,) = edge.topic.received()
    assert "Cost, estimated: $0.38 (2 h On-Demand)" in note["Message"]
    cost = run_record(edge)["cost"]
    assert (cost["total"], cost["jobs"][0]["job_id"]) == (Decimal("0.38"), "job-1")


def test_what_batch_has_forgotten_stays_in_the_cost(edge: Edge) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]
    invoke(ended("FAILED"))
    edge.batch.jobs = [{**preprocess_job(hours=1), "jobId": "job-2"}]

    invoke(ended("FAILED", 1))

    assert "$0.57 (3 h On-Demand)" in edge.topic.received()[-1]["Message"]


def test_a_superseded_run_has_a_cost_all_the_same(edge: Edge) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]
    edge.steps.output = json.dumps({**INPUT, "outcome": "superseded"})

    assert invoke(ended("SUCCEEDED")) == {"TOPIC": "nothing-to-say", "SLACK": "webhook-unset"}
    assert run_record(edge)["cost"]["total"] == Decimal("0.38")


def test_a_price_table_that_cannot_be_read_keeps_nothing_from_being_told(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.s3.put_object(Bucket="ingest", Key="prices.json", Body=b"{}")

    assert invoke(ended("FAILED"))["TOPIC"] == "post"
    assert "Cost" not in edge.topic.received()[0]["Message"]
    assert "no cost can be estimated" in caplog.text


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_failure_before_anything_is_counted_is_no_warning_of_powertools(
    edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownRequest):
        invoke({"kind": "rumour"})

    assert counted(capsys.readouterr().out) == {}
