"""What must hold for the checkout itself."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt")) + sorted((ROOT / "layers").rglob("requirements*.txt"))


def tracked_files() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_lock_files_pin_by_hash_and_name_no_registry(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    for requirement in re.findall(r"^[a-z0-9][^\n]*(?:\n[ ]+[^\n]*)*", text, re.MULTILINE | re.IGNORECASE):
        assert re.match(r"[\w.\[\],-]+==\S+", requirement), requirement.splitlines()[0]
        assert "--hash=sha256:" in requirement, requirement.splitlines()[0]


def test_no_lock_that_records_addresses_is_tracked() -> None:
    assert not [name for name in tracked_files() if Path(name).name in ("uv.lock", "poetry.lock", "Pipfile.lock")]


def test_nothing_outside_the_twin_knows_that_it_exists() -> None:
    # Given the code and the template that are deployed
    deployed = [name for name in tracked_files() if name.startswith(("functions/", "jobs/", "layers/"))]
    deployed += ["template.yaml", *[name for name in tracked_files() if name.startswith("infrastructure/")]]
    # Then none imports the twin or asks whether it runs there
    for name in deployed:
        path = ROOT / name
        if path.suffix in (".py", ".yaml", ".json", ".txt", ""):
            assert not re.search(r"^\s*(from|import) twin\b|TWIN_PROCESS|moto", path.read_text(), re.MULTILINE), name


def test_bare_make_lists_the_targets() -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "test", "lint", "soak"):
        assert re.search(rf"^\s+make {target}\s+\S", listed, re.MULTILINE), target


def test_the_twins_tests_and_sources_are_checked_with_the_projects() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    alone = tomllib.loads((ROOT / "twin" / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    together = tools["pytest"]["ini_options"]
    assert {"tests", "twin/tests"} <= set(together["testpaths"])
    assert {"cli", "twin", "tests"} <= set(tools["mypy"]["files"])
    # And run alone, in its own folder, the twin's tests have the same settings
    for setting in ("addopts", "consider_namespace_packages", "timeout", "filterwarnings"):
        assert alone[setting] == together[setting], setting
    assert [f"twin/{path}" for path in alone["pythonpath"]] == together["pythonpath"]
