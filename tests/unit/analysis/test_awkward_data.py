"""Data that a gang must accept, or refuse with a clear reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import xgboost as xgb

from analysis.conformance import data as cleaned
from spotline.exits import ExitCode
from spotline.manifests import AnalysisManifest
from tests.unit.analysis.gangs import gang

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FEW_ROUNDS = {"rounds": 4, "segment": 2}


def analysed(folder: Path, rows: pa.Table, members: int = 2, **analysis: Any) -> tuple[AnalysisManifest, pa.Table]:
    """The manifest and the scored rows of a gang that must come through."""
    cleaned.write_clean_data(folder / "in", rows, cleaned.build_contract(**{**FEW_ROUNDS, **analysis}))
    with gang(folder / "in", folder / "out", members) as sound:
        assert sound.codes() == [0] * members, sound.lines
    manifest = AnalysisManifest.from_json((folder / "out/manifest.json").read_bytes())
    return manifest, pa.concat_tables(pq.read_table(folder / "out" / part.rows_path) for part in manifest.parts)


def refused(folder: Path, rows: pa.Table, spoil: Callable[[Path], object] = lambda _: None, **analysis: Any) -> str:
    """The reason of a gang that must fail by its own fault, the same at every member."""
    cleaned.write_clean_data(folder / "in", rows, cleaned.build_contract(**{**FEW_ROUNDS, **analysis}))
    spoil(folder / "in")
    with gang(folder / "in", folder / "out") as failing:
        codes = failing.codes()
    assert codes == [1, 1], failing.lines
    assert not (folder / "out/manifest.json").exists()
    return str(failing.of("leaving")[0]["reason"])


def test_a_single_row_is_analysed(tmp_path: Path) -> None:
    manifest, rows = analysed(tmp_path, cleaned.build_table(2, seed=3).slice(0, 1))
    assert rows.num_rows == 1
    assert [part.rows for part in manifest.parts] == [0, 1]


def test_more_members_than_rows_is_no_reason_to_fail(tmp_path: Path) -> None:
    manifest, rows = analysed(tmp_path, cleaned.build_table(2, seed=3), members=3)
    assert [part.rows for part in manifest.parts] == [0, 1, 1]
    assert sorted(rows["key"].to_pylist(), key=str) == [{"id": "r000000"}, {"id": "r000001"}]


def test_too_few_rows_hold_nothing_out(tmp_path: Path) -> None:
    manifest, rows = analysed(tmp_path, cleaned.build_table(40))
    assert set(rows["split"].to_pylist()) <= {"train", "unlabelled"}
    assert all(held_out is None for _, _, held_out in manifest.details["history"])


def test_a_constant_target_is_predicted_as_it_is(tmp_path: Path) -> None:
    rows = cleaned.build_table(200)
    constant = rows.set_column(rows.column_names.index("price"), "price", pa.array([7.0] * 200))
    _, scored = analysed(tmp_path, constant)
    assert scored["prediction"].to_pylist() == pytest.approx([7.0] * 200)


def test_a_feature_that_is_missing_everywhere_does_no_harm(tmp_path: Path) -> None:
    rows = cleaned.build_table(200)
    empty = rows.set_column(rows.column_names.index("size"), "size", pa.nulls(200, pa.float64()))
    empty = empty.set_column(rows.column_names.index("colour"), "colour", pa.nulls(200, pa.string()))
    manifest, _ = analysed(tmp_path, empty)
    assert "size" not in manifest.details["importances"]


def test_names_that_the_engine_refuses_are_accepted_and_come_out_as_they_are(tmp_path: Path) -> None:
    odd = {"size": "size [m] <net>", "colour": "f1", "fresh": "fresh, <true>", "price": "price [EUR]"}
    rows = cleaned.build_table(300).rename_columns(odd | {name: name for name in ("id", "seen", "dear")})
    names = [odd["size"], "seen", odd["colour"], odd["fresh"]]
    contract = cleaned.build_contract(**FEW_ROUNDS, target=odd["price"], features=names)
    for field in contract["fields"]:
        field["name"] = odd.get(field["name"], field["name"])
    cleaned.write_clean_data(tmp_path / "in", rows, contract, categories={odd["colour"]: sorted(cleaned.COLOURS)})
    with gang(tmp_path / "in", tmp_path / "out") as sound:
        assert sound.codes() == [0, 0], sound.lines

    details = AnalysisManifest.from_json((tmp_path / "out/manifest.json").read_bytes()).details
    assert details["features"] == names
    assert {odd["size"], odd["colour"]} <= set(details["importances"]) <= set(names)
    assert xgb.Booster(model_file=tmp_path / "out/model.ubj").feature_names == names
    sums = json.loads((tmp_path / "out/parts/part-0000.json").read_bytes())
    assert {reason["feature"] for row in sums["surprising"] for reason in row["reasons"]} <= set(names)
    shown = [row["reasons"] for row in pq.read_table(tmp_path / "out/parts/part-0000.parquet").to_pylist()]
    assert odd["size"] in {reason["feature"] for reasons in shown for reason in reasons or ()}


def test_a_boolean_target_gives_probabilities(tmp_path: Path) -> None:
    manifest, scored = analysed(tmp_path, cleaned.build_table(400), target="dear", rounds=20, segment=10)
    assert manifest.details["objective"] == "binary:logistic"
    assert scored.schema.field("actual").type == pa.bool_()
    right = [(row["prediction"] > 0.5) == row["actual"] for row in scored.to_pylist()]
    assert sum(right) / len(right) > 0.9
    sums = json.loads((tmp_path / "out" / manifest.parts[0].sums_path).read_bytes())["sums"]
    assert 0 < sums["train"]["positives"] < sums["train"]["rows"]


def test_a_boolean_target_that_is_always_true_is_learnt(tmp_path: Path) -> None:
    rows = cleaned.build_table(100)
    always = rows.set_column(rows.column_names.index("dear"), "dear", pa.array([True] * 100))
    _, scored = analysed(tmp_path, always, target="dear")
    assert pc.min(scored["prediction"]).as_py() > 0.99


def test_early_stopping_keeps_the_best_round(tmp_path: Path) -> None:
    manifest, _ = analysed(tmp_path, cleaned.build_table(600), rounds=200, segment=10, earlyStoppingRounds=5)
    details = manifest.details
    assert details["model_rounds"] == details["best_round"]
    assert int(details["best_round"]) < int(details["trained_rounds"]) < 200
    assert details["trained_rounds"] - details["best_round"] < 5 + 10


def test_without_a_primary_key_rows_have_none(tmp_path: Path) -> None:
    contract = cleaned.build_contract(**FEW_ROUNDS)
    del contract["primaryKey"]
    cleaned.write_clean_data(tmp_path / "in", cleaned.build_table(60), contract)
    with gang(tmp_path / "in", tmp_path / "out") as sound:
        assert sound.codes() == [0, 0], sound.lines
    assert "key" not in pq.read_schema(tmp_path / "out/parts/part-0000.parquet").names


def test_a_target_without_any_value_is_refused(tmp_path: Path) -> None:
    rows = cleaned.build_table(60)
    empty = rows.set_column(rows.column_names.index("price"), "price", pa.nulls(60, pa.float64()))
    assert "no clean row has a value in the target 'price'" in refused(tmp_path, empty)


def test_a_target_that_is_no_column_of_the_shards_is_refused(tmp_path: Path) -> None:
    assert "the target 'price' is no column of the shards" in refused(
        tmp_path, cleaned.build_table(60).drop_columns(["price"])
    )


def test_an_unknown_parameter_is_refused(tmp_path: Path) -> None:
    assert "max_dept" in refused(tmp_path, cleaned.build_table(60), parameters={"max_dept": 3})


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    reason = refused(tmp_path, cleaned.build_table(60), lambda folder: (folder / "clean/shard-0001.parquet").unlink())
    assert "shard-0001.parquet is missing, though the clean manifest names it" in reason


def test_a_shortened_shard_is_named(tmp_path: Path) -> None:
    def shorten(folder: Path) -> None:
        shard = folder / "clean/shard-0001.parquet"
        shard.write_bytes(shard.read_bytes()[:-10])

    assert "the clean manifest says" in refused(tmp_path, cleaned.build_table(60), shorten)


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    def flip_a_bit(folder: Path) -> None:
        shard = folder / "clean/shard-0002.parquet"
        body = bytearray(shard.read_bytes())
        body[60] ^= 1
        shard.write_bytes(bytes(body))

    assert "shard-0002.parquet is damaged" in refused(tmp_path, cleaned.build_table(60), flip_a_bit)


@pytest.mark.parametrize("name", ["manifest.json", "contract.json"])
def test_a_missing_or_broken_document_is_a_matter_of_configuration(tmp_path: Path, name: str) -> None:
    cleaned.write_clean_data(tmp_path / "in", cleaned.build_table(60), cleaned.build_contract())
    (tmp_path / "in" / name).write_text("{}")
    with gang(tmp_path / "in", tmp_path / "out") as failing:
        assert failing.codes() == [ExitCode.BAD_CONFIGURATION] * 2, failing.lines
