"""What people read: everything an operator needs, and nothing that is not known."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from announce.advice import what_to_do
from announce.announcements import RunFacts, day_late, file_rejected, run_failed, run_succeeded
from announce.consoles import Console
from announce.diagnosis import Diagnosis
from announce.messages import to_message
from announce.outcomes import DayLate, ExecutionEnded, FileRejected
from announce.table import Recorded
from spotline.failures import ErrorName
from spotline.runs import Run, Source

RUN_ID = "flights-20130209-0123456789abcdef"
ARN = f"arn:aws:states:eu-west-1:123456789012:execution:pipeline:{RUN_ID}"
RUN = Run(RUN_ID, "flights", "20130209", Source("ingest", "data/flights/20130209/flights.csv", "v1", 10))
START = datetime(2013, 2, 9, tzinfo=UTC)
RESULT: dict[str, Any] = {
    "metrics": {
        "rows": {
            "read": Decimal(930),
            "clean": Decimal(929),
            "rejected": Decimal(1),
            "rejected_share": Decimal("0.001"),
        },
        "quality": {
            "validation": {"rows": Decimal(180), "rmse": Decimal("12.34567"), "mae": Decimal(8), "r2": Decimal("0.81")}
        },
        "model": {
            "target": "arr_delay",
            "importance": [
                {"feature": "dep_delay", "share": Decimal("0.7")},
                {"feature": "dest", "share": Decimal("0.3")},
            ],
        },
    },
    "gang": {"members": Decimal(2), "resumed_from": Decimal(40)},
    "surprising": [
        {"key": {"flight": Decimal(51)}, "row": 3, "shard": 0, "actual": Decimal(340), "prediction": Decimal("12.1")}
    ],
    "drift": [{"column": "dep_delay", "index": Decimal("1.92")}, {"column": "dest", "index": Decimal("0.01")}],
    "report": f"s3://results/runs/{RUN_ID}/postprocess/j/report.html",
}
GANGS: tuple[dict[str, Any], ...] = (
    {"market": "SPOT", "outcome": "Spot.Interrupted"},
    {"market": "SPOT", "outcome": "SUCCEEDED"},
)


def facts(
    status: str = "SUCCEEDED", result: dict[str, Any] | None = None, redrive_count: int = 0, **changes: Any
) -> RunFacts:
    known: dict[str, Any] = {
        "ended": ExecutionEnded(ARN, status, redrive_count),
        "run": RUN,
        "recorded": Recorded({"result": result} if result else {}, GANGS if result else ()),
        "started_at": START,
        "stopped_at": START + timedelta(minutes=61, seconds=5),
    }
    return RunFacts(**{**known, **changes})


def test_a_success_tells_rows_quality_way_and_links() -> None:
    text = to_message(run_succeeded(facts(result=RESULT))).text

    for told in (
        "✅ flights 2013-02-09 is done",
        "929 of 930 rows are clean.",
        "Rows: 930 read, 929 clean, 1 rejected (0.11%)",
        "Model on unseen rows: RMSE 12.35, MAE 8, R² 0.81",
        "Where it ran: Spot (interrupted) → Spot, resumed from round 40",
        "Took: 1 h 1 min",
        "Matters most: dep_delay, dest",
        "Most surprising row: flight 51: 340, predicted 12.1",
        "Unlike the days before: dep_delay\n",
        "report.html",
        RUN_ID,
    ):
        assert told in text


def test_a_success_without_a_model_says_so() -> None:
    rows_only: dict[str, Any] = {
        "metrics": {"rows": RESULT["metrics"]["rows"], "model": None},
        "gang": None,
        "surprising": [],
    }

    text = to_message(run_succeeded(facts(result=rows_only, recorded=Recorded({"result": rows_only}, ())))).text

    assert "There was nothing to train a model on." in text
    assert "Where it ran" not in text


def test_a_success_whose_metrics_are_missing_is_told_all_the_same() -> None:
    assert "could not be read" in to_message(run_succeeded(facts())).text


def test_a_failure_tells_all_that_leads_to_its_cause() -> None:
    found = Diagnosis(
        "Analyse on Spot",
        "Job.OutOfMemory",
        "Member 1 ran out of memory.",
        1,
        137,
        "OutOfMemoryError",
        "analysis/default/x",
    )

    said = run_failed(facts("FAILED", redrive_count=2), found, "/jobs", ["loading", "killed"])
    text = to_message(said).text

    for told in (
        "❌ flights 2013-02-09 failed: Job.OutOfMemory",
        "Member 1 ran out of memory.",
        "State: Analyse on Spot",
        "Member: 1",
        "Exit code: 137",
        "Reason: OutOfMemoryError",
        "  killed",
        "Give the job more memory",
        f"aws stepfunctions redrive-execution --execution-arn {ARN}",
        "log-group/$252Fjobs/log-events/analysis$252Fdefault$252Fx",
        "redrive 2",
    ):
        assert told in text


def test_refused_data_is_told_in_the_program_s_own_words_with_its_report() -> None:
    report = f"s3://intermediate/runs/{RUN_ID}/preprocess/j/quality.json"
    log = [
        '{"level": "INFO", "run_id": "x", "message": "reading", "bytes": 12}',
        json.dumps(
            {"level": "ERROR", "message": f"7 of 10 rows are rejected; the report is {report}", "exit_code": 65}
        ),
    ]

    said = run_failed(facts("FAILED"), Diagnosis("Preprocess", "Data.Rejected", "Refused.", exit_code=65), "/jobs", log)

    assert said.quote == f"7 of 10 rows are rejected; the report is {report}"
    assert said.log[0] == "reading bytes=12"
    assert "Quality report" in [link.label for link in said.links]


def test_a_file_that_could_not_be_read_has_no_report_to_link_to() -> None:
    log = ['{"level": "ERROR", "message": "the header lacks 19 columns"}']

    said = run_failed(facts("FAILED"), Diagnosis("Preprocess", "Data.Rejected", "Refused."), "/jobs", log)

    assert [link.label for link in said.links] == ["Execution"]


def test_member_zero_and_exit_code_zero_are_told() -> None:
    text = to_message(run_failed(facts("FAILED"), Diagnosis("S", "Job.Failed", "s", 0, 0), "/jobs")).text

    assert "Member: 0" in text
    assert "Exit code: 0" in text


@pytest.mark.parametrize(("status", "told"), [("TIMED_OUT", "ran out of time"), ("ABORTED", "was stopped")])
def test_other_ends_have_their_own_words(status: str, told: str) -> None:
    assert told in to_message(run_failed(facts(status), Diagnosis(None, "Stopped", "s"), "/jobs")).text


def test_what_cannot_be_redriven_is_not_told_to_be() -> None:
    text = to_message(run_failed(facts("FAILED", redrivable=False), Diagnosis("S", "Job.Failed", "s"), "/jobs")).text

    assert "redrive-execution" not in text
    assert "cannot be redriven any more" in text


def test_an_execution_with_an_input_of_somebody_else_is_called_by_its_name() -> None:
    assert RUN_ID in run_failed(facts("FAILED", run=None), Diagnosis("S", "E", "s"), "/jobs").title


@pytest.mark.parametrize("error", list(ErrorName))
def test_every_typed_failure_has_advice_of_its_own(error: ErrorName) -> None:
    unknown = what_to_do("States.Runtime", ARN, redrivable=True)

    assert what_to_do(error, ARN, redrivable=True)[0] != unknown[0]


def test_a_rejected_file_names_key_reason_and_the_way_out() -> None:
    text = to_message(file_rejected(FileRejected("ingest", "data/x.csv", "no day in the key"))).text

    assert "no day in the key" in text
    assert "Key: data/x.csv" in text
    assert "data/<dataset>/YYYYMMDD/<file>.csv".replace("<", "&lt;").replace(">", "&gt;") in text


def test_a_late_day_says_what_was_expected_when() -> None:
    text = to_message(day_late(DayLate("flights", "20130209", "06:00 UTC"))).text

    assert "flights 2013-02-09 is late" in text
    assert "06:00 UTC" in text


@pytest.mark.parametrize(
    ("arn", "host"),
    [
        ("arn:aws:s3:eu-west-1:1:x", "https://eu-west-1.console.aws.amazon.com/"),
        ("arn:aws-cn:s3:cn-north-1:1:x", "https://cn-north-1.console.amazonaws.cn/"),
        ("arn:aws-us-gov:s3:us-gov-west-1:1:x", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
    ],
)
def test_links_lead_to_the_console_of_the_partition(arn: str, host: str) -> None:
    assert Console.of(arn).s3_object("s3://b/k").startswith(host)
