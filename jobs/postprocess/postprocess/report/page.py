"""The page: the texts of the report, and where its charts stand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from postprocess.parts import Task
from postprocess.report import run_history, sections
from postprocess.report.formatting import (
    format_count,
    format_day,
    format_number,
    format_signed,
    format_value,
    make_readable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from postprocess.inputs import RejectedRow
    from postprocess.parts import Predictions

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
    cost = run_history.summarise_cost(document)
    page = _build_environment().get_template("report.html.j2")
    return page.render(
        css=Markup((_HERE / "report.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
        title=f"{run['dataset']} {format_day(run['day'])}" if run["dataset"] else Path(run["file"]).name,
        run=run,
        rows=rows,
        tiles=[*sections.build_tiles(metrics), *_build_cost_tile(cost)],
        rejections=sections.draw_rejections(document["rejected"]),
        samples=samples,
        columns_left_out=max(0, len(quality["columns"]) - sections.COLUMNS_SHOWN),
        columns=sections.build_columns(quality, rows["clean"], document["drift"]),
        days=sections.draw_days(document),
        compared=len(document["drift"]["days"]) if document["drift"] else 0,
        legs=run_history.list_legs(document),
        run_in_words=run_history.describe_run(document),
        timeline_chart=run_history.draw_timeline(document),
        cost=cost,
        cost_is_missing=cost is None and bool(run["run_id"]),  # a folder on this machine has no run, and no cost
        model=model,
        quality=metrics["quality"],
        model_in_words=_describe_model(model, gang) if model else _explain_missing_model(rows),
        scores=[{"name": name, "label": label} for name, label in sections.SCORES[Task(model["task"])]]
        if model
        else [],
        charts=sections.draw_model(document, predictions) if model and predictions else [],
        surprising=[{**row, "name": _name_row(row)} for row in document["surprising"][:_SURPRISING_SHOWN]],
        origin=_list_origin(run, gang),
    ).encode()


@cache
def _build_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {
        "count": format_count,
        "number": format_number,
        "shown": format_value,
        "signed": format_signed,
    }
    return environment


def _build_cost_tile(cost: Mapping[str, Any] | None) -> list[dict[str, str]]:
    if cost is None:
        return []
    return [{"label": "cost, estimated", "value": cost["total"], "note": f"Spot saved {cost['saved']}"}]


def _describe_model(model: Mapping[str, Any], gang: Mapping[str, Any]) -> str:
    members = "one member" if gang["members"] == 1 else f"{gang['members']} members"
    words = f"Gradient-boosted trees predict {model['target']}, trained by {members} in {gang['rounds']} rounds"
    if gang["resumed_from"] is not None:
        words += f", resumed from the checkpoint of round {gang['resumed_from']}"
    if model["unlabelled"]:
        words += f". {format_count(model['unlabelled'])} clean rows have no {model['target']}: they neither train nor test it"
    return f"{words}."


def _explain_missing_model(rows: Mapping[str, Any]) -> str:
    if not rows["clean"]:
        return "No row is clean, so no model was trained."
    return "The contract names no target, so no model was trained."


def _name_row(row: Mapping[str, Any]) -> str:
    """A row by its primary key, or by its place among the clean rows."""
    if row["key"]:
        return ", ".join(f"{name} {format_value(value)}" for name, value in row["key"].items())
    return f"row {format_count(row['row'])} of shard {row['shard']}"


def _list_origin(run: Mapping[str, Any], gang: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    origin = {
        "run": run["run_id"],
        "file": run["file"],
        "version": run["version_id"],
        "execution": run["execution_arn"],
        "gang": gang and gang["job_id"],
    }
    return [(label, str(value)) for label, value in origin.items() if value]
