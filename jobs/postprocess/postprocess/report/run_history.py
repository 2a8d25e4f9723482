"""How the run went and what it cost, in words and as a chart."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from postprocess.report import charts
from postprocess.report.formatting import choose_time_unit, format_duration
from postprocess.timeline import RECLAIMED, SUCCEEDED
from spotline.costs import money
from spotline.failures import ErrorName
from spotline.runs import Market
from spotline.strays import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup

    Leg = Mapping[str, Any]

_MARKETS = {Market.SPOT.value: "Spot", Market.ON_DEMAND.value: "On-Demand"}
_ENDS = {SUCCEEDED: "done", RECLAIMED: "reclaimed", ErrorName.SPOT_INTERRUPTED.value: "reclaimed"}
_DASH = "\N{EN DASH}"


def list_legs(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """The parts of the run, for a table."""
    resumed = (document["gang"] or {}).get("resumed_from")
    published = (document["gang"] or {}).get("generation")
    return [
        {
            "name": _name_leg(leg),
            "market": _MARKETS.get(leg["market"], _DASH),
            "waited": _format_span(_measure_wait(leg)),
            "ran": _format_span(_measure_run(leg)),
            "ended": _describe_end(leg)
            + (f", from round {resumed} on" if resumed is not None and leg["generation"] == published else ""),
        }
        for leg in document["timeline"]
    ]


def describe_run(document: Mapping[str, Any]) -> str:
    """What was out of the ordinary: reclaims, where the training went on, the fallback from Spot to On-Demand."""
    timeline = document["timeline"]
    reclaims = sum(_describe_end(leg) == "reclaimed" for leg in timeline)
    gangs = [leg for leg in timeline if leg["stage"] == Stage.ANALYSIS.value]
    resumed = (document["gang"] or {}).get("resumed_from")
    sentences = [
        f"Spot took instances back {_format_times(reclaims)}" if reclaims else "Nothing was reclaimed",
        f"the training went on from the checkpoint of round {resumed}" if resumed is not None else "",
        "the analysis fell back to On-Demand" if _has_fallen_back(gangs) else "",
    ]
    waited = sum(_measure_wait(leg) or 0.0 for leg in timeline)
    return "; ".join(filter(None, sentences)) + f". Jobs waited {format_duration(waited)} in all for room to run."


def draw_timeline(document: Mapping[str, Any]) -> Markup | None:
    """The run on one line of time; nothing when no part of it ran."""
    timeline = document["timeline"]
    ends = [moment for leg in timeline for moment in (leg["started"], leg["ended"]) if moment is not None]
    if not ends:
        return None
    scale, unit = choose_time_unit(max(ends))
    rows = [
        {"label": _name_leg(leg), "start": start / scale, "end": end / scale, "kind": kind}
        for leg in timeline
        for start, end, kind in _split_leg(leg, max(ends))
    ]
    return charts.draw_spans(rows, f"{unit} since the first job was submitted")


def summarise_cost(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the run cost, for a table; nothing when there is no estimate."""
    estimate = document["cost"]
    if not estimate:
        return None
    currency = estimate["currency"]
    return {
        "markets": [
            {
                "name": _MARKETS[market],
                "hours": f"{estimate['hours'][market]:.3g}",
                "cost": money(estimate["costs"][market], currency),
            }
            for market in estimate["hours"]
            if estimate["hours"][market]
        ],
        "total": money(estimate["total"], currency),
        "saved": money(estimate["saved"], currency),
        "wasted": money(estimate["wasted"], currency),
        "prices_as_of": estimate["prices_as_of"],
    }


def _name_leg(leg: Leg) -> str:
    if leg["stage"] == Stage.ANALYSIS.value:
        return f"gang {leg['generation']}"
    return leg["stage"] if leg["attempt"] == 1 else f"{leg['stage']}, attempt {leg['attempt']}"


def _describe_end(leg: Leg) -> str:
    if leg["outcome"] is None:
        return "not seen yet" if leg["started"] is None else "running"
    return _ENDS.get(leg["outcome"], str(leg["outcome"]))


def _measure_wait(leg: Leg) -> float | None:
    """How long it waited for room; for what never started, until it was given up."""
    until = leg["started"] if leg["started"] is not None else leg["ended"]
    return None if until is None else float(until - leg["waited_from"])


def _measure_run(leg: Leg) -> float | None:
    if leg["started"] is None or leg["ended"] is None:
        return None
    return float(leg["ended"] - leg["started"])


def _format_span(seconds: float | None) -> str:
    return _DASH if seconds is None else format_duration(seconds)


def _split_leg(leg: Leg, last: float) -> Iterator[tuple[float, float, str]]:
    """Its waiting and its running, which lasts until now when no end was seen."""
    started, ended = leg["started"], leg["ended"]
    yield leg["waited_from"], next(moment for moment in (started, ended, last) if moment is not None), "waited"
    if started is not None:
        yield (
            started,
            last if ended is None else ended,
            "done" if leg["outcome"] in (SUCCEEDED, None) else "interrupted",
        )


def _has_fallen_back(gangs: Sequence[Leg]) -> bool:
    return any(
        before["market"] == Market.SPOT and after["market"] == Market.ON_DEMAND
        for before, after in itertools.pairwise(gangs)
    )


def _format_times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
