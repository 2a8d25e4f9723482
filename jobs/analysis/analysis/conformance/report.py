"""Run every check on a command and write a line each."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.conformance.checks import CHECKS, NotChecked

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(command: Sequence[str]) -> int:
    """Check `command`; returns 0 when it broke nothing."""
    failed = 0
    for check in CHECKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            try:
                wrong = check(command, Path(folder))
            except NotChecked as reason:
                result, said = "not checked", str(reason)
            else:
                result, said = ("FAIL", wrong) if wrong else ("ok", "")
        failed += result == "FAIL"
        title = (check.__doc__ or check.__name__).partition("\n")[0]
        _line(f"{result:12}{time.monotonic() - began:6.1f} s  {title}")
        if said:
            _line(f"{'':22}{said}")
    _line(f"{len(CHECKS)} checks, {failed} failed")
    return 1 if failed else 0


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
