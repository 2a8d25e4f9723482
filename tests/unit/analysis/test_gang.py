"""Gangs of real processes on this machine: what they leave, what ends them, and that they resume bit for bit."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.parquet as pq
import pytest

from analysis.conformance import data as cleaned
from analysis.membership import Rendezvous, announce_leader
from spotline.exits import ExitCode
from spotline.layout import notice_key
from spotline.manifests import AnalysisManifest
from spotline.objects import LocalObjects
from tests.unit.analysis.gangs import SABOTAGE, Gang, digests, gang, stop

if TYPE_CHECKING:
    from pathlib import Path

TRY_AGAIN = int(ExitCode.TRY_AGAIN)
ROUNDS, SEGMENT = 60, 10


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough work that a gang can be caught in the middle of it."""
    folder = tmp_path_factory.mktemp("source") / "clean-data"
    contract = cleaned.build_contract(rounds=ROUNDS, segment=SEGMENT, parameters={"subsample": 0.8, "max_depth": 4})
    cleaned.write_clean_data(folder, cleaned.build_table(6000), contract)
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a gang of two leaves that nothing happened to."""
    output = tmp_path_factory.mktemp("undisturbed")
    with gang(source, output) as quiet:
        assert quiet.codes() == [0, 0], quiet.lines
    return output


def finish(source: Path, output: Path, generation: int = 2, members: int = 2) -> Gang:
    """Run the next gang to its end."""
    with gang(source, output, members, generation=generation) as next_one:
        assert next_one.codes() == [0] * members, next_one.lines
    return next_one


def slowly(**variables: str) -> dict[str, Any]:
    """Have member 0 compute at round 15, so that the gang is surely caught between two checkpoints.

    It goes on for longer than any test: a gang that loses a member does not wait for it. A test that lets the gang finish sets a shorter time.
    """
    return {"pythonpath": SABOTAGE, "sabotage": "0:15:slow", "sabotage_seconds": "600", **variables}


def test_a_gang_leaves_parts_a_model_and_last_a_manifest(source: Path, undisturbed: Path) -> None:
    manifest = AnalysisManifest.from_json((undisturbed / "manifest.json").read_bytes())
    assert (manifest.members, manifest.rounds, manifest.resumed_from, manifest.generation) == (2, ROUNDS, None, 1)
    assert [part.rows for part in manifest.parts] == [3000, 3000]
    rows = [row for part in manifest.parts for row in pq.read_table(undisturbed / part.rows_path).to_pylist()]
    assert [row["key"]["id"] for row in rows] == [f"r{number:06d}" for number in range(6000)]
    assert {row["split"] for row in rows} == {"train", "validation", "unlabelled"}
    for row in rows:
        assert (row["actual"] is None) == (row["split"] == "unlabelled")
        if row["actual"] is not None:
            assert row["residual"] == pytest.approx(row["actual"] - row["prediction"])
    assert manifest.details["history"][-1][0] == ROUNDS
    assert manifest.details["history"][-1][2] < 3, "the model has learnt something"


def test_sums_and_surprises_of_a_part_follow_from_its_rows(undisturbed: Path) -> None:
    for part in AnalysisManifest.from_json((undisturbed / "manifest.json").read_bytes()).parts:
        rows = pq.read_table(undisturbed / part.rows_path).to_pylist()
        sums = json.loads((undisturbed / part.sums_path).read_bytes())
        for split in ("train", "validation"):
            residuals = [row["residual"] for row in rows if row["split"] == split]
            assert sums["sums"][split]["rows"] == len(residuals)
            assert sums["sums"][split]["squared_error"] == pytest.approx(sum(value**2 for value in residuals))
        worst = sorted((row for row in rows if row["residual"] is not None), key=lambda row: -abs(row["residual"]))
        assert [where(row) for row in sums["surprising"]] == [where(row) for row in worst[:20]]
        assert [where(row) for row in rows if row["reasons"]] == sorted(where(row) for row in sums["surprising"])
        assert set(sums["surprising"][0]["reasons"][0]) == {"feature", "value", "contribution"}


def test_a_second_run_gives_the_same_bytes(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    finish(source, tmp_path)
    assert digests(tmp_path) == digests(undisturbed)


@pytest.mark.parametrize(
    ("kind", "victim"), [("worker killed", 1), ("member killed", 0), ("worker frozen", 1), ("worker stuck", 0)]
)
def test_a_lost_member_ends_the_gang_and_the_next_one_resumes_bit_for_bit(
    source: Path, undisturbed: Path, tmp_path: Path, kind: str, victim: int
) -> None:
    # Given a gang that is in its second segment
    variables = slowly(sabotage=f"{victim}:15:stick") if kind == "worker stuck" else slowly()
    with gang(source, tmp_path, **variables) as doomed:
        doomed.wait_for("checkpoint", round=SEGMENT)

        # When a member is lost
        if kind == "worker killed":
            doomed.worker(victim).kill()
        elif kind == "member killed":
            doomed.members[victim].kill()
        elif kind == "worker frozen":
            stop(doomed.worker(victim))
        codes = doomed.codes()

    # Then everybody who can leaves with 75, having lost at most one segment, and the next gang makes up for it
    assert codes == [-9 if kind == "member killed" and index == victim else TRY_AGAIN for index in range(2)], (
        doomed.lines
    )
    for line in doomed.of("leaving"):
        assert line["round"] - SEGMENT <= SEGMENT, line
    assert not (tmp_path / "manifest.json").exists()
    resumed = finish(source, tmp_path)
    assert resumed.of("resumed")[0]["round"] >= SEGMENT
    assert digests(tmp_path) == digests(undisturbed)


def test_a_frozen_member_is_missed_by_the_others(source: Path, tmp_path: Path) -> None:
    with gang(source, tmp_path, **slowly()) as doomed:
        doomed.wait_for("checkpoint", round=SEGMENT)
        stop(doomed.members[1])
        stop(doomed.worker(1))
        assert doomed.codes(without=1) == [TRY_AGAIN]
        (line,) = doomed.of("leaving")
        assert "member 1 was lost: no heartbeat for" in line["reason"]


@pytest.mark.parametrize("moment", ["15", "loading"])
def test_a_slow_but_healthy_member_is_waited_for(source: Path, undisturbed: Path, tmp_path: Path, moment: str) -> None:
    """Slow for twice the time that these shorter limits allow, as a minute is at the defaults."""
    variables = slowly(sabotage=f"1:{moment}:slow", sabotage_seconds="12", gang_loading_seconds="6")
    with gang(source, tmp_path, **variables) as slow:
        assert slow.codes() == [0, 0], slow.lines
    assert digests(tmp_path) == digests(undisturbed)


def test_three_interruptions_change_nothing(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    reached = []
    for generation, at in enumerate((SEGMENT, 2 * SEGMENT, 4 * SEGMENT), 1):
        with gang(source, tmp_path, generation=generation, **slowly(sabotage=f"0:{at + 5}:slow")) as doomed:
            doomed.wait_for("checkpoint", round=at)
            doomed.worker(generation % 2).kill()
            assert doomed.codes() == [TRY_AGAIN, TRY_AGAIN]
        reached += [line["round"] for line in doomed.of("resumed")]
    last = finish(source, tmp_path, generation=4)
    assert reached == [SEGMENT, 2 * SEGMENT]
    assert last.of("resumed")[0]["round"] == 4 * SEGMENT
    assert digests(tmp_path) == digests(undisturbed)


def test_a_damaged_checkpoint_costs_its_segment_and_nothing_else(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with gang(source, tmp_path, **slowly(sabotage=f"0:{2 * SEGMENT + 5}:slow")) as doomed:
        doomed.wait_for("checkpoint", round=2 * SEGMENT)
        doomed.worker(1).kill()
        assert doomed.codes() == [TRY_AGAIN, TRY_AGAIN]
    (newest,) = (tmp_path / "checkpoints").glob(f"round-{2 * SEGMENT:06d}-*")
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")

    resumed = finish(source, tmp_path)

    assert newest.name in resumed.of("checkpoint unusable")[0]["reason"]
    assert resumed.of("resumed")[0]["round"] == SEGMENT
    assert digests(tmp_path) == digests(undisturbed)


@pytest.mark.parametrize("victim", [1])
def test_a_member_that_gets_sigterm_saves_the_segment_and_writes_it_down(
    source: Path, undisturbed: Path, tmp_path: Path, victim: int
) -> None:
    with gang(source, tmp_path, **slowly(sabotage_seconds="5"), sigterm_leave_seconds="80") as stopped:
        stopped.wait_for("checkpoint", round=SEGMENT)
        stopped.members[victim].terminate()
        assert stopped.codes() == [TRY_AGAIN, TRY_AGAIN], stopped.lines

    assert stopped.of("checkpoint")[-1]["round"] == 2 * SEGMENT
    notice = json.loads(LocalObjects(tmp_path).read(notice_key("job-1", victim)).body)
    assert (notice["member"], notice["generation"], notice["kind"]) == (victim, 1, "sigterm")
    assert finish(source, tmp_path).of("resumed")[0]["round"] == 2 * SEGMENT
    assert digests(tmp_path) == digests(undisturbed)


def test_a_gang_that_is_awake_again_after_a_newer_one_writes_nothing(source: Path, tmp_path: Path) -> None:
    # Given a gang that froze as a whole, and a newer one that published
    with gang(
        source, tmp_path, **slowly(sabotage_seconds="5", gang_silence_seconds="600", gang_stuck_seconds="600")
    ) as frozen:
        frozen.wait_for("checkpoint", round=SEGMENT)
        everybody = [process for member in frozen.members for process in [member, *member.children()]]
        for process in everybody:
            stop(process)
        finish(source, tmp_path, generation=2)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

        # When it wakes up
        for process in everybody:
            process.resume()

        # Then it leaves, and nothing is changed
        assert frozen.codes() == [TRY_AGAIN, TRY_AGAIN], frozen.lines
    assert "fenced off" in frozen.of("leaving")[0]["reason"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_gang_that_does_not_form_gives_up(source: Path, tmp_path: Path) -> None:
    """Whether member 1 comes in time on a busy machine is open, so what the leader reports of it is, too."""
    with gang(source, tmp_path, 3, gang_forming_seconds="5") as incomplete:
        incomplete.members[2].kill()
        assert incomplete.codes()[:2] == [ExitCode.GANG_NOT_FORMED] * 2, incomplete.lines
    (reason,) = [line["reason"] for line in incomplete.of("leaving") if line["member"] == 0]
    assert re.match(r"the gang did not form within 5 s: missing members (1, )?2\b", reason)


def test_members_that_come_long_after_the_leader_still_join(source: Path, tmp_path: Path) -> None:
    with gang(source, tmp_path) as late:
        stop(late.members[1])
        with pytest.raises(AssertionError):
            late.wait_for("formed", seconds=3)
        late.members[1].resume()
        assert late.codes() == [0, 0], late.lines


def test_the_record_of_a_leader_before_this_one_is_given_up_for_the_new_one(source: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        announce_leader(LocalObjects(tmp_path), Rendezvous("job-1", 1, "127.0.0.1", taken.getsockname()[1]))
        with gang(source, tmp_path) as late:
            assert late.codes() == [0, 0], late.lines


def test_nothing_is_left_running_when_a_supervisor_dies(source: Path, tmp_path: Path) -> None:
    with gang(source, tmp_path, **slowly()) as doomed:
        doomed.wait_for("checkpoint", round=SEGMENT)
        orphans = doomed.members[0].children()
        doomed.members[0].kill()
        doomed.codes()
        assert psutil.wait_procs(orphans, timeout=60)[1] == []


def where(row: dict[str, Any]) -> tuple[int, int]:
    """A row's identity."""
    return row["shard"], row["row"]
