"""Cold starts stay short: what importing a function costs against `import boto3` alone, and how large the layer is."""

from __future__ import annotations

import importlib.metadata
import os
import py_compile
import re
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.template.system import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir() if (path / f"{path.name}.py").exists())
MOST = 1.6
ROUNDS = 3
LAYER = ROOT / "layers" / "spotline"
MOST_BYTES = 5 * 1024 * 1024


def cpu_seconds(program: str) -> float:
    """The CPU that a fresh interpreter takes in user mode for a program; how busy the machine is hardly shows in that."""
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime


@pytest.fixture(scope="module")
def imports() -> dict[str, float]:
    """The median CPU seconds of importing each function, and boto3, measured in turns."""
    names = ["boto3", *FUNCTIONS]
    for name in names:
        cpu_seconds(f"import {name}")  # leaves the .pyc files behind
    rounds = [{name: cpu_seconds(f"import {name}") for name in names} for _ in range(ROUNDS)]
    return {name: statistics.median(told[name] for told in rounds) for name in names}


def test_all_functions_are_measured() -> None:
    assert {"ingest", "launch_gang", "notify", "reconcile", "sweep"} <= set(FUNCTIONS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_importing_a_function_takes_little_more_than_importing_boto3(imports: dict[str, float], function: str) -> None:
    assert imports[function] <= MOST * imports["boto3"], f"{imports[function] / imports['boto3']:.2f} of `import boto3`"


def test_the_zipped_layer_is_small(tmp_path: Path) -> None:
    # Given what `sam build` would copy and install, with the .pyc files that it leaves beside
    archive = tmp_path / "layer.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as layer:
        for path, name in layer_files():
            layer.write(path, f"python/{name}")
            if path.suffix == ".py":
                compiled = py_compile.compile(str(path), cfile=str(tmp_path / "x.pyc"), doraise=True)
                layer.write(str(compiled), f"python/{name}c")

    assert archive.stat().st_size <= MOST_BYTES, f"{archive.stat().st_size / 1024 / 1024:.2f} MB"


def layer_files() -> Iterator[tuple[Path, str]]:
    """The files of our library and of what its lock names, and where they stand in the layer."""
    for path in sorted((LAYER / "spotline").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path, path.relative_to(LAYER).as_posix()
    locked = re.findall(r"^([a-z0-9-]+)==", (LAYER / "requirements.txt").read_text(), re.MULTILINE)
    assert "aws-lambda-powertools" in locked
    for name in locked:
        for file in importlib.metadata.distribution(name).files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                yield Path(str(file.locate())), file.as_posix()
