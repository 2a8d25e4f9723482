"""What the table keeps of a result fits into an item whatever the data holds, and is read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from postprocess.drift import Distribution
from postprocess.table import to_attribute, to_plain
from postprocess.table_items import COLUMNS, build_columns_attribute, build_surprising_attribute, read_earlier_days
from spotline.objects import LocalObjects
from tests.poison import POISONS, damage

if TYPE_CHECKING:
    from pathlib import Path

MOST = 400 * 1024  # "Constraints", DynamoDB developer guide
METRICS = {"rows": {"read": 7, "rejected_share": 0.5}, "quality": {"validation": {"rmse": 1.5}, "train": None}}


def size(value: dict[str, Any]) -> int:
    """The size of an attribute's value as "DynamoDB item sizes and formats" (DynamoDB developer guide) counts it, rounded up."""
    ((kind, content),) = value.items()
    if kind == "M":
        assert all(content), "a name in an item has at least one character"
        return 3 + sum(1 + len(name.encode()) + size(item) for name, item in content.items())
    if kind == "L":
        return 3 + sum(1 + size(item) for item in content)
    return 1 if kind in ("NULL", "BOOL") else len(content.encode()) if kind == "S" else 21


COLUMNS_OF_A_DAY = {
    "an empty value": {"c": Distribution(0.1, {"": 0.5, "a": 0.4})},
    "2,000 columns": {
        f"column {at} \N{SNOWMAN}" * 3: Distribution(0.0, {f"value {n}": 0.05 for n in range(20)}) for at in range(2000)
    },
    "2,000 numbers": {f"n{at}": Distribution(0.0, None, tuple(at / 7 + n for n in range(7))) for at in range(2000)},
    "values of 100 KB": {"c": Distribution(0.0, {"\N{SNOWMAN}" * 100_000: 0.5, "x" * 100_000: 0.5})},
    "names of 1,024 characters": {"\N{PILE OF POO}" * 1023 + chr(97 + n): Distribution(0.0, {}) for n in range(26)},
    "control characters": {"\x01\n\u202e": Distribution(0.0, {"\x00": 1.0, "\x1f": 0.0})},
}


@pytest.mark.parametrize("columns", COLUMNS_OF_A_DAY.values(), ids=list(COLUMNS_OF_A_DAY))
def test_a_day_s_columns_fit_and_are_read_back(columns: dict[str, Distribution], tmp_path: Path) -> None:
    # Given a day's columns as they are kept
    kept = build_columns_attribute(columns, LocalObjects(tmp_path), "job-7/")
    item = to_attribute({"day": "20130208", "metrics": METRICS, **kept})
    # Then the item is small, and the next day finds all of them
    assert size(item) < MOST / 2
    [day] = read_earlier_days([to_plain(item)])
    assert day.columns == columns


def test_only_what_is_too_large_is_an_object_of_its_own(tmp_path: Path) -> None:
    build_columns_attribute(COLUMNS_OF_A_DAY["an empty value"], LocalObjects(tmp_path), "job-7/")
    assert not list(tmp_path.iterdir())
    build_columns_attribute(COLUMNS_OF_A_DAY["2,000 columns"], LocalObjects(tmp_path), "job-7/")
    assert (tmp_path / "job-7" / COLUMNS).exists()


def test_an_item_of_an_older_version_is_read() -> None:
    item = {"day": "20130208", "metrics": METRICS, "columns": {"c": {"missing": 0.5, "values": {"a": 0.5}}}}
    [day] = read_earlier_days([item])
    assert day.columns == {"c": Distribution(0.5, {"a": 0.5})}


ITEM = {
    "pk": "DAY#flights#20130208",
    "sk": "FILE#f.csv",
    "day": "20130208",
    "metrics": METRICS,
    "columns": {"c": {"missing": 0.5, "commonest": [["", 0.5]], "quantiles": [1.0, 2.0]}},
}


def test_a_day_whose_item_was_damaged_is_left_out_or_read() -> None:
    for _, body in damage(ITEM):
        item = json.loads(body)
        if isinstance(item, dict):
            [good] = [day for day in read_earlier_days([item, {**ITEM, "day": "20130207"}]) if day.day == "20130207"]
            assert good.columns["c"].values == {"": 0.5}


@pytest.mark.parametrize("body", [*POISONS.values(), None], ids=[*POISONS, "missing"])
def test_a_day_whose_columns_cannot_be_read_is_left_out_and_named(
    body: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = tmp_path / COLUMNS
    if body is not None:
        at.write_bytes(body)
    days = read_earlier_days([{"day": "20130208", "metrics": METRICS, "columns_at": str(at)}])
    assert days == [] or days[0].columns == {}
    assert days or str(at) in caplog.text


def test_surprising_rows_fit() -> None:
    row = {"shard": 0, "row": 1, "key": {"id": "x" * 100_000}, "reasons": [{"feature": "f", "value": "y" * 100_000}]}
    kept = build_surprising_attribute([row] * 3, "s3://results/metrics.json")
    assert kept["surprising"][0]["key"]["id"] == "x" * 200 + "…"
    assert size(to_attribute(kept)) < 10_000
    wide = {"key": {f"column {at}": "x" * 100_000 for at in range(2000)}}
    assert build_surprising_attribute([wide], "s3://results/metrics.json") == {
        "surprising_at": "s3://results/metrics.json"
    }
