"""Waiting for Batch jobs: woken by their state changes, so that a Task goes on at once and nobody polls."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = Any

ENDED = ("SUCCEEDED", "FAILED")

_lock = threading.Lock()
_waiting: dict[str, list[threading.Event]] = defaultdict(list)


def notice(source: str, detail_type: str, detail: Mapping[str, Json]) -> None:
    """Wake who waits for the job that an event is about, if it says that the job has ended."""
    if source != "aws.batch" or detail_type != "Batch Job State Change" or detail.get("status") not in ENDED:
        return
    with _lock:
        for event in _waiting.get(str(detail.get("jobId")), []):
            event.set()


@contextlib.contextmanager
def watching(job_id: str) -> Iterator[threading.Event]:
    """An event that is set, within the block, when the job ends."""
    event = threading.Event()
    with _lock:
        _waiting[job_id].append(event)
    try:
        yield event
    finally:
        with _lock:
            _waiting[job_id].remove(event)
            if not _waiting[job_id]:
                del _waiting[job_id]
