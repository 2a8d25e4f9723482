"""Exit codes of every job: how a process tells the state machine what kind of end it came to."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes that mean something; any other code is the program's own failure.

    65, 75 and 78 are `EX_DATAERR`, `EX_TEMPFAIL` and `EX_CONFIG` of `sysexits.h`.
    """

    DONE = 0
    DATA_REFUSED = 65
    TRY_AGAIN = 75
    GANG_NOT_FORMED = 76
    BAD_CONFIGURATION = 78
