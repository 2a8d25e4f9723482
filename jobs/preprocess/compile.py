"""Compile what the job has in C: `python compile.py` makes `preprocess/cells.so` of `preprocess/*.c`.

The compiler is the one that $CC names, else `cc` where there is one that works, else the one in the package `ziglang`, which
requirements/compiler.txt pins. What it makes runs on any processor of this machine's kind, not only on this machine's own.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().with_name("preprocess")
TARGET = FOLDER / "cells.so"

FLAGS = ["-std=c11", "-O3", "-shared", "-fPIC", "-Wall", "-Wextra"]
# Numbers come out alike on every kind of processor: no product is added to another number before it is rounded.
FLAGS += ["-ffp-contract=off"]
# Unless told, zig builds for the very processor that it runs on.
ZIG = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
HEADERS = "#include <stdint.h>\n#include <string.h>\n"
WAY_OUT = (
    "no C compiler that works: install one (Debian: `apt-get install gcc libc6-dev`, macOS: `xcode-select --install`), name one in "
    "$CC, or take the pinned one: `pip install -r requirements/compiler.txt`"
)


def main() -> None:
    """Compile, or only say whether there is a compiler."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--find", action="store_true", help="compile nothing; fail where there is no compiler")
    only_find = parser.parse_args().find
    compiler = find_compiler()
    if not compiler:
        sys.exit(WAY_OUT)
    if not only_find:
        build(compiler)


def find_compiler() -> list[str]:
    """The command that compiles here; empty where nothing does.

    A `cc` alone proves nothing: macOS has one that only offers to install the real one, and Debian's compiler comes without
    the C library's headers. What $CC names is taken at its word.
    """
    if named := shlex.split(os.environ.get("CC", "")):
        return named
    if shutil.which("cc"):
        probe = ["cc", "-x", "c", "-fsyntax-only", "-"]
        if subprocess.run(probe, input=HEADERS, text=True, capture_output=True, check=False).returncode == 0:
            return ["cc"]
    return ZIG if importlib.util.find_spec("ziglang") else []


def build(compiler: list[str], folder: Path = FOLDER, target: Path = TARGET) -> None:
    """Put what `compiler` makes of the C in `folder` in the place of `target` at once, so that no running job ever sees half of it.

    The same folder holds what zig stores meanwhile, since its usual place, below $HOME, need not be writable.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as place:
        made = Path(place, target.name)
        command = [*compiler, *FLAGS, *map(str, sorted(folder.glob("*.c"))), "-o", str(made)]
        caches = {"ZIG_GLOBAL_CACHE_DIR": place, "ZIG_LOCAL_CACHE_DIR": place}
        try:
            subprocess.run(command, env=caches | os.environ, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"{folder.name}/*.c were not compiled: {error}")
        made.replace(target)


if __name__ == "__main__":
    main()
