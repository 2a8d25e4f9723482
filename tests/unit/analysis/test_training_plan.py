"""How far to train is decided alike by every member, before and after an interruption."""

import pytest

from analysis.training import TrainingPlan


def plan(**changes: object) -> TrainingPlan:
    return TrainingPlan(**{"rounds": 25, "segment": 10, "patience": None, "maximise": False, "seed": 0, **changes})  # type: ignore[arg-type]


def history(*scores: float | None) -> tuple[tuple[float, float | None], ...]:
    return tuple((0.0, score) for score in scores)


@pytest.mark.parametrize(("done", "rounds"), [(0, 10), (10, 10), (20, 5)])
def test_segments_end_at_multiples_of_their_length(done: int, rounds: int) -> None:
    assert plan().count_next_rounds(done) == rounds


def test_without_early_stopping_every_round_is_trained() -> None:
    assert not plan().is_finished(history(1.0, *[2.0] * 23))
    assert plan().is_finished(history(1.0, *[2.0] * 24))


def test_training_stops_when_patience_is_at_its_end() -> None:
    patient = plan(patience=3)
    assert not patient.is_finished(history(3.0, 2.0, 2.5, 2.5))
    assert patient.is_finished(history(3.0, 2.0, 2.5, 2.5, 2.0))


def test_the_best_round_is_the_first_of_equals() -> None:
    assert plan().find_best_round(history(3.0, 2.0, 2.0)) == 2
    assert plan(maximise=True).find_best_round(history(0.5, 0.9, 0.9)) == 2


def test_without_validation_the_last_round_is_the_best_and_nothing_stops_early() -> None:
    assert plan(patience=1).find_best_round(history(None, None)) == 2
    assert not plan(patience=1).is_finished(history(None, None, None))
