"""A record that somebody edited, or that another program wrote: the run's end is sent all the same, with what can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import notify
from announce import composing
from announce.announcements import RunFacts
from announce.measurements import measurements
from announce.messages import to_message
from announce.outcomes import ExecutionEnded
from announce.table import Recorded
from spotline.runs import Run, Source
from spotline.settings import load
from tests.poison import damage
from tests.unit.notify.edge import ARN, RUN_ID, SUCCESS, call, ended
from tests.unit.notify.slack_server import SlackServer

if TYPE_CHECKING:
    from tests.unit.notify.edge import Edge

RESULT = {
    "metrics": {
        "rows": {"read": 930, "clean": 929, "rejected": 1, "rejected_share": 0.001},
        "quality": {"validation": {"rows": 180, "rmse": 12.3, "mae": 8, "r2": 0.81}},
        "model": {"target": "arr_delay", "importance": [{"feature": "dep_delay", "share": 0.7}]},
    },
    "gang": {"members": 2, "resumed_from": 40},
    "surprising": [{"key": {"flight": 51}, "row": 3, "shard": 0, "actual": 340, "prediction": 12.1}],
    "drift": [{"column": "dep_delay", "index": 1.92}],
    "report": f"s3://results/runs/{RUN_ID}/postprocess/j/report.html",
}
GANG = {"sk": "GANG#0001", "market": "SPOT", "outcome": "SUCCEEDED", "job_id": "j"}
RUN = Run(RUN_ID, "flights", "20130209", Source("ingest", "data/flights/20130209/flights.csv", "v1", 10))
FACTS = RunFacts(ExecutionEnded(ARN, "SUCCEEDED", 0), RUN, Recorded({}, ()))
HALF_A_PAIR = rb"\ud800"
"""Nothing that DynamoDB can hold: its strings are UTF-8."""


def as_recorded(body: bytes) -> Any:
    """A document as DynamoDB gives it back."""
    return json.loads(body, parse_int=Decimal, parse_float=Decimal)


def test_the_sound_record_is_read_whole() -> None:
    recorded = Recorded({"result": as_recorded(json.dumps(RESULT).encode())}, (GANG,))
    composed = composing.compose_success(replace(FACTS, recorded=recorded), None, 0)
    assert composed.said is not None
    assert len(composed.said.facts) == 6
    assert [measured.name for measured in composed.counted] == ["RunsSucceeded", "RowsClean", "RowsRejected"]


def test_no_damage_of_a_result_keeps_a_success_from_being_sent() -> None:
    for name, body in damage(RESULT):
        if HALF_A_PAIR in body:
            continue
        recorded = Recorded({"result": as_recorded(body)}, (GANG,))
        composed = composing.compose_success(replace(FACTS, recorded=recorded), None, 0)
        assert composed.said is not None
        text = to_message(composed.said).text
        assert text.startswith("✅ flights 2013-02-09 is done"), name
        assert composed.counted[0].name == "RunsSucceeded", name


def test_no_damage_of_a_gang_s_record_keeps_an_end_from_being_sent(edge: Edge) -> None:
    for name, body in damage(GANG):
        gang = as_recorded(body)
        if not isinstance(gang, dict) or HALF_A_PAIR in body:
            continue  # an item is always a map
        recorded = Recorded({}, (gang,))
        assert composing.compose_success(replace(FACTS, recorded=recorded), None, 0).said is not None, name
        composing._spent(RUN_ID, recorded, places(edge))


def test_no_damage_of_a_record_of_costs_keeps_an_end_from_being_sent(edge: Edge) -> None:
    damaged: tuple[Any, ...] = ([], "x", {}, {"jobs": None}, {"jobs": [None]}, Decimal(7))
    for cost in damaged:
        composing._spent(RUN_ID, Recorded({"cost": cost}, ()), places(edge))
    assert tuple(measurements("FAILED", {"result": "x"}, None, 0))


def places(edge: Edge) -> composing.Places:

    settings = load(notify.Settings)
    return composing.Places(settings, settings.runs_table, settings.job_log_group, notify._client)


@pytest.mark.parametrize(
    "result", [{"S": "x"}, {"L": []}, {"M": {"metrics": {"N": "1"}}}, {"M": {"drift": {"S": "x"}}}]
)
def test_a_success_with_a_damaged_result_is_sent_once_and_named(
    edge: Edge, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    record = {"pk": {"S": f"RUN#{RUN_ID}"}, "sk": {"S": "RUN"}, "result": result}
    edge.dynamodb.put_item(TableName="runs", Item=record)
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        assert [call(SUCCESS), call(ended("SUCCEEDED"))] == ["post", "confirmed"]

    [message] = slack.accepted
    assert message["text"].startswith("✅ flights 2013-02-09 is done")
    if result != {"L": []}:  # which is the same as none
        assert "the run's result cannot be read" in caplog.text
