"""The parts of the page that take more than a look-up: columns, days before, charts of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postprocess.parts import Task
from postprocess.report import charts
from postprocess.report.formatting import format_count, format_day, format_number, format_share, format_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from postprocess.parts import Predictions

SCORES = {
    Task.REGRESSION: (("rmse", "RMSE"), ("mae", "MAE"), ("r2", "R²")),
    Task.BINARY: (("log_loss", "log loss"), ("auc", "AUC")),
}
_FEATURES_SHOWN = 12
_REASONS_SHOWN = 12
COLUMNS_SHOWN = 60
# By convention, see postprocess.drift.compute_stability_index.
_MOVED, _ANOTHER = 0.1, 0.25


def draw_rejections(rejected: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Why rows were rejected, as bars."""
    rows = [
        {"label": " ".join(filter(None, [entry["field"], entry["code"]])), "value": entry["rows"]}
        for entry in rejected[:_REASONS_SHOWN]
    ]
    return charts.draw_bars(rows) if rows else None


def build_columns(quality: Mapping[str, Any], rows: int, drift: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What each column holds and, with a day before, how far it moved; those that moved most first."""
    moved = {entry["column"]: entry for entry in drift["columns"]} if drift else {}
    names = sorted(quality["columns"], key=lambda name: -moved[name]["index"] if name in moved else 0.0)
    return [
        {
            "name": name,
            "type": column["type"],
            "missing": format_share(column["missing"] / rows) if rows else "",
            "distinct": format_count(column["distinct"]),
            "holds": _describe_values(column),
            "drift": _describe_drift(moved[name]) if name in moved else None,
        }
        for name, column in ((name, quality["columns"][name]) for name in names[:COLUMNS_SHOWN])
    ]


def _describe_values(column: Mapping[str, Any]) -> str:
    """The range of a column, or its commonest values."""
    if column.get("min") is None:
        return "nothing"
    if "quantiles" in column and column["distinct"] > 1:
        return f"{format_value(column['min'])} to {format_value(column['max'])}"
    return ", ".join(format_value(entry["value"]) for entry in column["top"][:5])


def _describe_drift(entry: Mapping[str, Any]) -> dict[str, str]:
    index = entry["index"]
    level = "another" if index > _ANOTHER else "moved" if index > _MOVED else "alike"
    words = {"another": "very different", "moved": "moved", "alike": "as before"}
    return {"level": level, "words": words[level], "index": f"{index:.2f}"}


def draw_days(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The day among the days before it: rows, rejected rows and the model's quality; nothing without a day before."""
    drift, run, metrics = document["drift"], document["run"], document["metrics"]
    if not drift:
        return []
    measured = [*((entry["day"], entry["metrics"]) for entry in drift["days"]), (run["day"], metrics)]
    measures: list[tuple[str, Any, str]] = [
        ("Rows read", lambda one: one["rows"]["read"], "~s"),
        ("Rejected", lambda one: one["rows"]["rejected_share"], ".2~%"),
    ]
    if metrics["model"]:
        name, label = SCORES[Task(metrics["model"]["task"])][0]
        measures.append(
            (f"{label} on unseen rows", lambda one: ((one["quality"] or {}).get("validation") or {}).get(name), "~g")
        )
    drawn = []
    for title, measure, form in measures:
        points = [{"day": format_day(when)[5:], "value": measure(one)} for when, one in measured]
        points = [point for point in points if point["value"] is not None]
        if len(points) > 1:
            drawn.append({"title": title, "drawing": charts.draw_over_days(points, form)})
    return drawn


def draw_model(document: Mapping[str, Any], predictions: Predictions) -> list[dict[str, Any]]:
    """How good the model is, which features it uses and how it learnt."""
    model, learning = document["metrics"]["model"], document["learning"]
    evaluation = predictions.evaluation
    actual, prediction = predictions.actual[evaluation], predictions.prediction[evaluation]
    drawn: list[dict[str, Any]] = []
    if len(actual) and predictions.task is Task.BINARY:
        drawn.append({"title": "Predicted and observed", "drawing": charts.draw_reliability(actual, prediction)})
    elif len(actual):
        drawing = charts.draw_actual_against_predicted(actual, prediction, model["target"])
        drawn.append({"title": "Actual against predicted", "drawing": drawing})
        title = f"actual minus predicted {model['target']}"
        drawn.append({"title": "How far it is off", "drawing": charts.draw_histogram(actual - prediction, title)})
    features = [{"label": entry["feature"], "value": entry["share"]} for entry in model["importance"][:_FEATURES_SHOWN]]
    if features:
        drawn.append({"title": "Feature importance (share of gain)", "drawing": charts.draw_bars(features, ".1%")})
    points = [
        {"at": entry[0], "value": entry[column], "line": line}
        for column, line in ((1, "rows it learnt from"), (2, "rows it had not seen"))
        for entry in learning["history"]
        if entry[column] is not None
    ]
    if points:
        drawn.append({"title": "How it learnt", "drawing": charts.draw_curves(points, "round", learning["metric"])})
    return drawn


def build_tiles(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """The most important numbers, at the top of the page."""
    rows, quality, model = metrics["rows"], metrics["quality"], metrics["model"]
    shown_first = [
        {"label": "rows read", "value": format_count(rows["read"]), "note": ""},
        {"label": "clean", "value": format_count(rows["clean"]), "note": ""},
        {"label": "rejected", "value": format_count(rows["rejected"]), "note": format_share(rows["rejected_share"])},
    ]
    if model and quality and quality["validation"]:
        shown_first += [
            {"label": label, "value": format_number(quality["validation"][name]), "note": "on rows it had not seen"}
            for name, label in SCORES[Task(model["task"])]
            if quality["validation"][name] is not None
        ]
    return shown_first
