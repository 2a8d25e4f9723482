"""Failure by stage, with real processes: each ends in a typed failure that a redrive mends, or is answered by the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.twin.matrix_cloud import MatrixCloud, matrix_cloud
from tests.twin.matrix_failures import FAILURES, Stage, rehearse
from tests.twin.matrix_report import write_matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.twin.matrix_failures import Outcome

pytestmark = [pytest.mark.ours, pytest.mark.timeout(300)]

# One case of each failure, where it is most at home; `make soak` does all of them in every stage.
TYPICAL = {
    "program failure": Stage.POSTPROCESS,
    "data refused": Stage.PREPROCESS,
    "bad configuration": Stage.PREPROCESS,
    "out of memory": Stage.PREPROCESS,
    "image missing": Stage.POSTPROCESS,
    "timeout": Stage.PREPROCESS,
    "operator's terminate": Stage.POSTPROCESS,
    "member killed": Stage.ON_DEMAND_GANG,
    "Spot reclaim": Stage.SPOT_GANG,
    "no capacity": Stage.SPOT_GANG,
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixCloud]:
    with matrix_cloud(tmp_path_factory.mktemp("matrix")) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Outcome]]:
    """Collects what came of each cell of the whole matrix; a complete one is written into docs/."""
    collected: list[Outcome] = []
    yield collected
    if len(collected) == len(FAILURES) * len(Stage):
        write_matrix(collected)


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_is_typed_and_redriven_or_answered(cloud: MatrixCloud, failure: str) -> None:
    rehearse(cloud, failure, TYPICAL[failure])


@pytest.mark.soak
@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.title)
@pytest.mark.parametrize("failure", FAILURES)
def test_every_failure_in_every_stage(cloud: MatrixCloud, failure: str, stage: Stage, outcomes: list[Outcome]) -> None:
    outcomes.append(rehearse(cloud, failure, stage))
