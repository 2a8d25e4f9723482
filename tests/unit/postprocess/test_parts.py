"""Parts come together whole, whatever the number of members."""

import json
from pathlib import Path

import numpy as np
import pytest

from postprocess.inputs import InputsDisagree, read_local_inputs
from postprocess.parts import Predictions, SurprisingRow, Task, find_most_surprising, rank_features, read_predictions
from spotline.documents import DocumentError
from tests.unit.postprocess.leftovers import Scored, write_analysis


def predictions(folder: Path) -> Predictions:
    analysed = read_local_inputs(folder).analysed
    assert analysed is not None
    return read_predictions(analysed)


def test_rows_of_all_members_are_put_together(analysis: Path) -> None:
    found = predictions(analysis)

    assert found.actual.tolist() == [1.0, 2.0, 4.0, 8.0, 3.0]
    assert found.prediction.tolist() == [1.5, 2.0, 4.0, 5.0, 2.0]
    assert found.validation.tolist() == [False, True, True, True, False]
    assert found.unlabelled == 1
    assert found.task is Task.REGRESSION


def test_classes_are_ones_and_zeros(tmp_path: Path, clean: Path) -> None:
    member = Scored((True, False), (0.9, 0.4), ("train", "validation"), task="binary")

    found = predictions(write_analysis(tmp_path / "analysis", clean, [member]))

    assert found.task is Task.BINARY
    assert found.actual.tolist() == [1.0, 0.0]


def test_without_validation_rows_all_rows_judge(tmp_path: Path, clean: Path) -> None:
    member = Scored((1.0, 2.0), (1.0, 1.0), ("train", "train"))

    found = predictions(write_analysis(tmp_path / "analysis", clean, [member]))

    assert found.evaluation.all()


def test_a_member_without_rows_is_no_trouble(tmp_path: Path, clean: Path) -> None:
    members = [Scored((1.0,), (2.0,), ("validation",)), Scored((), (), ())]

    assert len(predictions(write_analysis(tmp_path / "analysis", clean, members)).actual) == 1


def test_the_most_surprising_rows_are_those_of_all_members(analysis: Path) -> None:
    found = predictions(analysis).surprising

    assert [(row.residual, row.key) for row in found] == [
        (3.0, {"id": "k11"}),
        (1.0, {"id": "k12"}),
        (-0.5, {"id": "k00"}),
    ]
    assert found[0].reasons[0].feature == "status"


def test_equally_surprising_rows_come_in_the_order_of_the_data() -> None:
    def row(shard: int, number: int) -> SurprisingRow:
        return SurprisingRow(shard, number, {}, actual=1.0, prediction=3.0, residual=-2.0, reasons=())

    places = [(1, 0), (0, 5), (0, 2)]
    found = find_most_surprising([row(*place) for place in places], most=2)

    assert [(row.shard, row.row) for row in found] == [(0, 2), (0, 5)]


def test_features_come_by_their_share() -> None:
    assert [entry.feature for entry in rank_features({"b": 0.3, "a": 0.3, "c": 0.4, "d": 0.0})] == ["c", "a", "b"]


def test_a_part_that_lost_rows_is_refused(analysis: Path, clean: Path) -> None:
    whole = (analysis / "parts/part-0001.parquet").read_bytes()
    (analysis / "parts/part-0000.parquet").write_bytes(whole)
    sums = json.loads((analysis / "parts/part-0001.json").read_text())
    sums["rows"]["train"] += 1
    (analysis / "parts/part-0001.json").write_text(json.dumps(sums))

    with pytest.raises(InputsDisagree, match="does not sum 3 rows"):
        predictions(analysis)


def test_a_part_of_another_schema_is_refused(analysis: Path) -> None:
    (analysis / "parts/part-0000.json").write_text('{"schema": "somebody/else/9"}')

    with pytest.raises(DocumentError, match="somebody/else/9"):
        predictions(analysis)


def test_arrays_have_one_length(analysis: Path) -> None:
    found = predictions(analysis)

    assert len(found.actual) == len(found.prediction) == len(found.validation)
    assert found.actual.dtype == np.float64
