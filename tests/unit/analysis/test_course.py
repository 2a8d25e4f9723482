"""How far to train is decided alike by every member, before and after an interruption."""

import pytest

from analysis.training import Course


def course(**changes: object) -> Course:
    return Course(**{"rounds": 25, "segment": 10, "patience": None, "maximise": False, "seed": 0, **changes})  # type: ignore[arg-type]


def history(*scores: float | None) -> tuple[tuple[float, float | None], ...]:
    return tuple((0.0, score) for score in scores)


@pytest.mark.parametrize(("done", "rounds"), [(0, 10), (10, 10), (20, 5)])
def test_segments_end_at_multiples_of_their_length(done: int, rounds: int) -> None:
    assert course().next_segment(done) == rounds


def test_without_early_stopping_every_round_is_trained() -> None:
    assert not course().finished(history(1.0, *[2.0] * 23))
    assert course().finished(history(1.0, *[2.0] * 24))


def test_training_stops_when_patience_is_at_its_end() -> None:
    patient = course(patience=3)
    assert not patient.finished(history(3.0, 2.0, 2.5, 2.5))
    assert patient.finished(history(3.0, 2.0, 2.5, 2.5, 2.0))


def test_the_best_round_is_the_first_of_equals() -> None:
    assert course().best_round(history(3.0, 2.0, 2.0)) == 2
    assert course(maximise=True).best_round(history(0.5, 0.9, 0.9)) == 2


def test_without_validation_the_last_round_is_the_best_and_nothing_stops_early() -> None:
    assert course(patience=1).best_round(history(None, None)) == 2
    assert not course(patience=1).finished(history(None, None, None))
