"""How much memory each container uses: the resident memory of all processes of its session."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MIB = 1 << 20
_PROC = Path("/proc")
_SESSION_FIELD, _RESIDENT_FIELD = 3, 21
"""Places in /proc/<pid>/stat after the command's closing parenthesis (proc(5): session, rss)."""


def resident_mib(sessions: Collection[int]) -> dict[int, float]:
    """Resident memory in MiB by session id, of those of `sessions` that have a process.

    Pages that processes share count once for each, so a container of many processes looks larger than it is.
    """
    if not sessions:
        return {}
    return _read_proc(sessions) if sys.platform.startswith("linux") else _ask_psutil(sessions)


def _read_proc(sessions: Collection[int]) -> dict[int, float]:
    page = os.sysconf("SC_PAGE_SIZE") / _MIB
    used: dict[int, float] = {}
    for entry in os.scandir(_PROC):
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError, IndexError):
            fields = (_PROC / entry.name / "stat").read_text().rpartition(")")[2].split()
            session = int(fields[_SESSION_FIELD])
            if session in sessions:
                used[session] = used.get(session, 0.0) + int(fields[_RESIDENT_FIELD]) * page
    return used


def _ask_psutil(sessions: Collection[int]) -> dict[int, float]:
    import psutil  # noqa: PLC0415  not needed where there is /proc

    used: dict[int, float] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            session = os.getsid(process.pid)
            if session in sessions:
                used[session] = used.get(session, 0.0) + process.memory_info().rss / _MIB
    return used
