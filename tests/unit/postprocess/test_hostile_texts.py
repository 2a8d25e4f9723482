"""The report shows whatever names and values data has as text: no markup, no broken drawing, no reordered neighbour."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from postprocess.inputs import read_local_inputs, read_rejected_rows
from postprocess.metrics import RunContext, RunIdentity, build_metrics
from postprocess.parts import read_predictions
from postprocess.report import render
from tests.unit.postprocess.leftovers import Scored, write_analysis, write_clean
from tests.unit.test_keys import NASTY, POISONOUS

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [*NASTY, *(f"a{one}b" for one in POISONOUS if one != "\ud800"), "</svg><svg onload=x>", "]]>", "x" * 5000, ""]


class Elements(HTMLParser):
    """The elements of a page, and whether any of them runs something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.handlers += [
            name for name, value in attrs if name.startswith("on") or (value or "").startswith("javascript:")
        ]


def render_with(texts: list[str], folder: Path) -> str:
    """A report whose columns, values, features, reasons and keys are called by these texts."""
    names = [text for text in texts if text]  # a contract's field has a name
    clean = write_clean(folder / "clean")
    quality = json.loads((clean / "quality.json").read_text())
    top = [{"value": text, "count": 1} for text in texts]
    column: dict[str, Any] = {"type": "string", "missing": 0, "distinct": 99, "min": "a", "max": "b", "top": top[:5]}
    quality["columns"] = {name: column | {"top": top[at : at + 5]} for at, name in enumerate(names)}
    quality["rejected"] = [{"code": "pattern", "field": name, "rows": 1, "examples": []} for name in names]
    (clean / "quality.json").write_text(json.dumps(quality))
    importances = {name: 1 / (at + 1) for at, name in enumerate(names)}
    details = {"importances": importances, "metric": texts[0], "history": [[1, 3.0, 3.5], [10, 2.0, 2.5]]}
    member = Scored((1.0, 2.0, 4.0), (1.5, 2.0, 9.0), ("train", "validation", "validation"))
    inputs = read_local_inputs(write_analysis(folder / "analysis", clean, [member], details=details))
    assert inputs.analysed is not None
    predictions = read_predictions(inputs.analysed)
    run = RunIdentity(file=names[0], run_id="run", dataset="flights", day="20130209", execution_arn=names[0])
    document = build_metrics(run, inputs, predictions, RunContext())
    document["metrics"]["model"]["target"] = names[0]
    for row in document["surprising"]:
        row["key"] = dict(zip(names[:3], texts[:3], strict=True))
        row["reasons"] = [{"feature": name, "value": name, "contribution": 0.1} for name in names[:12]]
    return render(document, quality, predictions, read_rejected_rows(inputs.cleaned)).decode()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("start", range(0, len(TEXTS), 9))
def test_hostile_names_and_values_are_shown_as_text(start: int, tmp_path: Path) -> None:
    texts = (TEXTS + TEXTS)[start : start + 12]
    page = render_with(texts, tmp_path)
    # Nothing in the data becomes an element or runs
    elements = Elements()
    elements.feed(page)
    assert "script" not in elements.found
    assert elements.handlers == []
    # Nor does it show what nobody sees, or change the order of what is shown
    assert not re.search(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", page
    )
    assert len(page) < 400_000
