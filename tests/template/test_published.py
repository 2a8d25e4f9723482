"""Our templates against AWS's public ones: each property in which they differ has its reason in `docs/decisions/`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.template.published import ANY, list_ours, list_properties, list_theirs, read_recorded
from tests.template.system import ROOT
from twin.deployment import template as templates

if TYPE_CHECKING:
    from collections.abc import Iterable

DECISION = (ROOT / "docs/decisions/0014-compared-with-aws-templates.md").read_text()
THEIRS_ALONE, OURS_ALONE, OTHER_VALUES = "Set by them, not by ours", "Set by ours, not by them", "Set to other values"
WHOLE_TYPE = "every property"
# Where jobs run. What a bucket or a rule of ours has beyond AWS's samples is the subject of rules, not of this comparison.
COMPUTE_TYPES = ("AWS::Batch::", "AWS::EC2::")

OURS, THEIRS = list_ours(), list_theirs()

Row = tuple[str, str]


def read_rows(heading: str) -> list[Row]:
    """Type and property of each row of the table below a heading."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", DECISION, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `(AWS::[^`]+)` \| `?([^`|]+?)`? \|", section, re.MULTILINE)


def covers(row: Row, kind: str, path: str) -> bool:
    """A row speaks of a property and of all below it."""
    return row[0] == kind and (row[1] == path or path.startswith(f"{row[1]}."))


def list_theirs_alone() -> list[Row]:
    types = [(kind, WHOLE_TYPE) for kind in THEIRS if kind not in OURS]
    return types + [
        (kind, path) for kind, paths in THEIRS.items() if kind in OURS for path in paths if path not in OURS[kind]
    ]


def list_ours_alone() -> list[Row]:
    return [
        (kind, path)
        for kind, paths in OURS.items()
        if kind.startswith(COMPUTE_TYPES) and kind in THEIRS
        for path in paths
        if path not in THEIRS[kind]
    ]


def list_other_values() -> list[Row]:
    return [
        (kind, path)
        for kind, paths in THEIRS.items()
        for path, values in paths.items()
        if path in OURS.get(kind, {}) and values - OURS[kind][path] and ANY not in OURS[kind][path]
    ]


DIFFERENCES = {
    THEIRS_ALONE: list_theirs_alone(),
    OURS_ALONE: list_ours_alone(),
    OTHER_VALUES: list_other_values(),
}


@pytest.mark.parametrize("heading", DIFFERENCES)
def test_every_difference_has_its_reason(heading: str) -> None:
    assert list_unexplained(heading, read_rows(heading)) == []


def list_unexplained(heading: str, rows: Iterable[Row]) -> list[Row]:
    rows = list(rows)
    return [found for found in DIFFERENCES[heading] if not any(covers(row, *found) for row in rows)]


@pytest.mark.parametrize("heading", DIFFERENCES)
def test_no_reason_outlives_its_difference(heading: str) -> None:
    differences = DIFFERENCES[heading]
    assert [row for row in read_rows(heading) if not any(covers(row, *found) for found in differences)] == []


@pytest.mark.parametrize("heading", DIFFERENCES)
def test_a_row_that_is_left_out_is_missed(heading: str) -> None:
    rows = read_rows(heading)
    assert rows
    for left_out in rows:
        assert list_unexplained(heading, [row for row in rows if row != left_out]), f"{left_out} explains nothing alone"


def test_every_row_has_a_reason() -> None:
    assert re.findall(r"^\| `AWS::.*\|\s*\|$", DECISION, re.MULTILINE) == []


@pytest.mark.parametrize("name", read_recorded())
def test_the_decision_links_each_recorded_template_at_its_commit(name: str) -> None:
    entry = read_recorded()[name]
    assert re.fullmatch(r"https://github\.com/[\w-]+/[\w-]+/blob/[0-9a-f]{40}/\S+", entry["url"])
    assert f"[{name}]({entry['url']})" in DECISION
    assert entry["date"] in DECISION


def test_properties_are_read_through_conditions_and_from_members_of_a_multi_node_job() -> None:
    found = list_properties(
        templates.read(
            """
            Resources:
              Job:
                Type: AWS::Batch::JobDefinition
                Properties:
                  Type: multinode
                  Tags: {anything: goes}
                  NodeProperties:
                    NodeRangeProperties:
                    - TargetNodes: "0:"
                      Container: {Image: !Ref Image, Ulimits: !If [Efa, [{Name: memlock}], [{SoftLimit: 1}]]}
            """
        )
    )
    assert found == {
        "AWS::Batch::JobDefinition": {
            "Type": {"multinode"},
            "Tags": {ANY},
            "NodeProperties.NodeRangeProperties.TargetNodes": {"0:"},
            "Container.Image": {ANY},
            "Container.Ulimits.Name": set(),
            "Container.Ulimits.SoftLimit": set(),
        }
    }
