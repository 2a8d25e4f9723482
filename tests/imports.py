"""Who imports whom, read from the sources: every import counts, also one for types alone or within a function."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]


def find_modules(base: Path, folder: str = ".") -> dict[str, Path]:
    """The modules in a folder of `base`, by the dotted names under which Python imports them where `base` is on its path."""
    return {_name(file.relative_to(base)): file for file in sorted((base / folder).rglob("*.py"))}


def _name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def list_imports(file: Path, module: str) -> Iterator[str]:
    """Every dotted name that a module imports, ``from a import b`` as ``a.b``."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def draw_graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """For each of these modules, those that it imports."""
    graph: dict[str, set[str]] = {}
    for module, file in modules.items():
        imported = {_find_module(name, modules) for name in list_imports(file, module)}
        graph[module] = {name for name in imported if name and name != module}
    return graph


def _find_module(name: str, modules: Mapping[str, Path]) -> str | None:
    """The module that an imported name is, or stands in."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def find_circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The groups of modules that import each other, directly or through others of the group."""
    reached = {module: _reach(module, graph) for module in graph}
    groups = {frozenset(other for other in reached[module] if module in reached[other]) for module in graph}
    return {group for group in groups if group}


def _reach(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += graph[module]
    return found
