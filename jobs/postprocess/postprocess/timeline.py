"""How a run came about: its gangs one after the other, where each ran, for how long, and how it ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True)
class GangSpan:
    """One gang from its launch to its end, in seconds since the first gang was launched.

    `outcome` is `SUCCEEDED`, a typed error, or None while the gang's end has not been seen yet.
    """

    generation: int
    market: str
    job_id: str | None
    start: float
    end: float | None
    outcome: str | None


def timeline(gangs: Sequence[Mapping[str, Any]]) -> list[GangSpan]:
    """Read the gangs' records, oldest first."""
    if not gangs:
        return []
    origin = datetime.fromisoformat(gangs[0]["launched_at"])

    def since(moment: str | None) -> float | None:
        return None if moment is None else round((datetime.fromisoformat(moment) - origin).total_seconds(), 3)

    return [
        GangSpan(
            generation=gang["generation"],
            market=gang["market"],
            job_id=gang.get("job_id"),
            start=since(gang["launched_at"]) or 0.0,
            end=since(gang.get("closed_at")),
            outcome=gang.get("outcome"),
        )
        for gang in gangs
    ]
