"""The metrics that our own code writes, read from its source: names with the dimensions that each carries."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.template.system import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Metric = tuple[str, tuple[str, ...]]
_WRITERS = {"Measurement"}
_SOURCES = ("functions", "layers")


def emitted() -> set[Metric]:
    """Every metric that functions and layer write, as (name, dimensions)."""
    return {metric for folder in _SOURCES for path in (ROOT / folder).rglob("*.py") for metric in written_by(path)}


def written_by(path: Path) -> Iterator[Metric]:
    """The metrics of one file. A name or dimension that is no literal cannot be charted and is an error."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _WRITERS:
            arguments = dict(zip(("name", "value", "unit", "dimensions"), node.args, strict=False))
            arguments |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            name, dimensions = arguments["name"], arguments.get("dimensions", ast.Dict([], []))
            if not isinstance(name, ast.Constant) or not isinstance(dimensions, ast.Dict):
                raise TypeError(f"{path}:{node.lineno}: a metric's name and dimensions must stand where it is written")
            keys = tuple(key.value for key in dimensions.keys if isinstance(key, ast.Constant))
            yield str(name.value), tuple(str(key) for key in keys)
