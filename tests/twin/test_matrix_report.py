"""The soak's table is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.twin.matrix_failures import FAILURES, Outcome, Stage
from tests.twin.matrix_report import write_matrix

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ours

OUTCOMES = [Outcome(failure, stage, f"{stage.name} mends it", 2.0) for failure in FAILURES for stage in Stage]


def test_the_table_has_a_row_a_failure_and_a_column_a_stage(tmp_path: Path) -> None:
    write_matrix(OUTCOMES, tmp_path / "soak.md")

    rows = [line for line in (tmp_path / "soak.md").read_text().splitlines() if line.startswith("|")]
    assert rows[0] == "| failure | Preprocess | Spot gang | On-Demand gang | Postprocess |"
    assert len(rows) == 2 + len(FAILURES)
    assert all(row.count("mends it (2 s)") == len(Stage) for row in rows[2:])
