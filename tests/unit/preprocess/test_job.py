"""A run from end to end: the samples, the tolerance, the same bytes again, and ends that are no ends."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from preprocess import quality, shards
from preprocess.command import main
from preprocess.refusals import DataRefused
from spotline.contracts import Contract
from spotline.manifests import CleanManifest, digest
from tests.unit.preprocess.rehearsal import contract_of, run

ROOT = Path(__file__).parents[3]
FLIGHTS = ROOT / "contracts" / "flights.json"
DAYS = {"20130101": (842, 2), "20130208": (930, 1), "20130209": (684, 1), "20130210": (829, 0), "20130710": (1004, 0)}


@pytest.mark.parametrize("day", DAYS)
def test_a_sample_day_is_cleaned(tmp_path: Path, day: str) -> None:
    sample = ROOT / "samples" / "data" / "flights" / day / "flights.csv"

    code = main(["--input", str(sample), "--contract", str(FLIGHTS), "--output", str(tmp_path)])

    assert code == 0
    manifest = CleanManifest.from_json((tmp_path / "manifest.json").read_bytes())
    assert (manifest.rows_read, manifest.rows_rejected) == DAYS[day]
    assert manifest.rows_read == len(sample.read_bytes().splitlines()) - 1
    assert manifest.analyse
    assert manifest.categories["origin"] == ["EWR", "JFK", "LGA"]
    rows = pl.concat([pl.read_parquet(tmp_path / shard.path) for shard in manifest.shards])
    assert rows.height == manifest.rows_clean
    naive = pl.read_csv(sample, null_values="NA")
    kept = naive.filter(pl.col("tailnum").is_null() | ~pl.col("tailnum").str.starts_with("N0"))
    for name in ("arr_delay", "dest", "flight", "distance", "carrier"):
        assert rows[name].to_list() == kept[name].to_list()
    for shard in manifest.shards:
        assert digest((tmp_path / shard.path).read_bytes()) == shard.sha256


def test_cancelled_flights_are_clean_and_have_no_target(tmp_path: Path) -> None:
    sample = (ROOT / "samples" / "data" / "flights" / "20130209" / "flights.csv").read_bytes()

    found = run(tmp_path, sample, Contract.from_json(FLIGHTS.read_bytes()))

    assert (
        found.quality["columns"]["arr_delay"]["missing"] == 392
    )  # of the 393 that never arrived, one has no right tail number


ROWS = b"n,s\n" + b"".join(f"{index},word {index % 10}\n".encode() for index in range(3000)) + b"x,y\n" * 30
CONTRACT: dict[str, Any] = {"fields": [{"name": "n", "type": "integer"}, {"name": "s"}]}


def files(folder: Path) -> dict[str, bytes]:
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    found.pop("quality.json", None)  # it tells the time that it took
    return {name: body for name, body in found.items() if not name.startswith(".")}


@pytest.mark.parametrize("workers", [1, 4])
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, workers: int) -> None:
    contract = contract_of(*CONTRACT["fields"])
    for name, threads in (("one", 2), ("other", workers)):
        (tmp_path / name).mkdir()
        run(tmp_path / name, ROWS, contract, block_bytes=4000, workers=threads)

    assert len(files(tmp_path / "one" / "output")) > 8
    assert files(tmp_path / "one" / "output") == files(tmp_path / "other" / "output")


def test_shards_are_about_equal_with_no_small_rest(tmp_path: Path) -> None:
    data = b"n,s\n" + b"".join(f"{index:06},w\n".encode() for index in range(10_000))

    found = run(tmp_path, data, contract_of(*CONTRACT["fields"]), block_bytes=len(data) // 3)

    rows = [shard.rows for shard in found.manifest.shards]
    assert len(rows) == 4
    assert max(rows) - min(rows) < 0.05 * max(rows)


def test_blocks_do_not_change_what_comes_out(tmp_path: Path) -> None:
    contract = contract_of(*CONTRACT["fields"])
    found = []
    for block_bytes in (100, 1 << 20):
        (tmp_path / str(block_bytes)).mkdir()
        found.append(run(tmp_path / str(block_bytes), ROWS, contract, block_bytes=block_bytes))

    assert found[0].clean == found[1].clean
    assert found[0].rejected == found[1].rejected
    assert found[0].manifest.categories == found[1].manifest.categories


def test_a_block_with_more_rows_than_a_shard_may_hold_becomes_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_ROWS", 1000)

    found = run(tmp_path, ROWS, contract_of(*CONTRACT["fields"]))

    assert [shard.rows for shard in found.manifest.shards] == [1000, 1000, 1000]
    assert len({shard.path for shard in found.manifest.shards}) == 3


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        (
            {"maxRejectedShare": 0.005, "minRows": 1},
            "30 of 3030 rows are rejected (0.99%), the contract tolerates 0.50%",
        ),
        ({"maxRejectedShare": 1, "minRows": 3001}, "3000 rows are clean, the contract wants 3001"),
    ],
)
def test_beyond_the_tolerance_the_file_is_refused_and_the_report_says_why(
    tmp_path: Path, tolerance: dict[str, float], message: str
) -> None:
    with pytest.raises(DataRefused) as caught:
        run(tmp_path, ROWS, contract_of(*CONTRACT["fields"], spotline={"tolerance": tolerance}))

    assert message in str(caught.value)
    report = json.loads((tmp_path / "output" / "quality.json").read_bytes())
    assert report["verdict"]["accepted"] is False
    assert message in report["verdict"]["reason"]
    assert not (tmp_path / "output" / "manifest.json").exists()


def command(tmp_path: Path, data: bytes, contract: bytes | None = None) -> list[str]:
    (tmp_path / "x.csv").write_bytes(data)
    (tmp_path / "c.json").write_bytes(
        json.dumps(CONTRACT | {"spotline": {"tolerance": {"maxRejectedShare": 0.1}}}).encode()
    )
    if contract is not None:
        (tmp_path / "c.json").write_bytes(contract)
    return [
        "--input",
        str(tmp_path / "x.csv"),
        "--contract",
        str(tmp_path / "c.json"),
        "--output",
        str(tmp_path / "out"),
    ]


@pytest.mark.parametrize(
    ("data", "contract", "code", "message"),
    [
        (b"", None, 65, "x.csv: empty"),
        (b"a,b\n", None, 65, "line 1: the header lacks 2 columns"),
        (b"n,s\n", None, 65, "holds a header and no rows"),
        (b"n,s\n1,2\n", b"{", 78, "contract: not JSON"),
        (
            b"n,s\n1,2\n",
            b'{"fields": [{"name": "n", "type": "int"}]}',
            78,
            "contract: fields[0] 'n'.type: 'int' is unknown",
        ),
    ],
)
def test_every_refusal_is_one_line_and_its_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], data: bytes, contract: bytes | None, code: int, message: str
) -> None:
    assert main(command(tmp_path, data, contract)) == code

    told = capfd.readouterr().err.strip()
    assert message in told
    assert "\n" not in told


@pytest.mark.parametrize("option", ["--input", "--contract"])
def test_a_file_that_is_not_there_is_a_bad_configuration(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    arguments = command(tmp_path, ROWS)
    arguments[arguments.index(option) + 1] = str(tmp_path / "nowhere")

    assert main(arguments) == 78
    assert "nowhere: No such file or directory" in capfd.readouterr().err


def test_a_full_disk_is_told_and_leaves_no_manifest(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = command(tmp_path, ROWS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "contract.json").symlink_to("/dev/full")

    assert main(arguments) == 78
    assert "no room left on the disk; make room" in capfd.readouterr().err
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("output", ["x.csv", "x.csv/deeper", "shards"])
def test_an_output_that_cannot_be_written_is_a_bad_configuration(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], output: str
) -> None:
    arguments = command(tmp_path, ROWS)
    arguments[-1] = str(tmp_path / output)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "clean").touch()

    assert main(arguments) == 78
    assert "give --output" in capfd.readouterr().err
    assert (tmp_path / "x.csv").read_bytes() == ROWS


def test_a_folder_for_keys_that_cannot_be_written_is_a_bad_configuration(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = {"fields": [{"name": "n", "constraints": {"unique": True}}, {"name": "s"}]}
    with monkeypatch.context() as without:
        without.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
        assert main(command(tmp_path, ROWS, json.dumps(contract).encode())) == 78

    assert "name another folder in TMPDIR" in capfd.readouterr().err


@pytest.mark.parametrize("second", [b"n,s\n9,9\n", b"n,s\nx,1\n"], ids=["accepted", "refused"])
def test_a_new_run_leaves_nothing_of_the_one_before(tmp_path: Path, second: bytes) -> None:
    first = [*command(tmp_path, ROWS), "--block-mb", "0.005", "--cleaned-csv"]
    assert main(first) == 0
    assert len(list((tmp_path / "out" / "clean").iterdir())) > 3
    main(command(tmp_path, second))
    after = files(tmp_path / "out")
    (tmp_path / "fresh").mkdir()

    main([*command(tmp_path, second)[:-1], str(tmp_path / "fresh")])

    assert after == files(tmp_path / "fresh")


def test_what_no_run_has_written_is_not_taken_away(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path, ROWS)) == 0
    (tmp_path / "out" / "clean" / "mine.parquet").write_bytes(b"mine")
    before = files(tmp_path / "out")

    assert main(command(tmp_path, ROWS)) == 78
    assert "mine.parquet is not of an earlier run; move it" in capfd.readouterr().err
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize(
    "name", ["manifest.json", "quality.json", "cleaned.csv", "clean/shard-0000.parquet", "rejected/part-0000.parquet"]
)
@pytest.mark.parametrize("link", ["the file itself", "symlink_to", "hardlink_to"])
@pytest.mark.parametrize("option", ["--input", "--contract"])
def test_an_input_is_never_an_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, link: str, option: str
) -> None:
    arguments = command(tmp_path, ROWS)
    at = arguments.index(option) + 1
    given, body = Path(arguments[at]), Path(arguments[at]).read_bytes()
    target = tmp_path / "out" / name
    target.parent.mkdir(parents=True)
    if link == "the file itself":
        given.rename(target)
        arguments[at] = str(target)
    else:
        getattr(target, link)(given)

    assert main(arguments) == 78
    assert "is a file that the run would write; give --output another folder" in capfd.readouterr().err
    assert target.read_bytes() == body


def test_an_input_that_is_called_like_the_kept_contract_is_not_written_over(tmp_path: Path) -> None:
    arguments = command(tmp_path, ROWS)
    (tmp_path / "out").mkdir()
    arguments[arguments.index("--input") + 1] = str((tmp_path / "x.csv").rename(tmp_path / "out" / "contract.json"))

    assert main(arguments) == 78
    assert (tmp_path / "out" / "contract.json").read_bytes() == ROWS


def test_the_contract_that_a_run_kept_may_be_given_again(tmp_path: Path) -> None:
    arguments = command(tmp_path, ROWS)
    assert main(arguments) == 0
    arguments[arguments.index("--contract") + 1] = str(tmp_path / "out" / "contract.json")

    assert main(arguments) == 0


def test_a_new_run_takes_the_old_manifest_away_first(tmp_path: Path) -> None:
    assert main(command(tmp_path, ROWS)) == 0
    assert main(command(tmp_path, b"n,s\nx,1\n")) == 65

    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("shards_there", [0, 1, 20])
def test_killed_at_any_moment_a_run_leaves_no_manifest_and_the_next_succeeds(tmp_path: Path, shards_there: int) -> None:
    arguments = command(tmp_path, b"n,s\n" + b"".join(f"{index},w\n".encode() for index in range(200_000)))
    clean = tmp_path / "out" / "clean"
    clean.mkdir(parents=True)
    deadline = time.monotonic() + 120
    with subprocess.Popen([sys.executable, "-m", "preprocess", *arguments, "--block-mb", "0.01"]) as process:
        while not (tmp_path / "out" / "contract.json").exists():  # what an earlier run left is taken away by then
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.mkfifo(clean / "shard-0060.parquet")  # which nobody reads: the run cannot end before it is killed
        while process.poll() is None and len(list(clean.glob("*.parquet"))) < shards_there + 1:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()

    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / "manifest.json").exists()

    assert main(arguments) == 0
    manifest = CleanManifest.from_json((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest.rows_clean == 200_000


BAD = [f"x{index},bad\n" for index in range(2000)]
FINE = [f"{index},fine\n" for index in range(2000)]


@pytest.mark.parametrize(
    ("rows", "tolerance", "read"),
    [
        (BAD + FINE, 0.0, 200),  # one is too many: ended as soon as enough is seen
        (BAD, 0.5, None),  # hopeless where the rest, all of it as short as can be, could not help
        (BAD + FINE, 0.5, 4000),  # just within the tolerance, to be read to its end
        (BAD, 1.0, 2000),
    ],
)
def test_a_hopeless_file_is_not_read_to_its_end_and_what_was_read_is_counted_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[str], tolerance: float, read: int | None
) -> None:
    monkeypatch.setattr(quality, "EXPLAINED", 100)
    contract = contract_of(*CONTRACT["fields"], spotline={"tolerance": {"maxRejectedShare": tolerance, "minRows": 0}})
    data = b"n,s\n" + "".join(rows).encode()
    with suppress(DataRefused):
        run(tmp_path, data, contract, block_bytes=1000)
    report = json.loads((tmp_path / "output" / "quality.json").read_bytes())

    lines = data.splitlines(keepends=True)[1 : 1 + report["rows_read"]]
    assert report["rows_rejected"] == sum(line.startswith(b"x") for line in lines)
    assert report["bytes"] == len(b"n,s\n") + sum(map(len, lines))
    assert report["lines"] == 1 + len(lines)
    complete = report["rows_read"] == len(rows)
    assert report["complete"] is complete
    assert ("no rest could change that" in str(report["verdict"]["reason"])) is not complete
    if read is None:
        # The most that the rest might hold is a row for every two bytes.
        left = (len(data) - report["bytes"]) / 2
        assert report["rows_rejected"] > tolerance * (report["rows_read"] + left)
        assert not complete
    elif complete:
        assert report["rows_read"] == read
    else:
        assert report["rows_read"] < 2 * read


def test_a_compressed_file_is_hopeless_only_where_its_length_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "EXPLAINED", 100)
    noise = random.Random(1)
    rows = [f"x{noise.random()},bad\n" for _ in range(200_000)]
    data = gzip.compress(b"n,s\n" + "".join(rows).encode())
    for name, tolerance in (("none", 0.0), ("some", 0.5)):
        contract = contract_of(*CONTRACT["fields"], spotline={"tolerance": {"maxRejectedShare": tolerance}})
        (tmp_path / name).mkdir()
        with pytest.raises(DataRefused):
            run(tmp_path / name, data, contract, block_bytes=1000 if name == "none" else 1 << 20, name="x.csv.gz")
        report = json.loads((tmp_path / name / "output" / "quality.json").read_bytes())
        assert report["complete"] is (name == "some")
        assert (report["rows_read"] == len(rows)) is (name == "some")
