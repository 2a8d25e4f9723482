"""The conformance check passes what follows docs/extend.md, and catches what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from analysis.conformance.checks import (
    CHECKS,
    Check,
    NotChecked,
    a_gang_that_does_not_form_gives_up,
    a_notice_is_written_down,
    a_spot_notice_is_written_down,
    every_row_is_scored_once,
    more_members_than_rows_are_no_harm,
    without_a_clean_manifest_nothing_is_analysed,
)

EXAMPLE = (sys.executable, str(Path(__file__).parents[3] / "examples/least_squares/least_squares.py"))
BUILT_IN = (sys.executable, "-m", "analysis")
QUICK = (
    every_row_is_scored_once,
    more_members_than_rows_are_no_harm,
    a_spot_notice_is_written_down,
    without_a_clean_manifest_nothing_is_analysed,
)


@pytest.mark.parametrize("check", QUICK, ids=lambda check: check.__name__)
def test_the_example_conforms(check: Check, tmp_path: Path) -> None:
    assert check(EXAMPLE, tmp_path) is None


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", [EXAMPLE, BUILT_IN], ids=["example", "built-in"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_both_analyses_conform_in_everything(check: Check, command: tuple[str, ...], tmp_path: Path) -> None:
    try:
        wrong = check(command, tmp_path)
    except NotChecked as reason:
        pytest.skip(str(reason))
    assert wrong is None


@pytest.mark.parametrize(
    ("program", "check", "message"),
    [
        ("pass", every_row_is_scored_once, "there is no manifest"),
        ("raise SystemExit(1)", every_row_is_scored_once, "exit codes by member are {0: 1, 1: 1}, not 0"),
        ("raise SystemExit(75)", without_a_clean_manifest_nothing_is_analysed, "not 78"),
        ("raise SystemExit(75)", a_gang_that_does_not_form_gives_up, "not 76"),
        ("raise SystemExit(75)", a_spot_notice_is_written_down, "was not written"),
    ],
)
def test_a_program_that_breaks_the_contract_gets_the_reason(
    program: str, check: Check, message: str, tmp_path: Path
) -> None:
    assert message in str(check((sys.executable, "-c", program), tmp_path))


def test_rows_scored_twice_are_found(tmp_path: Path) -> None:
    """Both members claim to be the only one, so each scores everything."""
    alone = (
        "import os, runpy; os.environ['AWS_BATCH_JOB_ARRAY_SIZE'] = '1'; os.environ['AWS_BATCH_JOB_ARRAY_INDEX'] = '0';"
    )
    program = f"{alone} runpy.run_path({EXAMPLE[1]!r}, run_name='__main__')"
    assert every_row_is_scored_once((sys.executable, "-c", program), tmp_path) is not None


def test_what_cannot_be_checked_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotChecked, match="never written"):
        a_notice_is_written_down((sys.executable, "-c", "pass"), tmp_path)
