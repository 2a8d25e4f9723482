from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto.stepfunctions.parser.asl.utils.json_path import extract_json

from twin.patches import restore
from twin.patches.jsonpath import one_value_for_a_reference_path

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = {"Versions": [{"VersionId": "a", "Tags": ["x", "y"]}, {"VersionId": "b", "Tags": []}], "Key": "k"}


@pytest.fixture
def patched() -> Iterator[None]:
    one_value_for_a_reference_path()
    yield
    restore()


def test_stock_moto_still_answers_with_a_list() -> None:
    assert extract_json("$.Versions[0].VersionId", DATA) == ["a"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.Key", "k"),
        ("$.Versions[0].VersionId", "a"),
        ("$.Versions[0].Tags[1]", "y"),
        ("$.Versions[1].Tags", []),
        ("$.Versions[*].VersionId", ["a", "b"]),
        ("$.Versions[0:1].VersionId", ["a"]),
        ("$..VersionId", ["a", "b"]),
    ],
)
def test_a_reference_path_names_one_value(patched: None, path: str, value: Any) -> None:
    assert extract_json(path, DATA) == value
