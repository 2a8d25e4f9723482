"""Keeping the memory that a block has let go of: the next one needs as much again.

Returned to the kernel and asked for again, memory comes page by page, zeroed, at about an eighth of the time that a file takes. Two
allocators serve the job: jemalloc within polars, and that of the C library for Python and NumPy.
"""

from __future__ import annotations

import ctypes
import os

# jemalloc: pages stay for ten seconds (polars: half a second), in one pool a worker, where the default is four a processor; and they
# are huge ones where the kernel has them to give, which saves one page fault for each four kilobytes.
_JEMALLOC = "dirty_decay_ms:10000,muzzy_decay_ms:-1,narenas:2,thp:always"

# The options of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_GLIBC = {
    _M_ARENA_MAX: 2,
    _M_MMAP_THRESHOLD: 32 << 20,  # the largest that there may be: a block and all that is made of it are smaller
    _M_TRIM_THRESHOLD: 256 << 20,
    _M_TOP_PAD: 16 << 20,
}


def keep_pages() -> None:
    """Set both allocators up. Polars must not be loaded yet; what the operator has set stays, and other C libraries are left alone."""
    os.environ.setdefault("_RJEM_MALLOC_CONF", _JEMALLOC)
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # NumPy's, for which there is no work here: its threads spin before they sleep
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for option, value in _GLIBC.items():
        mallopt(option, value)
