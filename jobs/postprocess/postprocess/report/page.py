"""The page: what the report says, in which words, and where its charts stand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from postprocess.parts import Task
from postprocess.report import sections, way
from postprocess.report.wording import count, day, make_readable, number, shown, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from postprocess.parts import Predictions
    from postprocess.rejects import RejectedRow

_HERE = Path(__file__).parent
_SURPRISING_SHOWN = 12


def render(
    document: Mapping[str, Any],
    quality: Mapping[str, Any],
    predictions: Predictions | None,
    samples: Sequence[RejectedRow],
) -> bytes:
    """Render `report.html`.

    Parameters
    ----------
    document
        The metrics document.
    quality
        The quality report of cleaning.
    predictions
        Every scored row, for the charts; None when there was nothing to analyse.
    samples
        The first rejected rows.
    """
    document, quality = make_readable(document), make_readable(quality)
    samples = [
        replace(sample, reasons=make_readable(sample.reasons), raw=make_readable(sample.raw)) for sample in samples
    ]
    run, metrics, gang = document["run"], document["metrics"], document["gang"]
    rows, model = metrics["rows"], metrics["model"]
    cost = way.cost(document)
    page = _environment().get_template("report.html.j2")
    return page.render(
        css=Markup((_HERE / "report.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
        title=f"{run['dataset']} {day(run['day'])}" if run["dataset"] else Path(run["file"]).name,
        run=run,
        rows=rows,
        tiles=[*sections.tiles(metrics), *_cost_tile(cost)],
        rejections=sections.rejections(document["rejected"]),
        samples=samples,
        columns_left_out=max(0, len(quality["columns"]) - sections.COLUMNS_SHOWN),
        columns=sections.columns(quality, rows["clean"], document["drift"]),
        days=sections.days(document),
        compared=len(document["drift"]["days"]) if document["drift"] else 0,
        legs=way.legs(document),
        way_in_words=way.in_words(document),
        way_chart=way.chart(document),
        cost=cost,
        cost_is_missing=cost is None and bool(run["run_id"]),  # a folder on this machine has no run, and no cost
        model=model,
        quality=metrics["quality"],
        model_in_words=_model_in_words(model, gang) if model else _no_model_in_words(rows),
        scores=[{"name": name, "label": label} for name, label in sections.SCORES[Task(model["task"])]]
        if model
        else [],
        charts=sections.model_charts(document, predictions) if model and predictions else [],
        surprising=[{**row, "name": _row_name(row)} for row in document["surprising"][:_SURPRISING_SHOWN]],
        origin=_origin(run, gang),
    ).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"count": count, "number": number, "shown": shown, "signed": signed}
    return environment


def _cost_tile(cost: Mapping[str, Any] | None) -> list[dict[str, str]]:
    if cost is None:
        return []
    return [{"label": "cost, estimated", "value": cost["total"], "note": f"Spot saved {cost['saved']}"}]


def _model_in_words(model: Mapping[str, Any], gang: Mapping[str, Any]) -> str:
    members = "one member" if gang["members"] == 1 else f"{gang['members']} members"
    words = f"Gradient-boosted trees predict {model['target']}, trained by {members} in {gang['rounds']} rounds"
    if gang["resumed_from"] is not None:
        words += f", resumed from the checkpoint of round {gang['resumed_from']}"
    if model["unlabelled"]:
        words += f". {count(model['unlabelled'])} clean rows have no {model['target']}: they neither train nor test it"
    return f"{words}."


def _no_model_in_words(rows: Mapping[str, Any]) -> str:
    if not rows["clean"]:
        return "No row is clean, so no model was trained."
    return "The contract names no target, so no model was trained."


def _row_name(row: Mapping[str, Any]) -> str:
    """A row by its primary key, or by its place among the clean rows."""
    if row["key"]:
        return ", ".join(f"{name} {shown(value)}" for name, value in row["key"].items())
    return f"row {count(row['row'])} of shard {row['shard']}"


def _origin(run: Mapping[str, Any], gang: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    known = {
        "run": run["run_id"],
        "file": run["file"],
        "version": run["version_id"],
        "execution": run["execution_arn"],
        "gang": gang and gang["job_id"],
    }
    return [(label, str(value)) for label, value in known.items() if value]
