"""Rehearsed reclaims: Spot takes a gang's instance away in mid-training, at a moment that is the same every time.

The moment is a gang's first own checkpoint: training has begun, a checkpoint exists, and more than half is still to be done.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.s3.models import S3Backend

from twin import compute
from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Callable

_POINTER = re.compile(r"runs/(?P<run_id>[^/]+)/analysis/checkpoints/pointer\.json")


@dataclass(frozen=True)
class Reclaimed:
    """One instance that was taken away, and the round that its gang had checkpointed by then."""

    run_id: str
    job_id: str
    generation: int
    member: int
    instance_id: str
    round: int


class ReclaimAtFirstCheckpoint:
    """Takes an instance away from each of the first `gangs` Spot gangs, when it writes its first checkpoint of its own.

    The write itself succeeds; its writer may not live to learn it. There is no notice: AWS gives one as a best effort only,
    and a gang must survive without it.
    """

    def __init__(self, gangs: int, on_reclaim: Callable[[Reclaimed], None] | None = None) -> None:
        self.reclaimed: list[Reclaimed] = []
        self._left = gangs
        self._on_reclaim = on_reclaim
        self._claimed_round: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()

    def again(self, gangs: int) -> None:
        """Take one from each of the next `gangs` gangs, whatever is left of those before."""
        with self._lock:
            self._left = gangs

    def install(self) -> None:
        """Watch checkpoint pointers from now on, until the twin stops; a twin has one such watcher."""

        def make(original: Any) -> Any:
            def put_object(backend: Any, bucket_name: str, key_name: str, value: Any, *args: Any, **kwargs: Any) -> Any:
                stored = original(backend, bucket_name, key_name, value, *args, **kwargs)
                found = _POINTER.fullmatch(key_name)
                if found:
                    self._pointer_written(found["run_id"], json.loads(value))
                return stored

            return put_object

        replace(S3Backend, "put_object", make)

    def _pointer_written(self, run_id: str, pointer: dict[str, Any]) -> None:
        generation, checkpoints = pointer["generation"], pointer["checkpoints"]
        done = checkpoints[0]["round"] if checkpoints else 0  # the newest checkpoint stands first
        with self._lock:
            # A leader claims the pointer before it trains: that first write of a generation names the older gang's round.
            claimed = self._claimed_round.setdefault((run_id, generation), done)
            if done <= claimed or self._left == 0 or not _is_array(pointer["job_id"]):
                return
            if any((past.run_id, past.generation) == (run_id, generation) for past in self.reclaimed):
                return
            self._left -= 1
            member = generation % _members(pointer["job_id"])
            instance_id = compute.reclaim(pointer["job_id"], member, notice_seconds=0)
            event = Reclaimed(run_id, pointer["job_id"], generation, member, instance_id, done)
            self.reclaimed.append(event)
        if self._on_reclaim is not None:
            self._on_reclaim(event)


def _described(job_id: str) -> dict[str, Any]:
    from twin.credentials import internal_client  # noqa: PLC0415  needs a running twin

    job: dict[str, Any] = internal_client("batch").describe_jobs(jobs=[job_id])["jobs"][0]
    return job


def _is_array(job_id: str) -> bool:
    """Whether a gang runs on Spot: there it is an array job."""
    return bool(_described(job_id).get("arrayProperties", {}).get("size"))


def _members(job_id: str) -> int:
    return int(_described(job_id)["arrayProperties"]["size"])
