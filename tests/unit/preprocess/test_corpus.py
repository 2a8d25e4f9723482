"""The corpus: small files as people send them, each with its contract and the right outcome.

A case is a folder of `corpus/`: `input.csv`, `contract.json`, and `expected.json`, which says `clean` (the values of the clean rows, as
JSON holds them), `rejected` (record, code and field of each broken rule), `exit` (0 when left out) and `says` (what the last line on
standard error must hold).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from preprocess.command import main

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("case", sorted(path.name for path in CORPUS.iterdir()))
def test_a_file_of_the_corpus_ends_as_it_should(tmp_path: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    folder = CORPUS / case
    expected = json.loads((folder / "expected.json").read_bytes())
    arguments = ["--input", str(folder / "input.csv"), "--contract", str(folder / "contract.json")]

    code = main([*arguments, "--output", str(tmp_path), "--cleaned-csv"])

    assert code == expected.get("exit", 0)
    assert expected.get("says", "") in capfd.readouterr().err
    if code == 0:
        assert outcome(tmp_path) == (expected.get("clean", []), expected.get("rejected", []))
        arguments[1] = str(tmp_path / "cleaned.csv")
        assert main([*arguments, "--output", str(tmp_path / "again")]) == 0
        assert outcome(tmp_path / "again") == (expected["clean"], [])


def outcome(folder: Path) -> tuple[list[list[Any]], list[list[Any]]]:
    """The values of the clean rows; record, code and field of each broken rule."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    clean = [row for shard in manifest["shards"] for row in pl.read_parquet(folder / shard["path"]).rows()]
    rejected = [
        [row["record"], reason["code"], reason["field"]]
        for part in manifest["rejected"]
        for row in pl.read_parquet(folder / part["path"]).to_dicts()
        for reason in row["reasons"]
    ]
    assert manifest["rows_read"] == len(clean) + len({record for record, _, _ in rejected})
    return [[plain(value) for value in row] for row in clean], rejected


def plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else value.isoformat()
