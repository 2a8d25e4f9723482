"""A job that is told to stop takes its scratch files with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 400_000
CONTRACT = {
    "fields": [{"name": "id", "type": "integer"}, {"name": "text"}],
    "primaryKey": ["id"],
    "spotline": {"tolerance": {"maxRejectedShare": 0}},
}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Preprocess, on a file whose keys are set aside on disk."""
    (tmp_path / "contract.json").write_text(json.dumps(CONTRACT))
    with (tmp_path / "in.csv").open("w") as file:
        file.write("id,text\n")
        file.writelines(f"{number},{number:0100}\n" for number in range(ROWS))
    (tmp_path / "scratch").mkdir()
    arguments = {"--input": "in.csv", "--contract": "contract.json", "--output": "out"}
    return [
        *(sys.executable, "-m", "preprocess", "--block-mb", "0.25", "--workers", "1"),
        *(word for name, path in arguments.items() for word in (name, str(tmp_path / path))),
    ]


def start(command: list[str], tmp_path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path / "scratch")}, stderr=subprocess.PIPE)


def test_sigterm_ends_preprocess_and_its_scratch_files(command: list[str], tmp_path: Path) -> None:
    # Given a preprocess that has its scratch folder
    process = start(command, tmp_path)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "scratch").iterdir()):
        assert process.poll() is None, "it was done before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    # When it is told to stop, as Batch tells a job that somebody terminates
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    # Then it leaves as one that SIGTERM ended, with nothing left and nothing that looks finished
    assert process.returncode == 128 + signal.SIGTERM
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not (tmp_path / "out/manifest.json").exists()


def test_a_preprocess_that_refuses_the_file_leaves_no_scratch_files(command: list[str], tmp_path: Path) -> None:
    with (tmp_path / "in.csv").open("a") as file:
        file.write("1,again\n")
    process = start(command, tmp_path)
    process.communicate(timeout=100)
    assert process.returncode == 65
    assert list((tmp_path / "scratch").iterdir()) == []
