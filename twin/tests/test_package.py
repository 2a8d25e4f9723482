"""The package is whole: what is built from this folder has every module, the command, and names all that it imports."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

FOLDER = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BROUGHT_ALONG = {"botocore": "boto3", "werkzeug": "moto"}
"""Distributions that a declared one needs for what the twin uses of it."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as pip installs it, without its dependencies, which are there already."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, FOLDER], check=True, timeout=100
    )
    return target


def test_the_installed_package_has_every_module_and_works_elsewhere(installed: Path, tmp_path: Path) -> None:
    sources = {path.relative_to(FOLDER / "src") for path in (FOLDER / "src").rglob("*.py")}
    assert {path.relative_to(installed) for path in (installed / "twin").rglob("*.py")} == sources
    program = "import twin, twin.cloud; print(twin.__file__); twin.Twin().__enter__().__exit__(None, None, None)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()) == installed / "twin" / "__init__.py"


def test_the_installed_command_shows_its_options(installed: Path) -> None:
    done = subprocess.run(
        [installed / "bin" / "twin", "up", "--help"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert all(option in done.stdout for option in ("--template", "--project", "--images"))


def test_every_import_is_of_the_standard_library_or_of_a_declared_dependency() -> None:
    declared = {re.split(r"[\[<>=;]", requirement)[0] for requirement in PROJECT["dependencies"]}
    distributions = importlib.metadata.packages_distributions()
    undeclared = set()
    for file in (FOLDER / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in {name.partition(".")[0] for name in names} - {"twin", *sys.stdlib_module_names}:
                found = {distribution.lower() for distribution in distributions[name]}
                if not found & (declared | {extra for extra, of in BROUGHT_ALONG.items() if of in declared}):
                    undeclared.add(name)
    assert undeclared == set()
