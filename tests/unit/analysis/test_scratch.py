"""However a gang ends, its members take their scratch files with them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from analysis.conformance import data
from spotline.exits import ExitCode
from tests.unit.analysis.gangs import SABOTAGE, Gang, environment, gang

if TYPE_CHECKING:
    from pathlib import Path

SLOW: dict[str, Any] = {"pythonpath": SABOTAGE, "sabotage": "0:12:slow", "sabotage_seconds": "4"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    data.write_clean_data(tmp_path / "in", data.build_table(4000), data.build_contract(rounds=40, segment=10))
    return tmp_path / "in"


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "scratch").iterdir())


def test_a_gang_that_is_done_leaves_no_scratch_files(source: Path, tmp_path: Path) -> None:
    with gang(source, tmp_path / "out", tmpdir=str(tmp_path / "scratch")) as members:
        members.wait_for("formed")
        assert len(left(tmp_path)) == 2, "each member has a folder while it works"
        assert members.codes() == [0, 0], members.lines
    assert left(tmp_path) == []


def test_a_gang_that_gets_sigterm_leaves_none(source: Path, tmp_path: Path) -> None:
    with gang(source, tmp_path / "out", tmpdir=str(tmp_path / "scratch"), **SLOW) as members:
        members.wait_for("checkpoint", round=10)
        members.members[1].send_signal(signal.SIGTERM)
        assert members.codes() == [ExitCode.TRY_AGAIN] * 2, members.lines
    assert left(tmp_path) == []


def test_a_gang_that_loses_a_worker_leaves_none(source: Path, tmp_path: Path) -> None:
    with gang(source, tmp_path / "out", tmpdir=str(tmp_path / "scratch"), **SLOW) as members:
        members.wait_for("checkpoint", round=10)
        members.worker(1).kill()
        assert members.codes() == [ExitCode.TRY_AGAIN] * 2, members.lines
    assert left(tmp_path) == []


@pytest.mark.parametrize(("broken", "code"), [(False, ExitCode.GANG_NOT_FORMED), (True, ExitCode.BAD_CONFIGURATION)])
def test_a_member_that_waits_in_vain_or_is_misconfigured_leaves_none(
    source: Path, tmp_path: Path, broken: bool, code: ExitCode
) -> None:
    if broken:
        (source / "manifest.json").unlink()
    alone = environment(source, tmp_path / "out", 0, 2, 1, None)
    members = Gang([alone | {"TMPDIR": str(tmp_path / "scratch"), "GANG_FORMING_SECONDS": "3"}])
    try:
        assert members.codes() == [code], members.lines
    finally:
        members.end()
    assert left(tmp_path) == []
