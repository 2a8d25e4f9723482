"""What came of a run: the facts, as one JSON object and as a page for a terminal."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.journey import read_sentence
from cli.slack import message_text
from spotline.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.console import RenderableType

    from cli.journey import Journey


@dataclass(frozen=True)
class StateVisit:
    """One state that the execution entered, and how long it stayed (None when it never left)."""

    name: str
    seconds: float | None


@dataclass(frozen=True)
class GangRun:
    """One gang: where it ran, what became of it, and why (None when it did what it was launched for)."""

    generation: int
    market: str
    outcome: str
    why: str | None


@dataclass(frozen=True)
class Outcome:
    """What came of a run. Counts and metrics are None where the run did not come that far."""

    status: str
    execution_arn: str
    visits: tuple[StateVisit, ...]
    rows_read: int | None
    rows_clean: int | None
    rows_rejected: int | None
    gangs: tuple[GangRun, ...]
    reclaims: int
    resumed_from_round: int | None
    metrics: dict[str, Any] | None
    dynamodb_item: dict[str, Any] | None
    slack_messages: tuple[str, ...]
    error: str | None
    sentence: str | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether the run did what it was started for."""
        return self.status == "SUCCEEDED" and not any(visit.name == "Superseded" for visit in self.visits)

    def to_json(self) -> str:
        """One JSON object, on one line."""
        document = asdict(self)
        visits, gangs = document.pop("visits"), document.pop("gangs")
        document["states"] = [visit["name"] for visit in visits]
        document["markets"] = [gang["market"] for gang in gangs]
        return json.dumps(document, default=_plain, ensure_ascii=False)


def collect_outcome(journey: Journey, slack_messages: list[dict[str, Any]], reclaims: int, seconds: float) -> Outcome:
    """Collect what a finished run left, through the calls that its user would make."""
    description, history = journey.description(), journey.history()
    clean = journey.clean_manifest() or {}
    analysis = journey.analysis_manifest() or {}
    metrics = journey.result("metrics")
    return Outcome(
        status=description["status"],
        execution_arn=journey.execution_arn,
        visits=tuple(list_visits(history)),
        rows_read=clean.get("rows_read"),
        rows_clean=clean.get("rows_clean"),
        rows_rejected=clean.get("rows_rejected"),
        gangs=tuple(list_gang_runs(journey.gangs(), history)),
        reclaims=reclaims,
        resumed_from_round=analysis.get("resumed_from"),
        metrics=json.loads(metrics)["metrics"] if metrics else None,
        dynamodb_item=journey.day_item(),
        slack_messages=tuple(message_text(message) for message in slack_messages),
        error=description.get("error"),
        sentence=read_sentence(description["cause"]) if description.get("cause") else None,
        seconds=round(seconds, 2),
    )


def list_gang_runs(records: list[dict[str, Any]], history: list[dict[str, Any]]) -> Iterator[GangRun]:
    """The gangs of a run in order, each with the sentence of the typed failure that answered its Task."""
    sentences: dict[str, str] = {}
    for event in history:
        cause = event.get("taskFailedEventDetails", {}).get("cause", "")
        with contextlib.suppress(ValueError):
            failure = Failure.from_cause(cause)
            sentences[failure.job_id] = failure.sentence
    for gang in records:
        why = sentences.get(gang.get("job_id", ""))
        yield GangRun(int(gang["generation"]), gang["market"], gang.get("outcome", "open"), why)


def list_visits(history: list[dict[str, Any]]) -> list[StateVisit]:
    """The states that an execution entered, in order, from its history."""
    entered: list[tuple[str, datetime]] = []
    left: dict[int, float] = {}
    for event in history:
        if event["type"].endswith("StateEntered"):
            entered.append((event["stateEnteredEventDetails"]["name"], event["timestamp"]))
        elif event["type"].endswith("StateExited") and entered:
            left[len(entered) - 1] = (event["timestamp"] - entered[-1][1]).total_seconds()
    return [StateVisit(name, left.get(index)) for index, (name, _) in enumerate(entered)]


def build_page(outcome: Outcome, report: str | None) -> RenderableType:
    """The outcome as a page for a terminal. `report` is where the run's report was saved."""
    colour = "green" if outcome.succeeded else "red"
    headline = Text(f"{outcome.status} in {outcome.seconds:.1f} s", style=f"bold {colour}")
    parts: list[RenderableType] = [headline]
    if outcome.sentence:
        parts.append(Text(f"{outcome.error}: {outcome.sentence}", style=colour))
    parts += [_timeline(outcome), _facts(outcome, report)]
    if outcome.dynamodb_item is not None:
        item = json.dumps(outcome.dynamodb_item, default=_plain, indent=1, ensure_ascii=False)
        parts.append(Panel(Text(_shortened(item)), title="DynamoDB item of the day", title_align="left"))
    parts += [Panel(Text(message), title="Slack", title_align="left") for message in outcome.slack_messages]
    return Group(*parts)


def _timeline(outcome: Outcome) -> Table:
    table = Table(box=box.SIMPLE, title="Timeline", title_justify="left")
    table.add_column("state")
    table.add_column("seconds", justify="right")
    for visit in outcome.visits:
        table.add_row(visit.name, "" if visit.seconds is None else f"{visit.seconds:.1f}")
    return table


def _facts(outcome: Outcome, report: str | None) -> Table:
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    if outcome.rows_read is not None:
        table.add_row(
            "rows", f"{outcome.rows_read} read = {outcome.rows_clean} clean + {outcome.rows_rejected} rejected"
        )
    for gang in outcome.gangs:
        why = f" ({gang.why})" if gang.why else ""
        table.add_row(f"gang {gang.generation}", f"{gang.market}: {gang.outcome}{why}")
    if outcome.reclaims:
        table.add_row("reclaims", f"{outcome.reclaims}; training went on from round {outcome.resumed_from_round}")
    for name, value in list_quality(outcome.metrics):
        table.add_row(name, value)
    if report:
        table.add_row("report", report)
    return table


def list_quality(metrics: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The model's quality, one line for each set of rows that it was measured on."""
    quality = (metrics or {}).get("quality") or {}
    return [
        (
            f"model, {rows} rows",
            ", ".join(f"{name} {value:.4g}" for name, value in measures.items() if value is not None),
        )
        for rows, measures in quality.items()
        if isinstance(measures, dict)
    ]


_SHOWN_LINES = 30


def _shortened(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= _SHOWN_LINES:
        return text
    return "\n".join([*lines[:_SHOWN_LINES], f"… and {len(lines) - _SHOWN_LINES} lines more (--json shows all)"])


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
