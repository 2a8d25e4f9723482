"""The soak's table: complete, and written without touching what other soaks wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.twin.matrix_failures import FAILURES, Outcome, Stage
from tests.twin.matrix_report import HEADING, write_matrix

if TYPE_CHECKING:
    from pathlib import Path

OUTCOMES = [Outcome(failure, stage, f"{stage.name} mends it", 2.0) for failure in FAILURES for stage in Stage]


def test_the_table_has_a_row_a_failure_and_a_column_a_stage(tmp_path: Path) -> None:
    write_matrix(OUTCOMES, tmp_path / "soak.md")

    rows = [line for line in (tmp_path / "soak.md").read_text().splitlines() if line.startswith("|")]
    assert rows[0] == "| failure | Preprocess | Spot gang | On-Demand gang | Postprocess |"
    assert len(rows) == 2 + len(FAILURES)
    assert all(row.count("mends it (2 s)") == len(Stage) for row in rows[2:])


def test_a_new_table_takes_the_place_of_the_old_one_only(tmp_path: Path) -> None:
    document = tmp_path / "soak.md"
    document.write_text(f"# Soak\n\n## Before\n\nfirst\n\n{HEADING}\n\nold\n\n## After\n\nlast\n")

    write_matrix(OUTCOMES, document)
    write_matrix(OUTCOMES, document)

    text = document.read_text()
    assert "old" not in text
    assert text.count(HEADING) == 1
    assert "first" in text
    assert "## After\n\nlast" in text
