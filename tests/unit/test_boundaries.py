"""The three houses of the repository, the product, the command and the twin, and who may import whom."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

import pytest

from tests.imports import ROOT, draw_graph, find_circles, find_modules, list_imports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FUNCTIONS = sorted(path for path in (ROOT / "functions").iterdir() if path.is_dir())
JOBS = sorted(path for path in (ROOT / "jobs").iterdir() if path.is_dir())
PRODUCT = [ROOT / "layers" / "spotline", *FUNCTIONS, *JOBS]
"""The folders of what is deployed, each on Python's path."""
TWIN = ROOT / "twin" / "src"

HOUSES = {
    "twin": (TWIN, "twin"),
    "cli": (ROOT, "cli"),
    **{folder.relative_to(ROOT).as_posix(): (folder, ".") for folder in PRODUCT},
}
"""Every base on Python's path, and the folder in it, in which no modules may import each other in a circle."""

KNOWN_CIRCLES = {
    frozenset(
        f"spotline.contracts.{name}" for name in ("cells", "delivery", "dialect", "field_parsing", "model", "parsing")
    ),
    frozenset(f"preprocess.{name}" for name in ("cutting", "grammar", "moments", "native")),
}
"""Circles that are still there. None is added; one that is gone, or has become smaller, is struck off this list."""

SIZED = [ROOT / "jobs" / name for name in ("analysis", "postprocess")]
"""Folders in which files and functions have the right size."""
FEW_LINES, MOST_LINES, MOST_LINES_OF_A_FUNCTION = 60, 400, 59

THIN_FILES = {
    "jobs/analysis/analysis/log.py": "the format of log lines, which supervisor and worker share; it imports neither",
    "jobs/analysis/analysis/outcomes.py": "the errors and the exit reason, which most modules import; it imports none of them",
}
"""Files of few lines beside `__init__.py` and `__main__.py`, and why each stands alone."""

PRODUCT_FOLDERS = ("functions", "layers", "jobs", "contracts", "infrastructure", "statemachine", "samples", "examples")


def name_packages(folders: list[Path]) -> set[str]:
    """The first names of all modules in these folders."""
    return {module.partition(".")[0] for folder in folders for module in find_modules(folder)}


def list_imported_packages(base: Path, folder: str = ".") -> dict[str, set[str]]:
    """The first names of all that each module imports."""
    return {
        module: {name.partition(".")[0] for name in list_imports(file, module)}
        for module, file in find_modules(base, folder).items()
    }


def read_words(file: Path) -> Iterator[tuple[int, str]]:
    """The comments and texts of a Python file, or the lines of another, with their line numbers."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            yield token.start[0], token.string


def test_each_part_of_the_product_is_found() -> None:
    assert {"spotline", "ingest", "sweeping", "preprocess", "analysis", "postprocess"} <= name_packages(PRODUCT)
    assert len(find_modules(TWIN)) > 100


@pytest.mark.parametrize("folder", PRODUCT, ids=lambda folder: folder.name)
def test_the_product_imports_neither_twin_nor_command(folder: Path) -> None:
    for module, packages in list_imported_packages(folder).items():
        assert packages.isdisjoint({"twin", "cli", "moto", "tests", "benchmarks"}), module


@pytest.mark.parametrize("folder", [*FUNCTIONS, *JOBS], ids=lambda folder: folder.name)
def test_functions_and_jobs_import_the_layer_and_nothing_of_each_other(folder: Path) -> None:
    others = name_packages([other for other in (*FUNCTIONS, *JOBS) if other != folder]) - name_packages([folder])
    for module, packages in list_imported_packages(folder).items():
        assert packages.isdisjoint(others), module


def test_the_layer_imports_no_function_and_no_job() -> None:
    for module, packages in list_imported_packages(ROOT / "layers" / "spotline").items():
        assert packages.isdisjoint(name_packages([*FUNCTIONS, *JOBS])), module


@pytest.mark.parametrize(
    ("base", "folder"), [(TWIN, "twin"), (ROOT / "twin" / "tests", ".")], ids=["the twin", "its tests"]
)
def test_the_twin_imports_nothing_of_the_product_or_the_command(base: Path, folder: str) -> None:
    foreign = name_packages(PRODUCT) | {"cli", "tests", "benchmarks", "samples"}
    for module, packages in list_imported_packages(base, folder).items():
        assert packages.isdisjoint(foreign), module


def test_the_twin_names_nothing_of_the_product() -> None:
    packages = {"spotline", *(folder.name for folder in FUNCTIONS + JOBS)}
    named = re.compile(rf"\b(?:{'|'.join(sorted(packages))})\b|\b(?:{'|'.join(PRODUCT_FOLDERS)})/", re.IGNORECASE)
    files = [*find_modules(TWIN).values(), ROOT / "twin" / "README.md", ROOT / "twin" / "pyproject.toml"]
    found = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in files
        for line, text in read_words(file)
        for word in named.findall(text)
    ]
    assert found == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graphs = [draw_graph(find_modules(base, folder)) for base, folder in HOUSES.values()]
    assert {circle for graph in graphs for circle in find_circles(graph)} == KNOWN_CIRCLES


@pytest.mark.parametrize("folder", SIZED, ids=lambda folder: folder.name)
def test_a_file_of_few_lines_has_a_reason(folder: Path) -> None:
    thin = {
        file.relative_to(ROOT).as_posix()
        for file in folder.rglob("*.py")
        if file.stem not in ("__init__", "__main__") and len(file.read_text().splitlines()) < FEW_LINES
    }
    assert thin == {file for file in THIN_FILES if (ROOT / file).is_relative_to(folder)}


@pytest.mark.parametrize("folder", SIZED, ids=lambda folder: folder.name)
def test_no_file_and_no_function_is_too_long(folder: Path) -> None:
    for file in folder.rglob("*.py"):
        text = file.read_text()
        assert len(text.splitlines()) <= MOST_LINES, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or node.lineno) - node.lineno < MOST_LINES_OF_A_FUNCTION, f"{file}: {node.name}"


def test_a_circle_through_types_alone_and_one_within_a_function_are_found(tmp_path: Path) -> None:
    # Given three modules in a circle, no import of which happens when they are loaded, and one beside it
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "__init__.py").write_text("from house import first\n")
    (tmp_path / "house" / "first.py").write_text("if TYPE_CHECKING:\n    from house.second import Thing\n")
    (tmp_path / "house" / "second.py").write_text("def work():\n    from . import third\n")
    (tmp_path / "house" / "third.py").write_text("import house.first\n")
    # When circles are looked for
    found = find_circles(draw_graph(find_modules(tmp_path)))
    # Then the three are one
    assert found == {frozenset({"house.first", "house.second", "house.third"})}
