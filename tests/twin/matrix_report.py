"""The section of docs/soak.md that shows every failure in every stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.soak.document import DOCUMENT, table, write_section
from tests.twin.matrix_failures import FAILURES, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.twin.matrix_failures import Outcome

HEADING = "Every failure in every stage"


def write_matrix(outcomes: Sequence[Outcome], document: Path = DOCUMENT) -> None:
    """Put the matrix into the document, in the place of the one before."""
    write_section(HEADING, matrix(outcomes), document)


def matrix(outcomes: Sequence[Outcome]) -> str:
    """The section as Markdown: a row a failure, a column a stage, seconds in brackets."""
    cells = {(outcome.failure, outcome.stage): f"{outcome.words} ({outcome.seconds:.0f} s)" for outcome in outcomes}
    rows = [[failure, *(cells[failure, stage] for stage in Stage)] for failure in FAILURES]
    total = sum(outcome.seconds for outcome in outcomes)
    about = (
        f"{total:.0f} s in all. No seed: each failure happens at a fixed moment, a gang's at its first checkpoint. *Redriven* runs end "
        "SUCCEEDED without repeating a finished Task, and a gang goes on from its checkpoint; seconds are of this machine, with a minute "
        "of AWS's waiting in one."
    )
    return f"{about}\n\n{table(['failure', *(stage.title for stage in Stage)], rows)}"
