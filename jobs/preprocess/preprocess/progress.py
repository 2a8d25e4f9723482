"""How far a run is: a log line every few seconds, or a bar on a terminal."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("preprocess")

_EVERY_SECONDS = 5.0
_BAR_EVERY_SECONDS = 0.1
_BAR_WIDTH = 30


class Progress:
    """Tells how far a run is.

    Parameters
    ----------
    size
        Bytes of the file.
    terminal
        Where to draw a bar; None to log.
    """

    def __init__(self, size: int, terminal: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = max(1, size)
        self._terminal = terminal
        self._clock = clock
        self._began = self._shown = clock()

    def show(self, rows: int, rejected: int, read: int) -> None:
        """Tell it, when it is time again: rows so far, those rejected, and bytes of the file read."""
        now = self._clock()
        if now - self._shown < (_BAR_EVERY_SECONDS if self._terminal else _EVERY_SECONDS):
            return
        self._shown = now
        rate = read / max(1e-9, now - self._began)
        left = (self._size - read) / max(1.0, rate)
        if self._terminal is None:
            log.info(
                "%d rows read, %d rejected, %.0f MB/s, %.0f s left",
                rows,
                rejected,
                rate / 1e6,
                left,
                extra={
                    "rows": rows,
                    "rejected": rejected,
                    "bytes_per_second": round(rate),
                    "seconds_left": round(left),
                },
            )
            return
        done = min(1.0, read / self._size)
        bar = "#" * round(done * _BAR_WIDTH)
        self._terminal.write(
            f"\r[{bar:<{_BAR_WIDTH}}] {done:4.0%}  {rows:,} rows, {rejected:,} rejected, {rate / 1e6:.0f} MB/s, {left:.0f} s left "
        )
        self._terminal.flush()

    def done(self) -> None:
        """Wipe the bar away."""
        if self._terminal is not None:
            self._terminal.write("\r\x1b[K")
            self._terminal.flush()
