"""Which events a rule is for, and what its targets are given: pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from clouds.steps import ACCOUNT, REGION
from twin.events import inputs, patterns

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT = {
    "version": "0",
    "id": "e-1",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": ACCOUNT,
    "time": "2026-01-02T03:04:05Z",
    "region": REGION,
    "resources": ["arn:aws:s3:::b"],
    "detail": {
        "object": {"key": "data/20130209/a.csv", "size": 5, "etag": "e"},
        "reason": "PutObject",
        "quote": 'say "hi"',
        "nothing": None,
        "flag": True,
        "address": "10.0.1.9",
        "containers": [{"name": "a", "code": 0}, {"name": "b", "code": 1}],
        "tags": ["x", "y"],
    },
}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html",
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html",
)
@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"reason": ["PutObject"]}, True),
        ({"reason": ["CopyObject", "PutObject"]}, True),
        ({"reason": ["CopyObject"]}, False),
        ({"reason": ["PutObject"], "flag": [False]}, False),
        ({"object": {"key": [{"prefix": "data/"}]}}, True),
        ({"object": {"key": [{"prefix": "logs/"}]}}, False),
        ({"object": {"key": [{"prefix": {"equals-ignore-case": "DATA/"}}]}}, True),
        ({"object": {"key": [{"suffix": ".csv"}]}}, True),
        ({"object": {"key": [{"suffix": {"equals-ignore-case": ".CSV"}}]}}, True),
        ({"object": {"key": [{"suffix": ".json"}]}}, False),
        ({"object": {"key": [{"wildcard": "data/*/a.csv"}]}}, True),
        ({"object": {"key": [{"wildcard": "data/*/b.csv"}]}}, False),
        ({"object": {"key": [{"wildcard": "*"}]}}, True),
        ({"object": {"key": [{"wildcard": "data/\\*/a.csv"}]}}, False),
        ({"reason": [{"equals-ignore-case": "putobject"}]}, True),
        ({"reason": [{"anything-but": "PutObject"}]}, False),
        ({"reason": [{"anything-but": ["CopyObject", "x"]}]}, True),
        ({"reason": [{"anything-but": {"prefix": "Put"}}]}, False),
        ({"reason": [{"anything-but": {"prefix": ["Copy", "Post"]}}]}, True),
        ({"reason": [{"anything-but": {"suffix": "Object"}}]}, False),
        ({"reason": [{"anything-but": {"wildcard": "*Obj*"}}]}, False),
        ({"reason": [{"anything-but": {"equals-ignore-case": "PUTOBJECT"}}]}, False),
        ({"missing": [{"anything-but": "x"}]}, False),
        ({"object": {"size": [5]}}, True),
        ({"object": {"size": [5.0]}}, False),
        ({"object": {"size": ["5"]}}, False),
        ({"object": {"size": [{"numeric": [">", 0, "<=", 5]}]}}, True),
        ({"object": {"size": [{"numeric": ["<", 5]}]}}, False),
        ({"object": {"size": [{"numeric": ["=", 5]}]}}, True),
        ({"flag": [{"numeric": ["=", 1]}]}, False),
        ({"flag": [True]}, True),
        ({"flag": [1]}, False),
        ({"nothing": [None]}, True),
        ({"missing": [None]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"missing": {"deeper": [{"exists": False}]}}, True),
        ({"object": {"version-id": [{"exists": True}]}}, False),
        ({"object": {"key": [{"exists": True}]}}, True),
        ({"object": [{"exists": True}]}, False),
        ({"object": [{"exists": False}]}, True),
        ({"address": [{"cidr": "10.0.1.0/24"}]}, True),
        ({"address": [{"cidr": "10.0.2.0/24"}]}, False),
        ({"tags": ["y"]}, True),
        ({"containers": {"name": ["b"], "code": [1]}}, True),
        ({"containers": {"name": ["a"], "code": [1]}}, False),
        ({"$or": [{"reason": ["CopyObject"]}, {"object": {"size": [5]}}]}, True),
        ({"$or": [{"reason": ["CopyObject"]}, {"flag": [False]}], "reason": ["PutObject"]}, False),
    ],
)
def test_a_pattern_matches_as_eventbridges_does(detail: Mapping[str, Any], expected: bool) -> None:
    pattern = {"source": ["aws.s3"], "detail": detail}

    patterns.check(pattern)

    assert patterns.matches(pattern, EVENT) is expected


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html",
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html",
)
@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ({"source": "aws.s3"}, "must be an object or an array"),
        ({"source": []}, "empty arrays"),
        ({}, "is empty"),
        ({"source": [{"regex": "x"}]}, "unrecognized match type regex"),
        ({"source": [{"prefix": "a", "suffix": "b"}]}, "exactly one operator"),
        ({"source": [{"prefix": 1}]}, "expected a string"),
        ({"source": [{"wildcard": "a**b"}]}, "consecutive wildcard"),
        ({"source": [{"wildcard": "a\\b"}]}, "invalid escape"),
        ({"source": [{"numeric": [">"]}]}, "numeric needs"),
        ({"source": [{"numeric": ["~", 1]}]}, "numeric does not know"),
        ({"source": [{"exists": "yes"}]}, "exists is true or false"),
        ({"source": [{"anything-but": {"numeric": ["=", 1]}}]}, "anything-but does not know"),
        ({"source": [{"anything-but": []}]}, "anything-but needs a value"),
        ({"source": [{"cidr": "x"}]}, "cidr"),
        ({"source": [["x"]]}, "an array within an array"),
        ({"$or": [{"source": ["a"]}]}, "at least two"),
        ({"$or": [{"source": ["a"]}, {}]}, "is empty"),
    ],
)
def test_a_pattern_that_eventbridge_refuses_is_refused(pattern: Mapping[str, Any], says: str) -> None:
    with pytest.raises(patterns.InvalidPattern, match=says.replace("$", r"\$")):
        patterns.check(pattern)


def payload(**target: Any) -> str:
    return inputs.payload({"Id": "t", "Arn": "a", **target}, EVENT, "rule-1", "arn:rule-1")


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html")
def test_without_anything_a_target_gets_the_event_itself() -> None:
    assert json.loads(payload()) == EVENT


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html")
def test_a_constant_input_is_given_as_it_is() -> None:
    assert payload(Input='{"fixed": 1}') == '{"fixed": 1}'


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html",
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html",
)
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.detail.object", {"key": "data/20130209/a.csv", "size": 5, "etag": "e"}),
        ("$.detail.containers[1].name", "b"),
        ("$.detail.containers[*].name", ["a", "b"]),
        ("$.resources[0]", "arn:aws:s3:::b"),
        ("$.detail-type", "Object Created"),
        ("$", EVENT),
    ],
)
def test_an_input_path_picks_a_part(path: str, found: Any) -> None:
    assert json.loads(payload(InputPath=path)) == found


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html")
def test_an_unsupported_path_is_refused() -> None:
    with pytest.raises(inputs.InvalidInput, match=r"\$\.\.key"):
        payload(InputPath="$..key")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-examples",
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-issues",
)
@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{"key": <key>, "size": <size>}', '{"key": "data/20130209/a.csv", "size": 5}'),
        ('{"text": "of <size> bytes: <key>"}', '{"text": "of 5 bytes: data/20130209/a.csv"}'),
        ('{"said": <quote>}', '{"said": "say \\"hi\\""}'),
        ('{"all": <containers>}', '{"all": [{"name":"a","code":0},{"name":"b","code":1}]}'),
        ('"all: <containers>"', '"all: [{name:a,code:0},{name:b,code:1}]"'),
        ('"<key> has arrived"', '"data/20130209/a.csv has arrived"'),
        ('{"rule": <aws.events.rule-name>}', '{"rule": "rule-1"}'),
        ('{"at": <aws.events.event.ingestion-time>}', '{"at": "2026-01-02T03:04:05Z"}'),
        ('"[<absent>]"', '"[]"'),
    ],
)
def test_a_template_is_filled_from_the_event(template: str, expected: str) -> None:
    paths = {
        "key": "$.detail.object.key",
        "size": "$.detail.object.size",
        "quote": "$.detail.quote",
        "containers": "$.detail.containers",
        "absent": "$.detail.absent",
    }

    assert payload(InputTransformer={"InputPathsMap": paths, "InputTemplate": template}) == expected


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-predefined"
)
def test_a_template_can_carry_the_whole_event() -> None:
    filled = json.loads(payload(InputTransformer={"InputTemplate": '{"event": <aws.events.event.json>}'}))

    assert filled["event"] == EVENT


@pytest.mark.documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html#eb-transform-input-issues"
)
@pytest.mark.parametrize("template", ['{"a": <absent>}', '{"a": "<quote>"}'])
def test_a_template_that_makes_no_json_is_an_error(template: str) -> None:
    paths = {"absent": "$.detail.absent", "quote": "$.detail.quote"}  # quotes within the value are not escaped
    transformer = {"InputPathsMap": paths, "InputTemplate": template}

    with pytest.raises(inputs.InvalidInput, match="no JSON"):
        payload(InputTransformer=transformer)
