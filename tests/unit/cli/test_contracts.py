"""`spotline init` and `spotline check`, as a user types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from typer.testing import CliRunner, Result

from cli import app

if TYPE_CHECKING:
    from pathlib import Path

CSV = "id,price,colour\n" + "".join(f"k{n},{n}.5,{('red', 'blue')[n % 2]}\n" for n in range(60))


def spotline(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_init_drafts_checks_and_tries_once(tmp_path: Path) -> None:
    file, contract = write(tmp_path / "sales.csv", CSV), tmp_path / "contracts" / "sales.json"

    found = spotline("init", file, "--target", "price", "--output", contract)

    assert found.exit_code == 0, found.output
    assert f"Wrote {contract}." in found.stdout
    assert '"primaryKey": ["id"]' in found.stdout
    assert "60 rows read, 60 clean, 0 rejected." in found.stdout
    assert f"spotline demo --input {file} --contract {contract}" in found.stdout
    assert json.loads(contract.read_bytes())["spotline"]["analysis"]["target"] == "price"


def test_init_replaces_no_contract_unasked(tmp_path: Path) -> None:
    file, contract = write(tmp_path / "x.csv", CSV), write(tmp_path / "x.json", "mine")

    refused = spotline("init", file, "--output", contract)

    assert refused.exit_code == 1
    assert "exists; choose another place with --output, or replace it with --force" in refused.stderr
    assert contract.read_text() == "mine"
    assert spotline("init", file, "--output", contract, "--force").exit_code == 0
    assert contract.read_text() != "mine"


def test_init_refuses_what_is_no_csv(tmp_path: Path) -> None:
    found = spotline("init", write(tmp_path / "x.csv", "<html><body></body></html>"), "--output", tmp_path / "x.json")

    assert (found.exit_code, found.stdout) == (65, "")
    assert "x.csv: line 1 is markup (HTML or XML), not CSV" in found.stderr
    assert not (tmp_path / "x.json").exists()


def test_check_names_every_problem(tmp_path: Path) -> None:
    contract = write(
        tmp_path / "c.json",
        '{"fields": [{"name": "a", "type": "nmber"}, {"name": "b", "constraints": {"minimun": 1}}]}',
    )

    found = spotline("check", contract)

    assert found.exit_code == 78
    assert "fields[0] 'a'.type: 'nmber' is unknown" in found.stderr
    assert "did you mean 'minimum'?" in found.stderr
    assert "spotline: 2 problems" in found.stderr


def test_check_says_what_a_file_would_lose(tmp_path: Path) -> None:
    contract = write(tmp_path / "c.json", '{"fields": [{"name": "a", "type": "integer"}]}')
    good, bad = write(tmp_path / "good.csv", "a\n1\n2\n"), write(tmp_path / "bad.csv", "a,b\n1,x\ntwo,y\n")

    accepted, refused = spotline("check", contract, good), spotline("check", contract, bad)

    assert accepted.exit_code == 0
    assert f"{contract}: right, 1 fields." in accepted.stdout
    assert "2 rows read, 2 clean, 0 rejected." in accepted.stdout
    assert refused.exit_code == 65
    assert "1 rows break type of a, such as 'two' (line 3)" in refused.stdout
    assert "the column 'b' is not in the contract and is left out" in refused.stdout
    assert "1 of 2 rows are rejected" in refused.stderr


def test_check_without_a_contract_says_so(tmp_path: Path) -> None:
    found = spotline("check", tmp_path / "nowhere.json")

    assert found.exit_code == 78
    assert "nowhere.json: No such file or directory; give the path of a contract" in found.stderr
