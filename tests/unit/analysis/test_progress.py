"""Frozen and stalled workers, with a clock of the test's own."""

import pytest

from analysis.progress import WorkerProgress, compute_progress_timeout
from analysis.protocol import Phase
from analysis.settings import Settings

SETTINGS = Settings(gang_silence_seconds=15, gang_stuck_seconds=20, gang_stuck_factor=5, gang_loading_seconds=120)


def training(now: float = 0) -> WorkerProgress:
    progress = WorkerProgress(SETTINGS, now)
    progress.on_phase(Phase.TRAINING, now)
    return progress


def test_a_worker_that_sends_nothing_is_frozen() -> None:
    progress = training()
    progress.on_message(10)
    assert not progress.is_frozen(25)
    assert progress.is_frozen(25.1)


def test_a_worker_that_lives_but_does_nothing_is_stalled_after_the_floor() -> None:
    progress = training()
    for second in range(21):
        progress.on_heartbeat(0.0, second)
    assert not progress.is_frozen(20.5)
    assert not progress.is_stalled(20)
    assert progress.is_stalled(20.5)


def test_a_worker_that_computes_is_never_stalled_however_long_its_round() -> None:
    progress = training()
    for second in range(1, 600):
        progress.on_heartbeat(0.02 * second, second)
    assert not progress.is_stalled(600)


def test_a_worker_slowed_to_a_fiftieth_of_a_core_still_counts_as_computing() -> None:
    progress = training()
    progress.on_heartbeat(0.02, 1)
    assert progress.count_idle_seconds(1) == 0


def test_the_heartbeat_thread_alone_is_no_computing() -> None:
    progress = training()
    for second in range(1, 30):
        progress.on_heartbeat(0.0005 * second, second)
    assert progress.is_stalled(30)


def test_the_progress_timeout_grows_with_the_slowest_step_of_the_phase() -> None:
    progress = training()
    progress.on_step(10)
    progress.on_step(11)
    assert not progress.is_stalled(11 + 50)
    assert progress.is_stalled(11 + 50.1)


def test_a_new_phase_forgets_the_steps_of_the_one_before() -> None:
    progress = training()
    progress.on_step(100)
    progress.on_phase(Phase.TRAINING, 100)
    assert progress.is_stalled(121)


@pytest.mark.parametrize(
    ("phase", "alone"),
    [(Phase.LOADING, True), (Phase.SCORING, True), (Phase.SKETCHING, False), (Phase.TRAINING, False)],
)
def test_a_stalled_worker_is_stalled_alone_only_where_it_waits_for_nobody(phase: Phase, alone: bool) -> None:
    progress = WorkerProgress(SETTINGS, 0)
    progress.on_phase(phase, 0)
    assert progress.is_stalled(121)
    assert progress.is_stalled_alone(121) is alone


def test_each_phase_has_its_own_floor() -> None:
    assert compute_progress_timeout(Phase.LOADING, 0, SETTINGS) == 120
    assert compute_progress_timeout(Phase.TRAINING, 0, SETTINGS) == 20
    assert compute_progress_timeout(Phase.TRAINING, 6, SETTINGS) == 30
