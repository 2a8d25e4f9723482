"""`cleaned.csv` holds the clean rows and nothing else, and reads as the same values again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from preprocess.command import main
from spotline.manifests import CleanManifest

if TYPE_CHECKING:
    from pathlib import Path

FIELDS: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"name": "text", "constraints": {"required": True}}, ['a,"b"\nc', " padded ", "é"]),
    ({"name": "integer", "type": "integer", "groupChar": " "}, ["1 000", "-7", "NA"]),
    ({"name": "number", "type": "number", "decimalChar": ","}, ["1,5", "1e-300", "123456789012345678"]),
    ({"name": "truth", "type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]}, ["yes", "no", ""]),
    ({"name": "date", "type": "date", "format": "%d.%m.%Y"}, ["01.02.2003", "29.02.2024", ""]),
    ({"name": "time", "type": "time"}, ["23:59:59", "00:00:00", ""]),
    ({"name": "moment", "type": "datetime"}, ["2024-01-02T03:04:05.000006Z", "2024-01-02T03:04:05+01:00", ""]),
    (
        {"name": "fine", "type": "datetime", "format": "%Y%m%d %H:%M:%S.%f"},
        ["20240102 03:04:05.000006", "20240102 03:04:05.5", ""],
    ),
    (
        {"name": "paris", "type": "datetime", "format": "%Y-%m-%d %H:%M", "spotline": {"zone": "Europe/Paris"}},
        ["2024-07-01 12:00", "2024-01-01 12:00", ""],
    ),
    ({"name": "year", "type": "year"}, ["2024", "0099", ""]),
    ({"name": "month", "type": "yearmonth"}, ["2024-02", "1999-12", ""]),
)


def clean(folder: Path, source: Path, contract: dict[str, Any], *more: str) -> pl.DataFrame:
    folder.mkdir()
    (folder / "contract.json").write_text(json.dumps(contract))
    arguments = [
        "--input",
        str(source),
        "--contract",
        str(folder / "contract.json"),
        "--output",
        str(folder / "out"),
        *more,
    ]
    assert main(arguments) == 0
    manifest = CleanManifest.from_json((folder / "out" / "manifest.json").read_bytes())
    return pl.concat([pl.read_parquet(folder / "out" / shard.path) for shard in manifest.shards])


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_what_is_written_is_read_as_the_same_values(tmp_path: Path, delimiter: str) -> None:
    contract = {
        "fields": [field for field, _ in FIELDS],
        "missingValues": ["", "NA"],
        "dialect": {"delimiter": delimiter},
        "spotline": {"tolerance": {"maxRejectedShare": 0.5}},
    }
    rows = list(zip(*(cells for _, cells in FIELDS), strict=True))
    table = pl.DataFrame(rows, schema=[field["name"] for field, _ in FIELDS], orient="row")
    table.write_csv(tmp_path / "x.csv", separator=delimiter)
    with (tmp_path / "x.csv").open("ab") as file:
        file.write(b"a,b\n" if delimiter == "," else b"a;b\n")

    first = clean(tmp_path / "first", tmp_path / "x.csv", contract, "--cleaned-csv", "--block-mb", "0.0001")
    again = clean(tmp_path / "again", tmp_path / "first" / "out" / "cleaned.csv", contract)

    assert first.height == 3
    assert again.equals(first, null_equal=True)
    assert again["text"].to_list() == ['a,"b"\nc', " padded ", "é"]


def test_it_is_not_written_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("n\n1\n")

    clean(tmp_path / "run", tmp_path / "x.csv", {"fields": [{"name": "n", "type": "integer"}]})

    assert not (tmp_path / "run" / "out" / "cleaned.csv").exists()


def test_the_contract_may_ask_for_it_and_the_manifest_names_it(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("n\n1\n1\n2\n")
    contract = {
        "fields": [{"name": "n", "type": "integer", "constraints": {"unique": True}}],
        "spotline": {"cleanedCsv": True, "tolerance": {"maxRejectedShare": 0.5}},
    }

    clean(tmp_path / "run", tmp_path / "x.csv", contract)

    manifest = CleanManifest.from_json((tmp_path / "run" / "out" / "manifest.json").read_bytes())
    assert manifest.cleaned == "cleaned.csv"
    assert (tmp_path / "run" / "out" / "cleaned.csv").read_text() == "n\n1\n2\n"


def test_texts_with_escapes_and_missing_words_are_read_as_the_same_values(tmp_path: Path) -> None:
    contract = {
        "fields": [{"name": "text"}, {"name": "n", "type": "integer"}],
        "missingValues": ["\\N", "NA"],
        "dialect": {"escapeChar": "\\"},
    }
    (tmp_path / "x.csv").write_text('text,n\n\\N,1\nN,NA\n\\\\N,2\n\\NA,3\na\\,b,4\n"a\\"b",\\5\n,6\n')

    first = clean(tmp_path / "first", tmp_path / "x.csv", contract, "--cleaned-csv")
    again = clean(tmp_path / "again", tmp_path / "first" / "out" / "cleaned.csv", contract)

    assert first["text"].to_list() == [None, "N", "\\N", "NA", "a,b", 'a"b', ""]
    assert again.equals(first, null_equal=True)
