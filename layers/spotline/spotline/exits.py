"""Exit codes of every job: how a process tells the state machine what kind of end it came to."""

import signal
import sys
from enum import IntEnum
from types import FrameType


class ExitCode(IntEnum):
    """The exit codes that mean something; any other code is the program's own failure.

    65, 75 and 78 are `EX_DATAERR`, `EX_TEMPFAIL` and `EX_CONFIG` of `sysexits.h`.
    """

    DONE = 0
    DATA_REFUSED = 65
    TRY_AGAIN = 75
    GANG_NOT_FORMED = 76
    BAD_CONFIGURATION = 78


def leave_on_sigterm() -> None:
    """Make SIGTERM end the process as `sys.exit` does, with the code that a shell reports for it.

    Python's own answer to SIGTERM is to die at once: no `finally` runs, and temporary folders stay on the instance's disk, where ECS
    keeps the volumes of stopped containers for a while. SIGKILL follows 30 s later ("ECS_CONTAINER_STOP_TIMEOUT", ECS developer guide).
    """
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
