"""Each gap of moto's EventBridge and Scheduler that `twin.patches.events` fills is still there, in stock moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws
from moto.events.models import EventPattern

from clouds.clients import client

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"


@pytest.fixture
def rules() -> Iterator[Any]:
    with mock_aws():
        yield client("events")


def test_moto_takes_a_pattern_with_an_unknown_operator(rules: Any) -> None:
    assert rules.put_rule(Name="r", EventPattern=json.dumps({"source": [{"regex": "x"}]}))["RuleArn"]


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"rows": {"name": ["b"], "code": [1]}}, True),
        ({"size": [5.0]}, False),
        ({"flag": [1]}, False),
    ],
)
def test_moto_does_not_match_as_eventbridge_does(detail: dict[str, Any], expected: bool) -> None:
    rows = [{"name": "a", "code": 0}, {"name": "b", "code": 1}]
    event: Any = {"source": "aws.s3", "detail": {"rows": rows, "size": 5, "flag": True}}

    assert EventPattern.load(json.dumps({"detail": detail})).matches_event(event) is not expected


def test_moto_takes_a_target_that_nothing_is_delivered_to(rules: Any) -> None:
    rules.put_rule(Name="r", EventPattern=json.dumps({"source": ["mine"]}))
    target = {"Id": "t", "Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}

    assert rules.put_targets(Rule="r", Targets=[target])["FailedEntryCount"] == 0


def test_moto_does_not_deliver_to_functions(rules: Any) -> None:
    rules.put_rule(Name="r", EventPattern=json.dumps({"source": ["mine"]}))
    rules.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": FUNCTION}])

    with pytest.raises(NotImplementedError):
        rules.put_events(Entries=[{"Source": "mine", "DetailType": "t", "Detail": "{}"}])


def test_moto_takes_a_schedule_that_scheduler_refuses() -> None:
    with mock_aws():
        made = client("scheduler").create_schedule(
            Name="s",
            ScheduleExpression="rate(5 fortnights)",
            FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
            Target={"Arn": FUNCTION, "RoleArn": "arn:aws:iam::123456789012:role/r"},
        )

    assert made["ScheduleArn"]
