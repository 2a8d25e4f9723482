"""What an ended run adds to the dashboard. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from announce.outcomes import SUCCEEDED
from spotline.metrics import Measurement
from spotline.strays import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spotline.costs import Estimate
    from spotline.usage import JobUse


@dataclass(frozen=True)
class Spent:
    """What a run used and what that cost, now that it has ended."""

    uses: Sequence[JobUse]
    cost: Estimate


def measurements(status: str, record: Mapping[str, Any], spent: Spent | None, since: float) -> Iterator[Measurement]:
    """What to count of one end of a run.

    Parameters
    ----------
    status
        The execution's.
    record
        The run's record.
    spent
        None when it is not known.
    since
        When the execution was started, or last redriven, in seconds since 1970: jobs of before were counted when it ended before.
    """
    if status == SUCCEEDED:
        yield Measurement("RunsSucceeded", 1)
        rows = (record.get("result") or {}).get("metrics", {}).get("rows")
        if rows:
            yield Measurement("RowsClean", int(rows["clean"]))
            yield Measurement("RowsRejected", int(rows["rejected"]))
    else:
        yield Measurement("RunsFailed", 1)
    if spent is None:
        return
    uses = [use for use in spent.uses if use.submitted >= since]
    for use in uses:
        ends = [attempt.ended for attempt in use.attempts if attempt.ended is not None]
        if ends:
            yield Measurement("StageSeconds", max(ends) - use.submitted, "Seconds", {"Stage": use.stage.value})
    reclaimed = sum(use.stage is Stage.ANALYSIS and use.interrupted for use in uses)
    if reclaimed:
        yield Measurement("SpotReclaims", reclaimed)
    if spent.cost.currency == "USD":
        yield Measurement("EstimatedCostUSD", round(spent.cost.cost_of({use.job_id for use in uses}), 6))
