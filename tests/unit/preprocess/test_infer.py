"""Drafted contracts: a person's starting point that the file itself follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preprocess.command import main
from preprocess.infer import draft
from preprocess.refusals import DataRefused
from preprocess.sources import LocalSource
from spotline.contracts import Contract
from tests.unit.preprocess.rehearsal import run

SAMPLES = Path(__file__).parents[3] / "samples" / "data" / "flights"


def drafted(path: Path, text: str) -> tuple[Contract, list[str]]:
    path.write_text(text)
    body, remarks = draft(LocalSource(path))
    return Contract.from_json(body), remarks


@pytest.mark.parametrize("day", sorted(path.name for path in SAMPLES.iterdir()))
def test_a_sample_day_follows_the_contract_drafted_from_it(tmp_path: Path, day: str) -> None:
    body, remarks = draft(LocalSource(SAMPLES / day / "flights.csv"))

    found = run(tmp_path, (SAMPLES / day / "flights.csv").read_bytes(), Contract.from_json(body))

    assert (found.rejected, remarks) == ([], [])
    fields = {field["name"]: field for field in json.loads(body)["fields"]}
    assert fields["arr_delay"]["type"] == "integer"
    assert fields["time_hour"]["type"] == "datetime"
    assert fields["origin"]["constraints"] == {"required": True, "enum": ["EWR", "JFK", "LGA"]}


def test_delimiter_types_and_padding_are_found(tmp_path: Path) -> None:
    contract, _ = drafted(tmp_path / "x.csv", "a;b;c;d\n1; 2,5;01/02/2024;true\n2;3,5 ;28/02/2024;false\n")

    assert contract.dialect.delimiter == ";"
    assert [(field.type, field.format, field.decimal_char) for field in contract.fields] == [
        ("integer", "default", "."),
        ("number", "default", ","),
        ("date", "%d/%m/%Y", "."),
        ("boolean", "default", "."),
    ]
    assert contract.trim


def test_a_few_strange_cells_do_not_hide_the_type_and_are_named(tmp_path: Path) -> None:
    contract, remarks = drafted(tmp_path / "x.csv", "n\n" + "1\n" * 99 + "many\n")

    assert contract.field("n").type == "integer"
    assert remarks == ["n: 1 of 100 cells are no integer, such as 'many'"]


@pytest.mark.parametrize(
    ("text", "message"), [("", "a header and at least one row"), ("a,a\n1,2\n", "column 2 of the header is 'a'")]
)
def test_a_file_that_says_too_little_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataRefused, match=message):
        drafted(tmp_path / "x.csv", text)


def test_the_command_drafts_to_standard_output_and_remarks_beside_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("n\n" + "1\n" * 99 + "many\n")

    assert main(["infer", str(tmp_path / "x.csv")]) == 0
    told = capfd.readouterr()
    assert Contract.from_json(told.out.encode()).names == ("n",)
    assert told.err == "preprocess infer: n: 1 of 100 cells are no integer, such as 'many'\n"

    assert main(["infer", str(tmp_path / "nowhere.csv")]) == 78
    assert "nowhere.csv: No such file or directory" in capfd.readouterr().err
