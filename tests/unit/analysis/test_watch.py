"""Frozen, stalled and stuck, with a clock of our own."""

import pytest

from analysis.config import Settings
from analysis.watch import Phase, Watch, patience

SETTINGS = Settings(gang_silence_seconds=15, gang_stuck_seconds=20, gang_stuck_factor=5, gang_loading_seconds=120)


def training(now: float = 0) -> Watch:
    watch = Watch(SETTINGS, now)
    watch.entered(Phase.TRAINING, now)
    return watch


def test_a_worker_that_says_nothing_is_frozen() -> None:
    watch = training()
    watch.heard(10)
    assert not watch.frozen(25)
    assert watch.frozen(25.1)


def test_a_worker_that_lives_but_does_nothing_is_stalled_after_the_floor() -> None:
    watch = training()
    for second in range(21):
        watch.worked(0.0, second)
    assert not watch.frozen(20.5)
    assert not watch.stalled(20)
    assert watch.stalled(20.5)


def test_a_worker_that_computes_is_never_stalled_however_long_its_round() -> None:
    watch = training()
    for second in range(1, 600):
        watch.worked(0.02 * second, second)
    assert not watch.stalled(600)


def test_a_worker_slowed_to_a_fiftieth_of_a_core_still_counts_as_computing() -> None:
    watch = training()
    watch.worked(0.02, 1)
    assert watch.idle(1) == 0


def test_the_beating_thread_alone_is_no_computing() -> None:
    watch = training()
    for second in range(1, 30):
        watch.worked(0.0005 * second, second)
    assert watch.stalled(30)


def test_patience_grows_with_the_slowest_beat_of_the_phase() -> None:
    watch = training()
    watch.progressed(10)
    watch.progressed(11)
    assert not watch.stalled(11 + 50)
    assert watch.stalled(11 + 50.1)


def test_a_new_phase_forgets_the_beats_of_the_one_before() -> None:
    watch = training()
    watch.progressed(100)
    watch.entered(Phase.TRAINING, 100)
    assert watch.stalled(121)


@pytest.mark.parametrize(
    ("phase", "stuck"),
    [(Phase.LOADING, True), (Phase.SCORING, True), (Phase.SKETCHING, False), (Phase.TRAINING, False)],
)
def test_a_stalled_worker_is_stuck_only_where_it_waits_for_nobody(phase: Phase, stuck: bool) -> None:
    watch = Watch(SETTINGS, 0)
    watch.entered(phase, 0)
    assert watch.stalled(121)
    assert watch.stuck(121) is stuck


def test_each_phase_has_its_own_floor() -> None:
    assert patience(Phase.LOADING, 0, SETTINGS) == 120
    assert patience(Phase.TRAINING, 0, SETTINGS) == 20
    assert patience(Phase.TRAINING, 6, SETTINGS) == 30
