"""The section of docs/soak.md about the outcomes of runs under random faults."""

from __future__ import annotations

from collections import Counter
from statistics import median, quantiles
from typing import TYPE_CHECKING

from tests.soak.document import DOCUMENT, table, write_section
from tests.soak.random_plans import Kind, Landing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.soak.random_runs import Outcome

HEADING = "Runs under random faults"


def write_report(
    outcomes: Sequence[Outcome], seconds: float, calls: Mapping[str, int], document: Path = DOCUMENT
) -> None:
    """Put the section into the document, in the place of the one before.

    Parameters
    ----------
    seconds
        How long all of it took.
    calls
        How many API calls were struck, by what became of them.
    """
    write_section(HEADING, report(outcomes, seconds, calls), document)


def report(outcomes: Sequence[Outcome], seconds: float, calls: Mapping[str, int]) -> str:
    """The section as Markdown: how the runs ended, what was done to them, and how they had failed meanwhile."""
    seeds = [outcome.plan.seed for outcome in outcomes]
    took = [outcome.seconds for outcome in outcomes]
    by_themselves = sum(not outcome.failures for outcome in outcomes)
    redrives = sum(len(outcome.failures) for outcome in outcomes)
    struck = ", ".join(f"{count} {trouble}" for trouble, count in sorted(calls.items()))
    about = (
        f"{len(outcomes)} runs with real processes, seeds {min(seeds)} to {max(seeds)}, in {seconds / 60:.0f} minutes; a run took "
        f"{median(took):.0f} s in the middle, {quantiles(took, n=20)[-1]:.0f} s at the 95th percentile and {max(took):.0f} s at most. "
        f"{by_themselves} ended SUCCEEDED by themselves, {len(outcomes) - by_themselves} after {redrives} redrives of typed failures, "
        f"and all left no job, no open gang and one publication, with the metrics of an undisturbed run. API calls struck: {struck}. "
        "A seed draws what is done to its run; where in a job that falls depends on the machine."
    )
    return f"{about}\n\n{_blows(outcomes)}\n\n{_failures(outcomes)}"


def _blows(outcomes: Sequence[Outcome]) -> str:
    rows: list[list[object]] = []
    for kind in Kind:
        hit = [outcome for outcome in outcomes if any(blow.kind is kind for blow in outcome.struck)]
        times = sum(blow.kind is kind for outcome in outcomes for blow in outcome.struck)
        missed = sum(blow.kind is kind for outcome in outcomes for blow in outcome.missed)
        rows.append([kind.value, times, missed, len(hit), sum(not outcome.failures for outcome in hit)])
    for landing in (Landing.LOST, Landing.REPEATED):
        hit = [outcome for outcome in outcomes if outcome.plan.landing is landing]
        rows.append([landing.value, len(hit), 0, len(hit), sum(not outcome.failures for outcome in hit)])
    return table(["done to a run", "times", "came too late", "runs", "of them without a redrive"], rows)


def _failures(outcomes: Sequence[Outcome]) -> str:
    counted = Counter(failure for outcome in outcomes for failure in outcome.failures)
    return table(["failed as, until redriven", "times"], [[name, times] for name, times in counted.most_common()])
