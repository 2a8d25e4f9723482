"""Every test of the twin says whose word it holds the twin to: AWS's, with the page, or the twin's own."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ours

MODULES = sorted(Path(__file__).parent.glob("test_*.py"))
PAGE = re.compile(r"https://(docs\.aws\.amazon\.com|states-language\.net|github\.com/aws(labs)?|aws\.amazon\.com)/\S+")
REPORT = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/(?:issues|pull)/\d+")  # what somebody saw in a real account


def marks(node: ast.AST) -> Iterator[tuple[str, list[object]]]:
    """The marks of ours in an expression, with the pages that they name."""
    for found in ast.walk(node):
        if isinstance(found, ast.Attribute) and found.attr in ("documented", "ours"):
            yield found.attr, []
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute) and found.func.attr == "documented":
            yield "documented", [page.value for page in found.args if isinstance(page, ast.Constant)]


def sourced(module: Path) -> Iterator[tuple[str, bool]]:
    """The module's tests, and whether each is marked, or the module is."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    everywhere = any(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark" and any(marks(node.value))
        for node in tree.body
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name, everywhere or any(mark for it in node.decorator_list for mark in marks(it))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_test_says_whose_word_it_holds_the_twin_to(module: Path) -> None:
    assert [name for name, marked in sourced(module) if not marked] == []


def test_pages_are_pages_of_aws_or_live_reports() -> None:
    trees = [ast.parse(module.read_text(encoding="utf-8")) for module in MODULES]
    pages = [page for tree in trees for kind, found in marks(tree) if kind == "documented" for page in found]
    assert pages
    assert [
        page for page in pages if not (isinstance(page, str) and (PAGE.fullmatch(page) or REPORT.fullmatch(page)))
    ] == []
