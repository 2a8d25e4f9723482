"""`python -m analysis` by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from analysis.conformance import data
from spotline.exits import ExitCode
from spotline.manifests import AnalysisManifest
from tests.unit.analysis.gangs import digests, gang

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "analysis", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    data.write_clean_data(tmp_path / "in", data.build_table(300), data.build_contract(rounds=4, segment=2))
    return tmp_path / "in"


def test_a_gang_runs_from_the_command_line_and_again(source: Path, tmp_path: Path) -> None:
    for generation in (1, 2):
        done = run("--input", str(source), "--output", str(tmp_path / "out"), "--members", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        manifest = AnalysisManifest.from_json((tmp_path / "out/manifest.json").read_bytes())
        assert (manifest.members, manifest.generation) == (2, generation)
    assert not list((tmp_path / "out/rendezvous").glob("*.json"))


def test_one_member_is_a_gang_too(source: Path, tmp_path: Path) -> None:
    done = run("--input", str(source), "--output", str(tmp_path / "out"), "--members", "1")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "AWS_BATCH_JOB_ID is not set"),
        (("--input", "nowhere", "--output", "out"), "nowhere/manifest.json is missing: --input is the folder"),
        (("--input", "nowhere", "--output", "out", "--members", "0"), "a gang has at least one member"),
        (("conformance",), "conformance needs the command of a member"),
    ],
)
def test_one_line_names_what_is_missing(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == ExitCode.BAD_CONFIGURATION
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_member_may_have_several_workers(source: Path, tmp_path: Path) -> None:
    """As on a host with several GPUs; the rows and the model are those of as many members with one each."""
    with gang(source, tmp_path / "two by two", 2, workers_per_member="2") as several:
        assert several.codes() == [0, 0], several.lines
    with gang(source, tmp_path / "four", 4) as single:
        assert single.codes() == [0] * 4, single.lines
    assert digests(tmp_path / "two by two") == digests(tmp_path / "four")
