"""Stands in for the program of an image: runs the real one, until an order tells it to fail in the real one's place.

An order is a file ``<stage>-<member>`` in the folder of orders. It is taken once: the next attempt runs undisturbed, as when the
cause is gone. Run as ``python matrix_stand_in.py ORDERS STAGE``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

_LOOK_EVERY_SECONDS = 0.02
_MEMBER_VARIABLES = ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_NODE_INDEX")


def main(folder: Path, stage: str) -> int:
    """Run the stage's program, and leave with its exit code or as ordered."""
    member = next((os.environ[name] for name in _MEMBER_VARIABLES if name in os.environ), "0")
    order = folder / f"{stage}-{member}"
    order.with_suffix(".pid").write_text(str(os.getpid()))
    program: subprocess.Popen[bytes] | None = None
    signal.signal(signal.SIGTERM, lambda *_: program.terminate() if program else sys.exit(128 + signal.SIGTERM))
    while True:
        told = _take(order)
        if told is not None:
            if "exit" in told:
                # At once, and what is left behind ends with the container: no other member sees the program dead before the job does.
                os._exit(int(told["exit"]))
            if program is not None:
                program.kill()
                program = None
            _hold(b"x" * (told.get("eat_mib", 0) << 20))
        if program is None:
            program = subprocess.Popen([sys.executable, "-m", stage])
        code = program.poll()
        if code is not None:
            return code if code >= 0 else 128 - code
        time.sleep(_LOOK_EVERY_SECONDS)


def _take(order: Path) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(order.read_text())
        order.unlink()
    except FileNotFoundError:
        return None
    return told


def _hold(eaten: bytes) -> NoReturn:
    """Do nothing but keep what was eaten, until killed."""
    while True:
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
