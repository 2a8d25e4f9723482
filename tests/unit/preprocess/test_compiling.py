"""Where the C cannot be compiled, or has not been, the way out is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from preprocess import native

PACKAGE = Path(native.__file__).parent
SOURCES = sorted((*PACKAGE.glob("*.c"), *PACKAGE.glob("*.h")))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A copy of compile.py, with the C that it compiles, and what it made of that before."""
    package = tmp_path / "preprocess"
    package.mkdir()
    for source in SOURCES:
        shutil.copy(source, package)
    (package / "cells.so").write_bytes(b"made before")
    return Path(shutil.copy(PACKAGE.parent / "compile.py", tmp_path))


def ran(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without what is installed in the environment of the tests: the compiler may be."""
    command = [sys.executable, "-S", str(script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], ["--find"]])
def test_where_there_is_no_compiler_every_way_to_one_is_named(script: Path, arguments: list[str]) -> None:
    found = ran(script, *arguments, PATH="")

    assert found.returncode == 1
    assert "no C compiler that works: install one" in found.stderr
    for way in ("gcc", "xcode-select --install", "$CC", "pip install -r requirements/compiler.txt"):
        assert way in found.stderr


def test_a_cc_that_does_not_work_is_no_compiler(script: Path, tmp_path: Path) -> None:
    (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "cc").chmod(0o755)

    assert "no C compiler that works" in ran(script, "--find", PATH=str(tmp_path)).stderr


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler --at-all"])
def test_what_was_made_before_stays_when_compiling_fails(script: Path, compiler: str) -> None:
    found = ran(script, CC=compiler, PATH=os.environ["PATH"])

    assert found.returncode == 1
    assert found.stderr.startswith("preprocess/*.c were not compiled: ")
    folder = script.parent / "preprocess"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["cells.so", *(source.name for source in SOURCES)])
    assert (folder / "cells.so").read_bytes() == b"made before"


def test_what_was_not_compiled_says_how_to(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "preprocess", ignore=shutil.ignore_patterns("cells.so*", "__pycache__"))

    found = subprocess.run(
        [sys.executable, "-c", "import preprocess.native"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 1
    last = found.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {tmp_path / 'preprocess' / 'cells.so'} cannot be loaded")
    assert last.endswith("make it with `make setup`")
