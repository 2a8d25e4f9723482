"""Drafted contracts: a person's starting point that the file itself follows."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from preprocess.command import main
from preprocess.infer import draft
from preprocess.refusals import DataRefused
from preprocess.sniffing import SAMPLE_ROWS
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

    assert found.rejected == []
    assert not [remark for remark in remarks if "rejected" in remark]
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
    assert (
        "n (line 5 of the draft): cells that are no integer and would be rejected: 1 of 100, such as 'many'" in remarks
    )
    assert contract.tolerance.max_rejected_share == 0.01


def test_a_draft_lets_its_own_file_pass(tmp_path: Path) -> None:
    """Of 100 cells 4 are strange: more than the usual tolerance, which is raised and said."""
    text = "n\n" + "1\n" * 96 + "a\nb\nc\nd\n"
    contract, remarks = drafted(tmp_path / "x.csv", text)

    assert run(tmp_path, text.encode(), contract).manifest.rows_rejected == 4
    assert contract.tolerance.max_rejected_share == 0.04
    assert any("do not follow this draft and would be rejected: 4 of 100" in remark for remark in remarks)


def test_what_stands_beyond_the_sample_widens_the_draft(tmp_path: Path) -> None:
    """The sample's integers, enumeration and full column do not hold for the rest of the file."""
    rows = [f"{n},red,x{n % 3}" for n in range(SAMPLE_ROWS)] + ["0.5,green,", "1.5,red,x1"]
    text = "v,colour,name\n" + "\n".join(rows) + "\n"

    contract, remarks = drafted(tmp_path / "x.csv", text)

    assert contract.field("v").type == "number"
    assert contract.field("colour").constraints.enum is None
    assert not contract.field("name").constraints.required
    assert run(tmp_path, text.encode(), contract).rejected == []
    assert any("beyond the first 10000 rows that are no integer: 2, such as '0.5'" in remark for remark in remarks)


def test_rows_that_no_type_can_help_are_named_with_their_lines(tmp_path: Path) -> None:
    _, remarks = drafted(tmp_path / "x.csv", "a,b\n" + "1,2\n" * 98 + "Total\n")

    assert "rows rejected for fieldCount: 1, such as line 100" in remarks


def test_columns_that_name_rows_are_offered_as_keys(tmp_path: Path) -> None:
    _, remarks = drafted(tmp_path / "x.csv", "id,n\n" + "".join(f"k{n},{n % 7}\n" for n in range(50)))

    assert [remark for remark in remarks if "primaryKey" in remark] == [
        'id (line 5 of the draft): all 50 values looked at differ; if it names rows, add "primaryKey": ["id"]'
    ]


def test_values_that_differ_in_case_only_are_brought_to_one(tmp_path: Path) -> None:
    contract, remarks = drafted(tmp_path / "x.csv", "status,n\n" + "Open,1\nOPEN,2\nclosed,3\n" * 20)

    assert contract.field("status").case == "lower"
    assert contract.field("status").constraints.enum == ("closed", "open")
    assert any("'OPEN' and 'Open' differ in case only" in remark for remark in remarks)


def test_an_enumeration_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("colour,n\n" + "red,1\nblue,2\n" * 20)

    (field, _) = json.loads(draft(LocalSource(tmp_path / "x.csv"))[0])["fields"]

    assert field["constraints"]["enum"] == ["blue", "red"]
    assert (
        field["description"] == "The values of enum are those of the file this was drafted from; others are rejected."
    )


@pytest.mark.parametrize(("true", "false"), [("1", "0"), ("Yes", "No"), ("t", "f")])
def test_a_target_of_two_values_is_drafted_as_boolean(tmp_path: Path, true: str, false: str) -> None:
    (tmp_path / "x.csv").write_text("id,x,won\n" + "".join(f"k{n},{n % 9},{(true, false)[n % 2]}\n" for n in range(60)))

    body, remarks = draft(LocalSource(tmp_path / "x.csv"), target="won")

    contract = Contract.from_json(body)
    assert (contract.field("won").type, contract.field("won").true_values) == ("boolean", (true,))
    assert contract.analysis is not None
    assert (contract.analysis.target, contract.analysis.features) == ("won", ("x",))
    assert any("leaves out id" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("target", "message"), [("nothing", "'nothing' is no column; name one of 'x', 'name'"), ("name", "reads as string")]
)
def test_a_target_that_cannot_be_analysed_is_refused(tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "x.csv").write_text("x,name\n1,Ann\n2,Bob\n3,Cid\n")

    with pytest.raises(DataRefused, match=message):
        draft(LocalSource(tmp_path / "x.csv"), target=target)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "a header and at least one row"),
        (b"a,b\n", "a header and at least one row"),
        (b"<!DOCTYPE html>\n<html><body>1,2</body></html>\n", "line 1 is markup"),
        (b"<?xml version='1.0'?>\n<rows/>\n", "line 1 is markup"),
        (b'[{"a": 1},\n {"a": 2}]\n', "line 1 is JSON"),
        (b'{"a": 1}\n{"a": 2}\n', "line 1 is JSON"),
        (b"a,b\n1,\x00\n", "line 2 holds NUL bytes"),
        (b"PK\x03\x04rest", "a zip archive or a spreadsheet"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n")), "compressed twice"),
        (
            b"a,b\n" + b"1,2\n" * 30 + b"x\n" * 10,
            "the best draft would reject 10 of 40 rows, so it is none: fieldCount",
        ),
    ],
    ids=[
        "empty",
        "header-only",
        "html",
        "xml",
        "json",
        "json-lines",
        "nul",
        "zip",
        "gzip-in-gzip",
        "not-understood",
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path: Path, body: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(body)

    with pytest.raises(DataRefused, match=message):
        draft(LocalSource(tmp_path / "x.csv"))


def test_the_command_drafts_to_standard_output_and_remarks_beside_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("n,m\n" + "1,2\n" * 99 + "many,2\n")

    assert main(["infer", str(tmp_path / "x.csv"), "--target", "m"]) == 0
    written = capfd.readouterr()
    contract = Contract.from_json(written.out.encode())
    assert contract.names == ("n", "m")
    assert contract.analysis is not None
    assert (
        "preprocess infer: n (line 5 of the draft): cells that are no integer and would be rejected: 1 of 100, such as 'many'"
        in written.err
    )

    assert main(["infer", str(tmp_path / "nowhere.csv")]) == 78
    assert "nowhere.csv: No such file or directory" in capfd.readouterr().err
