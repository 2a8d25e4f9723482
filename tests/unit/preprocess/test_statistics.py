"""Statistics merged from blocks are those of the whole column."""

from __future__ import annotations

import random
import statistics as reference
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from preprocess import statistics
from preprocess.columns import dtype
from preprocess.statistics import Statistics
from tests.unit.preprocess.rehearsal import contract_of, run

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = contract_of({"name": "x", "type": "number"}).fields
TEXT = contract_of({"name": "x"}).fields


def described(fields: Any, blocks: list[list[Any]], stride: int = 1) -> dict[str, Any]:
    gathered = Statistics(fields, stride)
    for block in blocks:
        gathered.add(gathered.summarise(pl.DataFrame({"x": pl.Series(block, dtype=dtype(fields[0]))}), {}))
    return gathered.report()["x"]


def test_means_and_deviations_of_blocks_of_any_size_are_the_column_s() -> None:
    generator = random.Random(1)
    values = [1e9 + generator.gauss(0, 1) for _ in range(5000)]

    found = described(NUMBER, [values[:1], [], [None, None], values[1:2000], [*values[2000:], None]])

    assert found["missing"] == 3
    assert found["mean"] == pytest.approx(reference.fmean(values), rel=1e-12)
    assert found["standard_deviation"] == pytest.approx(reference.pstdev(values), rel=1e-6)
    assert (found["min"], found["max"]) == (min(values), max(values))
    assert found["quantiles"]["0.5"] == pytest.approx(reference.median(values), abs=0.01)


def test_few_values_are_counted_exactly() -> None:
    found = described(TEXT, [["b", "a", None], ["a", "c"], ["a", "b"]])

    assert found["distinct"] == 3
    assert found["top"] == [{"value": "a", "count": 3}, {"value": "b", "count": 2}, {"value": "c", "count": 1}]
    assert "distinct_is_estimated" not in found


@pytest.mark.parametrize("repeats", [1, 7])
def test_many_values_are_estimated_and_say_so(repeats: int) -> None:
    names = [f"name {index}" for index in range(20_000)] * repeats

    found = described(TEXT, [names[index : index + 9000] for index in range(0, len(names), 9000)], stride=10)

    assert found["distinct_is_estimated"]
    assert found["distinct"] == pytest.approx(20_000, rel=0.1)
    assert found["top_is_estimated"]


def test_categories_are_the_contract_s_or_the_alphabet_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "FEW", 3)
    contract = contract_of(
        {"name": "e", "constraints": {"enum": ["z", "a"]}},
        {"name": "few"},
        {"name": "many"},
        {"name": "n", "type": "integer"},
    )
    gathered = Statistics(contract.fields, 1)
    rows: dict[str, list[Any]] = {"e": ["a", "a"], "few": ["y", "x"], "many": ["1", "2"], "n": [1, 2]}
    schema = {field.name: dtype(field) for field in contract.fields}
    for shift in ("", "'"):
        moved = rows | {"many": [value + shift for value in rows["many"]]}
        gathered.add(gathered.summarise(pl.DataFrame(moved, schema=schema), {}))

    assert gathered.categories(["e", "few", "many", "n"]) == {"e": ["z", "a"], "few": ["x", "y"]}


def test_the_report_tells_rejects_with_examples_and_every_column(tmp_path: Path) -> None:
    contract = contract_of(
        {"name": "count", "type": "integer"}, {"name": "day", "type": "date"}, {"name": "ok", "type": "boolean"}
    )
    rows = b"".join(f"{index},2024-01-{index % 28 + 1:02},true\n".encode() for index in range(100))

    found = run(tmp_path, b"count,day,ok\n" + rows + b"x,,\n" * 7, contract).quality

    (reject,) = found["rejected"]
    assert (reject["code"], reject["field"], reject["rows"]) == ("type", "count", 7)
    assert reject["examples"][0] == {"record": 101, "line": 102, "value": "x"}
    assert len(reject["examples"]) == 5
    assert found["columns"]["day"]["min"] == "2024-01-01"
    assert found["columns"]["ok"]["top"] == [{"value": True, "count": 100}]
    assert found["columns"]["count"]["quantiles"]["0.25"] == 25
    assert found["rows_per_second"] > 0
    assert found["verdict"] == {"accepted": True, "reason": None}
