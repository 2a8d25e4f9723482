"""Writes what a soak found into docs/soak.md, its own section and no other."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.twin.matrix_failures import FAILURES, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.twin.matrix_failures import Outcome

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "soak.md"
HEADING = "## Every failure in every stage"
TITLE = "# Soak\n\nWhat `make soak` measured last; each section is written by its own test.\n"


def write_matrix(outcomes: Sequence[Outcome], document: Path = DOCUMENT) -> None:
    """Put the matrix into the document, in the place of the one before."""
    text = document.read_text(encoding="utf-8") if document.exists() else TITLE
    others = re.sub(rf"{re.escape(HEADING)}\n.*?(?=\n## |\Z)", "", text, flags=re.DOTALL).rstrip()
    document.write_text(f"{others}\n\n{matrix(outcomes, commit(), datetime.now(UTC))}", encoding="utf-8")


def commit() -> str:
    """The commit that was measured, with a mark when the files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return described.stdout.strip()


def matrix(outcomes: Sequence[Outcome], measured: str, when: datetime) -> str:
    """The section as Markdown: a row a failure, a column a stage, seconds in brackets."""
    cells = {(outcome.failure, outcome.stage): f"{outcome.words} ({outcome.seconds:.0f} s)" for outcome in outcomes}
    rows = [["failure", *(stage.title for stage in Stage)], ["---"] * (len(Stage) + 1)]
    rows += [[failure, *(cells[failure, stage] for stage in Stage)] for failure in FAILURES]
    total = sum(outcome.seconds for outcome in outcomes)
    about = (
        f"Commit {measured}, {when:%Y-%m-%d %H:%M} UTC, {total:.0f} s in all. No seed: each failure happens at a fixed moment, a "
        "gang's at its first checkpoint. *Redriven* runs end SUCCEEDED without repeating a finished Task, and a gang goes on from its "
        "checkpoint; seconds are of this machine, with a minute of AWS's waiting in one."
    )
    return "\n\n".join([HEADING, about, "\n".join(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
