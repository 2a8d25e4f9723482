"""Progress: a log line every few seconds, or a bar on a terminal."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

from preprocess.progress import Progress

if TYPE_CHECKING:
    import pytest


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_log_tells_rows_speed_rejects_and_the_time_left_every_five_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="preprocess")
    clock = Clock()
    progress = Progress(1_000_000_000, clock=clock)

    for second in range(1, 11):
        clock.now = 100.0 + second
        progress.show(rows=second * 1000, rejected=second, read=second * 50_000_000)
    progress.done()

    assert caplog.messages == [
        "5000 rows read, 5 rejected, 50 MB/s, 15 s left",
        "10000 rows read, 10 rejected, 50 MB/s, 10 s left",
    ]
    fields = caplog.records[-1].__dict__
    assert (fields["rows"], fields["rejected"], fields["bytes_per_second"], fields["seconds_left"]) == (
        10_000,
        10,
        50_000_000,
        10,
    )


def test_a_terminal_gets_a_bar_that_goes_away(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="preprocess")
    clock, terminal = Clock(), io.StringIO()
    progress = Progress(200_000_000, terminal, clock)

    clock.now += 1
    progress.show(rows=1_000_000, rejected=20, read=100_000_000)
    clock.now += 0.01
    progress.show(rows=1_000_001, rejected=20, read=100_000_001)
    progress.done()

    assert terminal.getvalue() == (
        f"\r[{'#' * 15}{' ' * 15}]  50%  1,000,000 rows, 20 rejected, 100 MB/s, 1 s left \r\x1b[K"
    )
    assert not caplog.messages
