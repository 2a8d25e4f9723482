"""What is said about each outcome. Pure: facts in, an announcement out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from announce.advice import what_to_do
from announce.consoles import Console
from announce.diagnosis import Diagnosis
from announce.loglines import last_word, quality_report, readable
from announce.messages import SUMMARY, Announcement, Fact, Link, Step
from announce.outcomes import DayLate, ExecutionEnded, FileRejected
from announce.table import Recorded
from spotline.costs import Estimate, money
from spotline.runs import Market, Run


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run when its execution has ended. `run` is None when its input was not one of ours."""

    ended: ExecutionEnded
    run: Run | None
    recorded: Recorded
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    redrivable: bool = True
    cost: Estimate | None = None

    @property
    def name(self) -> str:
        """The run as people call it: dataset and day."""
        if self.run is None:
            return self.ended.run_id
        return f"{self.run.dataset} {_day(self.run.day)}"

    @property
    def console(self) -> Console:
        """Where the execution is looked at."""
        return Console.of(self.ended.execution_arn)


def run_succeeded(facts: RunFacts) -> Announcement:
    """A run came to its results."""
    result: Mapping[str, Any] = facts.recorded.run.get("result") or {}
    metrics: Mapping[str, Any] = result.get("metrics") or {}
    return Announcement(
        kind="run-succeeded",
        symbol="✅",
        title=f"{facts.name} is done",
        summary=_success_in_a_sentence(metrics),
        facts=tuple(
            fact
            for fact in (
                _rows(metrics.get("rows")),
                _quality(metrics.get("quality")),
                _markets(facts.recorded.gangs, result.get("gang")),
                _duration(facts.started_at, facts.stopped_at),
                _cost(facts.cost),
                _importance(metrics.get("model")),
                _most_surprising(result.get("surprising") or ()),
                _drift(result.get("drift") or ()),
            )
            if fact is not None
        ),
        links=(
            *([Link("Report", facts.console.s3_object(result["report"]))] if result.get("report") else []),
            Link("Execution", facts.console.execution(facts.ended.execution_arn)),
        ),
        footnote=_footnote(facts),
    )


_ENDS = {
    "FAILED": ("run-failed", "❌", "failed"),
    "TIMED_OUT": ("run-timed-out", "⏱️", "ran out of time"),
    "ABORTED": ("run-stopped", "🛑", "was stopped"),
}
_ENDS_BADLY = frozenset(kind for kind, _, _ in _ENDS.values())


def run_failed(facts: RunFacts, diagnosis: Diagnosis, log_group: str, log: Sequence[str] = ()) -> Announcement:
    """A run failed, ran out of time or was stopped; `log` holds the last lines of what failed as they stand, oldest first."""
    kind, symbol, verb = _ENDS[facts.ended.status]
    console = facts.console
    links = [Link("Execution", console.execution(facts.ended.execution_arn))]
    if diagnosis.log_stream:
        links.append(Link("Log", console.log_stream(log_group, diagnosis.log_stream)))
    report = quality_report(log)
    if report:
        links.append(Link("Quality report", console.s3_object(report)))
    known = {
        "Failure": diagnosis.error,
        "State": diagnosis.state,
        "Member": diagnosis.member,
        "Exit code": diagnosis.exit_code,
        "Reason": diagnosis.reason,
        "Log stream": diagnosis.log_stream,
    }
    return Announcement(
        kind=kind,
        symbol=symbol,
        title=f"{facts.name} {verb}: {diagnosis.error}",
        summary=diagnosis.sentence,
        quote=last_word(log),
        facts=(
            *(Fact(label, str(value)) for label, value in known.items() if value not in (None, "")),
            *filter(None, [_markets(facts.recorded.gangs, None), _cost(facts.cost)]),
        ),
        log=tuple(readable(log)),
        steps=what_to_do(diagnosis.error, facts.ended.execution_arn, redrivable=facts.redrivable),
        links=tuple(links),
        footnote=_footnote(facts),
    )


def file_rejected(outcome: FileRejected) -> Announcement:
    """A file landed that no run can be started for."""
    return Announcement(
        kind="file-rejected",
        symbol="⚠️",
        title="A file was not accepted",
        summary=outcome.reason,
        facts=(Fact("Bucket", outcome.bucket), Fact("Key", outcome.key)),
        steps=(
            Step(
                "Land it under data/<dataset>/YYYYMMDD/<file>.csv (or data/YYYYMMDD/<file>.csv for the default dataset)."
            ),
        ),
        footnote=f"further files under {outcome.prefix} are not told within this hour",
    )


def day_late(outcome: DayLate) -> Announcement:
    """A dataset's file did not come in time."""
    return Announcement(
        kind="day-late",
        symbol="⏰",
        title=f"{outcome.dataset} {_day(outcome.day)} is late",
        summary=f"No file has landed for this day; it was expected by {outcome.expected_by}.",
        steps=(Step("Ask who delivers it. Nothing has to be started: the run begins when the file lands."),),
        footnote="told once for this day",
    )


@dataclass(frozen=True)
class Unsent:
    """A message that waits for a summary: its name in the table, and of the message what the summary says."""

    name: str
    kind: str
    title: str
    link: str = ""


_COUNTED = {
    "run-failed": "failed",
    "run-timed-out": "ran out of time",
    "run-stopped": "stopped",
    "file-rejected": "files not accepted",
    "day-late": "late days",
    "run-succeeded": "done",
}
"""How the messages of each kind are counted, worst first."""
_NAMED, _LINKED = 5, 5
_SHORT = 100


def messages_summary(unsent: Sequence[Unsent]) -> Announcement:
    """More messages than Slack takes, in one."""
    kinds = sorted({one.kind for one in unsent}, key=lambda kind: [*_COUNTED, kind].index(kind))
    by_kind = {kind: sorted((one for one in unsent if one.kind == kind), key=lambda one: one.title) for kind in kinds}
    failed = [one for kind in kinds if kind in _ENDS_BADLY for one in by_kind[kind]]
    return Announcement(
        kind=SUMMARY,
        symbol="❌" if failed else "🗂️",
        title=f"{_count(len(unsent))} more {'message' if len(unsent) == 1 else 'messages'}"
        + (f", {_count(len(failed))} of failed runs" if failed else ""),
        summary="More came at once than Slack takes. Each of them stands in the runs table and went to the messages' topic by itself.",
        facts=tuple(
            Fact(f"{_count(len(found))} {_COUNTED.get(kind, kind)}", _first_titles(found))
            for kind, found in by_kind.items()
        ),
        steps=(Step('List the failed runs with the command under "Look at a run" in docs/operate.md.'),)
        if failed
        else (),
        links=tuple(Link(one.title, one.link) for one in failed[:_LINKED] if one.link),
    )


def _first_titles(found: Sequence[Unsent]) -> str:
    titles = [one.title if len(one.title) <= _SHORT else f"{one.title[: _SHORT - 1]}…" for one in found[:_NAMED]]
    more = [f"and {_count(len(found) - _NAMED)} more"] if len(found) > _NAMED else []
    return "; ".join([*titles, *more])


def _success_in_a_sentence(metrics: Mapping[str, Any]) -> str:
    rows = metrics.get("rows")
    if not rows:
        return "The run succeeded; its metrics could not be read from the table."
    cleaned = f"{_count(rows['clean'])} of {_count(rows['read'])} rows are clean."
    model = metrics.get("model")
    if model is None:
        return f"{cleaned} There was nothing to train a model on."
    unseen = metrics["quality"]["validation"]
    if unseen is None:
        return f"{cleaned} A model of {model['target']} was trained; no row was left to test it on."
    return f"{cleaned} The model of {model['target']} was tested on {_count(unseen['rows'])} rows it had not seen."


def _rows(rows: Mapping[str, Any] | None) -> Fact | None:
    if not rows:
        return None
    rejected = int(rows["rejected"])
    share = f" ({rejected / int(rows['read']):.2%})" if rejected else ""
    return Fact(
        "Rows", f"{_count(rows['read'])} read, {_count(rows['clean'])} clean, {_count(rejected)} rejected{share}"
    )


def _quality(quality: Mapping[str, Any] | None) -> Fact | None:
    validation = (quality or {}).get("validation")
    if validation is None:
        return None
    names = {"rmse": "RMSE", "mae": "MAE", "r2": "R²", "log_loss": "log loss", "auc": "AUC"}
    shown = [
        f"{label} {_number(validation[name])}" for name, label in names.items() if validation.get(name) is not None
    ]
    return Fact("Model on unseen rows", ", ".join(shown)) if shown else None


def _markets(gangs: Sequence[Mapping[str, Any]], gang: Mapping[str, Any] | None) -> Fact | None:
    if not gangs:
        return None
    stations = [_station(str(record.get("market")), str(record.get("outcome") or "")) for record in gangs]
    told = " → ".join(stations)
    if gang and gang.get("resumed_from") is not None:
        told += f", resumed from round {_count(gang['resumed_from'])}"
    return Fact("Where it ran", told)


_MARKETS = {Market.SPOT: "Spot", Market.ON_DEMAND: "On-Demand"}
_ENDS_OF_GANGS = {
    "Spot.Interrupted": "interrupted",
    "Spot.NoCapacity": "no capacity",
    "OnDemand.NoCapacity": "no capacity",
    "Gang.MemberLost": "lost a member",
    "Job.Misconfigured": "misconfigured",
}


def _station(market: str, outcome: str) -> str:
    """One gang: its market and, unless it got through, how it ended."""
    name = _MARKETS[Market(market)] if market in tuple(Market) else market
    ended = _ENDS_OF_GANGS.get(outcome, outcome if "." in outcome else "")
    return f"{name} ({ended})" if ended else name


def _duration(started_at: datetime | None, stopped_at: datetime | None) -> Fact | None:
    if started_at is None or stopped_at is None:
        return None
    return Fact("Took", _span(stopped_at - started_at))


def _cost(cost: Estimate | None) -> Fact | None:
    """What the run cost, by market, and what Spot did to that; nothing when no job ran."""
    if cost is None or not cost.cost:
        return None
    hours = [f"{_number(cost.hours_in(market))} h {name}" for market, name in _MARKETS.items() if cost.hours_in(market)]
    told = f"{money(cost.cost, cost.currency)} ({', '.join(hours)})"
    if cost.saved:
        told += f", Spot saved {money(cost.saved, cost.currency)}"
    if cost.wasted:
        told += f", reclaims wasted {money(cost.wasted, cost.currency)}"
    return Fact("Cost, estimated", told)


def _importance(model: Mapping[str, Any] | None) -> Fact | None:
    features = [str(entry["feature"]) for entry in (model or {}).get("importance") or ()][:5]
    return Fact("Matters most", ", ".join(features)) if features else None


def _most_surprising(rows: Sequence[Mapping[str, Any]]) -> Fact | None:
    if not rows:
        return None
    row = rows[0]
    key = row.get("key") or {"row": row["row"], "shard": row["shard"]}
    name = ", ".join(f"{field} {value}" for field, value in key.items())
    return Fact("Most surprising row", f"{name}: {_number(row['actual'])}, predicted {_number(row['prediction'])}")


# From here on a column comes from another population, by convention; the report shows the index of every column.
_ANOTHER_POPULATION = 0.25


def _drift(columns: Sequence[Mapping[str, Any]]) -> Fact | None:
    moved = [str(entry["column"]) for entry in columns if entry["index"] > _ANOTHER_POPULATION]
    return Fact("Unlike the days before", ", ".join(moved)) if moved else None


def _footnote(facts: RunFacts) -> str:
    redriven = f"redrive {facts.ended.redrive_count}" if facts.ended.redrive_count else ""
    key = facts.run.source.key if facts.run else ""
    return " · ".join(filter(None, [facts.ended.run_id, key, redriven]))


def _day(day: str) -> str:
    """`20130209` as people read it."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 and day.isdigit() else day


def _count(value: Any) -> str:
    return f"{int(value):,}"


def _number(value: Any) -> str:
    """A measurement to four significant digits."""
    return f"{float(value):,.4g}"


def _span(duration: timedelta) -> str:
    seconds = round(duration.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
