"""`spotline demo` as a user runs it: the main job, end to end, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.demo import proportional_bytes

ROOT = Path(__file__).resolve().parents[2]
SPOTLINE = Path(sys.executable).with_name("spotline")
CONTRACT = ROOT / "contracts" / "flights.json"
SAMPLE = ROOT / "samples" / "data" / "flights" / "20130209" / "flights.csv"

pytestmark = [pytest.mark.ours, pytest.mark.timeout(300)]


def spotline(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SPOTLINE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


@cache
def demo(*arguments: str) -> tuple[int, dict[str, Any]]:
    finished = spotline("demo", "--json", *arguments)
    lines = finished.stdout.splitlines()
    assert lines, finished.stderr
    return finished.returncode, json.loads(lines[-1])


THE_WAY = [
    "Find the newest version",
    "Is this version the newest?",
    "Which queues may it use?",
    "Take the day's queues",
    "Preprocess",
    "Read what was cleaned",
    "Is there anything to analyse?",
    "Find the newest version again",
    "Is it worth a gang?",
    "Which market may it use?",
    "Analyse on Spot",
]


def test_a_day_goes_the_whole_way() -> None:
    code, told = demo()
    assert (code, told["status"]) == (0, "SUCCEEDED")
    assert told["states"] == [*THE_WAY, "Postprocess", "Notify", "Done"]
    with SAMPLE.open() as file:
        assert told["rows_read"] == sum(1 for _ in file) - 1
    assert told["rows_read"] == told["rows_clean"] + told["rows_rejected"]
    assert (told["markets"], told["reclaims"], told["resumed_from_round"]) == (["SPOT"], 0, None)
    assert told["dynamodb_item"]["pk"] == "DAY#flights#20130209"
    assert len(told["slack_messages"]) == 1
    assert "20130209" in told["slack_messages"][0]
    assert told["seconds"] <= 30


def test_a_reclaimed_gang_resumes_from_its_checkpoint() -> None:
    code, told = demo("--reclaims", "1")
    assert (code, told["status"], told["reclaims"]) == (0, "SUCCEEDED", 1)
    assert told["markets"] == ["SPOT", "SPOT"]
    assert told["resumed_from_round"] > 0


def test_the_third_reclaim_makes_the_run_fall_back_to_on_demand() -> None:
    code, told = demo("--reclaims", "3")
    assert (code, told["status"], told["reclaims"]) == (0, "SUCCEEDED", 3)
    assert told["markets"] == ["SPOT", "SPOT", "SPOT", "ON_DEMAND"]
    assert told["states"] == [*THE_WAY, "Analyse on On-Demand", "Postprocess", "Notify", "Done"]


@pytest.mark.parametrize("reclaims", ["1", "3"])
def test_reclaims_change_no_metric(reclaims: str) -> None:
    _, undisturbed = demo()
    _, disturbed = demo("--reclaims", reclaims)
    assert disturbed["metrics"]["model"] == undisturbed["metrics"]["model"]
    assert disturbed["metrics"]["quality"] == undisturbed["metrics"]["quality"]


BAD_FILES = {
    "a file that is no CSV": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "Data.Rejected"),
    "an empty file": (b"", "Data.Rejected"),
    "a header without rows": (SAMPLE.read_bytes().split(b"\n", 1)[0] + b"\n", "Data.Rejected"),
    "a wrong header": (b"a,b,c\n1,2,3\n", "Data.Rejected"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_ends_in_a_named_and_explained_outcome(kind: str, tmp_path: Path) -> None:
    body, error = BAD_FILES[kind]
    file = tmp_path / "bad.csv"
    file.write_bytes(body)
    code, told = demo("--input", str(file), "--contract", str(CONTRACT), "--day", "20130209")
    assert (code, told["status"]) == (1, "FAILED")
    assert told["states"][-1] == "Preprocess"
    [message] = told["slack_messages"]
    assert error in message
    assert "bad.csv" in message


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--day", "20130212"), "there is no sample for day '20130212'; the samples are: 20130101"),
        (("--input", "nowhere.csv", "--contract", "contracts/flights.json"), "there is no file nowhere.csv"),
        (("--input", "nowhere.csv"), "--input and --contract go together"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(arguments: tuple[str, ...], complaint: str) -> None:
    finished = spotline("demo", *arguments)
    assert finished.returncode != 0
    assert complaint in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert finished.stdout == ""


def test_all_processes_together_stay_within_2_gb() -> None:
    # Given a demo under way
    process = subprocess.Popen(
        [SPOTLINE, "demo", "--json"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    most = 0
    while process.poll() is None:
        most = max(most, proportional_bytes(process.pid))
        time.sleep(0.2)
    # Then its processes never had more than 2 GB among them; a page that several share counts once
    assert process.returncode == 0
    assert 0 < most <= 2_000_000_000
