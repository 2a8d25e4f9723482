"""Charts as inline SVG, drawn by Vega-Lite.

Colours are CSS variables of the page, so that one drawing serves light and dark. Every chart is as wide as a phone; the page puts
them side by side where there is room. Only summaries are drawn: the size of a report does not grow with the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import vl_convert
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from postprocess.scores import Numbers

WIDTH = 340
_BINS = 40
_CELLS = 28

_CONFIG: dict[str, Any] = {
    "background": None,
    # Text is measured here with one font and shown there with another, which may be wider.
    "padding": {"left": 14, "right": 14, "top": 4, "bottom": 4},
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 11,
        "titleFontSize": 11,
    },
    "bar": {"color": "var(--accent)"},
    "rule": {"color": "var(--muted)"},
    "text": {"color": "var(--ink)", "fontSize": 11},
}


def draw_bars(rows: Sequence[Mapping[str, Any]], number: str = ",") -> Markup:
    """Horizontal bars in the order given (`label`, `value`), each with its number, in a d3 format, at its end."""
    shared: dict[str, Any] = {
        "y": {
            "field": "label",
            "type": "nominal",
            "sort": [row["label"] for row in rows],
            "title": None,
            "axis": {"labelLimit": 130, "labelPadding": 6, "domain": False, "ticks": False, "labelColor": "var(--ink)"},
        },
        # The longest bar leaves room for its number.
        "x": {
            "field": "value",
            "type": "quantitative",
            "axis": None,
            "scale": {"domain": [0, 1.2 * max(row["value"] for row in rows)]},
        },
    }
    return _draw(
        {
            "data": {"values": list(rows)},
            "height": {"step": 24},
            "encoding": shared,
            "layer": [
                {"mark": {"type": "bar", "cornerRadiusEnd": 2, "height": 14}},
                {
                    "mark": {"type": "text", "align": "left", "dx": 4},
                    "encoding": {"text": {"field": "value", "type": "quantitative", "format": number}},
                },
            ],
        }
    )


def draw_curves(points: Sequence[Mapping[str, Any]], x: str, y: str) -> Markup:
    """Lines of `value` over `at`, one for each `line`."""
    lines = list(dict.fromkeys(point["line"] for point in points))
    return _draw(
        {
            "data": {"values": list(points)},
            "height": 160,
            "mark": {"type": "line", "strokeWidth": 1.8},
            "encoding": {
                "x": {"field": "at", "type": "quantitative", "title": x, "axis": {"tickMinStep": 1, "tickCount": 5}},
                "y": {"field": "value", "type": "quantitative", "title": y, "axis": {"tickCount": 4}},
                "color": {
                    "field": "line",
                    "type": "nominal",
                    "legend": {"orient": "top", "direction": "vertical", "title": None, "labelColor": "var(--ink)"},
                    "scale": {"domain": lines, "range": ["var(--accent)", "var(--good)"]},
                },
            },
        }
    )


def draw_over_days(points: Sequence[Mapping[str, Any]], number: str) -> Markup:
    """One measure (`value`) day by day (`day`), oldest first; the last day stands out. `number` is a d3 format."""
    return _draw(
        {
            "data": {"values": list(points)},
            "height": 130,
            "encoding": {
                "x": {
                    "field": "day",
                    "type": "ordinal",
                    "title": None,
                    "axis": {"labelAngle": -40, "labelOverlap": True},
                },
                "y": {
                    "field": "value",
                    "type": "quantitative",
                    "title": None,
                    "scale": {"zero": True},
                    "axis": {"tickCount": 4, "format": number},
                },
            },
            "layer": [
                {"mark": {"type": "line", "color": "var(--line)"}},
                {"mark": {"type": "point", "filled": True, "size": 40, "color": "var(--muted)", "opacity": 1}},
                {
                    "transform": [{"filter": {"field": "day", "equal": points[-1]["day"]}}],
                    "mark": {"type": "point", "filled": True, "size": 80, "color": "var(--accent)", "opacity": 1},
                },
            ],
        }
    )


def draw_spans(rows: Sequence[Mapping[str, Any]], unit: str) -> Markup:
    """Ranges of time (`label`, `start`, `end`, `kind`) on one line for each label, in the order given.

    `kind` is `waited`, `done` or `interrupted`, and sets the colour.
    """
    return _draw(
        {
            "data": {"values": list(rows)},
            "height": {"step": 26},
            "mark": {"type": "bar", "cornerRadius": 2, "height": 14},
            "encoding": {
                "y": {
                    "field": "label",
                    "type": "nominal",
                    "sort": list(dict.fromkeys(row["label"] for row in rows)),
                    "title": None,
                    "axis": {
                        "labelLimit": 130,
                        "labelPadding": 6,
                        "domain": False,
                        "ticks": False,
                        "labelColor": "var(--ink)",
                    },
                },
                "x": {"field": "start", "type": "quantitative", "title": unit, "axis": {"tickCount": 5}},
                "x2": {"field": "end"},
                "color": {
                    "field": "kind",
                    "type": "nominal",
                    "legend": {"orient": "top", "title": None, "labelColor": "var(--ink)", "symbolType": "square"},
                    "scale": {
                        "domain": ["waited", "done", "interrupted"],
                        "range": ["var(--muted)", "var(--good)", "var(--bad)"],
                    },
                },
            },
        }
    )


def draw_histogram(values: Numbers, title: str) -> Markup:
    """How values are distributed, between their 0.5% and 99.5% quantiles; what lies beyond is counted in the outermost bars."""
    low, high = (float(edge) for edge in np.quantile(values, (0.005, 0.995)))
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, high))
    data = [
        {"from": float(start), "to": float(end), "rows": int(count)}
        for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return _draw(
        {
            "data": {"values": data},
            "height": 170,
            "layer": [
                {
                    "mark": {"type": "bar", "binSpacing": 1},
                    "encoding": {
                        "x": {
                            "field": "from",
                            "type": "quantitative",
                            "bin": {"binned": True},
                            "title": title,
                            "axis": {"tickCount": 5},
                        },
                        "x2": {"field": "to"},
                        "y": {
                            "field": "rows",
                            "type": "quantitative",
                            "title": "rows",
                            "axis": {"tickCount": 4, "format": "~s"},
                        },
                    },
                },
                {"mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": {"x": {"datum": 0}}},
            ],
        }
    )


def draw_actual_against_predicted(actual: Numbers, prediction: Numbers, target: str) -> Markup:
    """Where actual and predicted values fall together: the nearer to the line, the better; darker cells hold more rows."""
    both = np.concatenate([actual, prediction])
    low, high = (float(edge) for edge in np.quantile(both, (0.002, 0.998)))
    if low == high:
        low, high = low - 0.5, high + 0.5
    span = [[low, high], [low, high]]
    counts, edges, _ = np.histogram2d(np.clip(prediction, low, high), np.clip(actual, low, high), _CELLS, span)
    data = [
        {
            "x": float(edges[column]),
            "x2": float(edges[column + 1]),
            "y": float(edges[row]),
            "y2": float(edges[row + 1]),
            "rows": int(counts[column, row]),
        }
        for column, row in np.argwhere(counts)
    ]
    domain = {"domain": [low, high], "nice": False}
    return _draw(
        {
            "height": WIDTH - 90,
            "layer": [
                {
                    "data": {"values": data},
                    "mark": {"type": "rect", "color": "var(--accent)"},
                    "encoding": {
                        "x": {"field": "x", "type": "quantitative", "scale": domain, "title": f"predicted {target}"},
                        "x2": {"field": "x2"},
                        "y": {"field": "y", "type": "quantitative", "scale": domain, "title": f"actual {target}"},
                        "y2": {"field": "y2"},
                        "opacity": {
                            "field": "rows",
                            "type": "quantitative",
                            "scale": {"type": "log", "range": [0.18, 1]},
                            "legend": None,
                        },
                    },
                },
                {
                    "data": {"values": [{"at": low}, {"at": high}]},
                    "mark": {"type": "line", "color": "var(--muted)", "strokeDash": [4, 3], "strokeWidth": 1},
                    "encoding": {
                        "x": {"field": "at", "type": "quantitative"},
                        "y": {"field": "at", "type": "quantitative"},
                    },
                },
            ],
        }
    )


def draw_reliability(actual: Numbers, probability: Numbers) -> Markup:
    """How often rows of a predicted probability were of class 1, in tenths: on the line predicted and observed agree."""
    tenth = np.minimum((probability * 10).astype(int), 9)
    data = [
        {
            "predicted": float(probability[tenth == at].mean()),
            "observed": float(actual[tenth == at].mean()),
            "rows": int(rows),
        }
        for at, rows in enumerate(np.bincount(tenth, minlength=10))
        if rows
    ]
    unit = {"domain": [0, 1]}
    return _draw(
        {
            "height": WIDTH - 90,
            "layer": [
                {
                    "data": {"values": [{"at": 0}, {"at": 1}]},
                    "mark": {"type": "line", "color": "var(--muted)", "strokeDash": [4, 3], "strokeWidth": 1},
                    "encoding": {
                        "x": {"field": "at", "type": "quantitative", "scale": unit, "title": "predicted probability"},
                        "y": {"field": "at", "type": "quantitative", "scale": unit, "title": "observed share"},
                    },
                },
                {
                    "data": {"values": data},
                    "mark": {"type": "line", "color": "var(--accent)", "point": {"color": "var(--accent)"}},
                    "encoding": {
                        "x": {"field": "predicted", "type": "quantitative"},
                        "y": {"field": "observed", "type": "quantitative"},
                    },
                },
            ],
        }
    )


def _make_drawable(value: Any) -> Any:
    """A specification without what Vega trips over in texts.

    Of a character of two UTF-16 units it may draw half, when it cuts a long label, which fails; and it reads a backslash in a title as
    the beginning of an escape.
    """
    if isinstance(value, str):
        return "".join(one if one <= "\uffff" else "\u25a1" for one in value).replace("\\", "\u29f5")
    if isinstance(value, dict):
        return {name: _make_drawable(item) for name, item in value.items()}
    return [_make_drawable(item) for item in value] if isinstance(value, list | tuple) else value


def _draw(spec: Mapping[str, Any]) -> Markup:
    # fit-x: a drawing is exactly WIDTH wide, labels included, so that all are shown at one scale.
    sized = {**spec, "width": WIDTH, "autosize": {"type": "fit-x", "contains": "padding"}, "config": _CONFIG}
    svg = vl_convert.vegalite_to_svg(_make_drawable(sized), vl_version="6.4")
    return Markup(svg)  # noqa: S704  Vega escapes the text that it draws
