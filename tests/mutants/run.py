"""Mutate the decisions of layer and functions, and see whether their tests notice: `make mutants`, or a sample of it.

mutmut names a function after the path of its file, and the project has its packages in several folders. So it works in a copy that lays
them side by side, `.mutants/`, which is also what keeps it from the checkout.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / ".mutants"

LAYER, FUNCTIONS = "tests/unit/layer", "tests/unit/functions"
JUDGES: dict[str, list[str]] = {
    "spotline/failures.py": [f"{LAYER}/test_failures.py", f"{LAYER}/test_failure_texts.py"],
    "spotline/documents.py": [f"{LAYER}/test_documents.py", f"{LAYER}/test_manifests.py"],
    "spotline/text.py": [f"{LAYER}/test_text.py"],
    "spotline/layout.py": [f"{LAYER}/test_layout.py"],
    "spotline/runs.py": [f"{LAYER}/test_runs.py"],
    "spotline/batch_jobs.py": [f"{LAYER}/test_batch_jobs.py", f"{LAYER}/test_gang_submission.py"],
    "spotline/executions.py": [f"{LAYER}/test_executions.py"],
    "spotline/strays.py": [f"{LAYER}/test_strays.py"],
    "spotline/gangs.py": [f"{LAYER}/test_gangs.py", f"{LAYER}/test_gang_waits.py"],
    "spotline/allowances.py": [f"{LAYER}/test_allowances.py"],
    "spotline/launching.py": [f"{LAYER}/test_launching.py"],
    "spotline/starting.py": [f"{LAYER}/test_starting_runs.py"],
    "spotline/isolation.py": [f"{LAYER}/test_isolated.py"],
    "looking.py": [f"{FUNCTIONS}/test_{subject}.py" for subject in ("looking", "gang_ends", "reconcile")],
    "handing_out.py": [f"{FUNCTIONS}/test_handing_out.py"],
    "reconcile.py": [f"{FUNCTIONS}/test_reconcile.py", f"{FUNCTIONS}/test_reconcile_function.py"],
    "gauges.py": [f"{FUNCTIONS}/test_gauges.py"],
    "look_settings.py": [f"{FUNCTIONS}/test_look_settings.py"],
    "launch_gang.py": [f"{FUNCTIONS}/test_launch_gang.py", f"{FUNCTIONS}/test_launch_task.py"],
    "ingest.py": [f"{FUNCTIONS}/test_ingest_answers.py"],
    "sweep.py": [f"{FUNCTIONS}/test_sweep_function.py"],
    "sweeping/*": [
        f"{FUNCTIONS}/test_sweep_{subject}.py"
        for subject in ("days", "decisions", "history", "late_days", "lease_item", "listing", "requests", "work")
    ],
}
"""Each module whose decisions are mutated, and the tests that must notice."""

QUICK = (
    "spotline/failures.py",
    "spotline/runs.py",
    "spotline/batch_jobs.py",
    "spotline/executions.py",
    "spotline/strays.py",
    "spotline/gangs.py",
    "spotline/allowances.py",
    "spotline/launching.py",
)
"""What a sample is drawn from: modules whose own tests take about a second."""

OPTIONS = [
    "--import-mode=importlib",
    *(f"-pno:{plugin}" for plugin in ("cacheprovider", "unraisableexception", "threadexception")),
]
"""Pytest's: each mutant has a session of its own, and most of its time went into what these plugins do at its ends."""

EXPLAINED = ROOT / "docs/mutants.md"
"""The survivors that no test should notice, each on a line of its own with the function, the change and the reason."""

_EXPLANATION = re.compile(r"- `(?P<function>[\w.]+)`: `(?P<before>.+)` → `(?P<after>.+)`: \S.*")
_MUTANT = re.compile(r"(?P<module>[\w.]+)\.x(?:_|ǁ(?P<owner>\w+)ǁ)(?P<name>\w+)__mutmut_\d+")
_SURVIVED = ("survived", "no tests")


def undecorate(file: Path) -> None:
    """Write `@d def f` as `def f` and `f = d(f)` behind it, because mutmut leaves out functions with decorators."""
    lines = file.read_text(encoding="utf-8").splitlines()
    functions = [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.FunctionDef)]
    for node in sorted(functions, key=lambda node: node.lineno, reverse=True):
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        if decorators and not {"staticmethod", "classmethod"}.intersection(decorators):  # which it knows
            begin, end = node.decorator_list[0].lineno - 1, node.end_lineno
            applied = [f"{' ' * node.col_offset}{node.name} = {one}({node.name})" for one in reversed(decorators)]
            lines[begin:end] = [*lines[node.lineno - 1 : end], *applied]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def lay_out(judges: dict[str, list[str]]) -> None:
    """Copy the project side by side, and say in a pyproject.toml of the copy what is to be mutated and judged."""
    shutil.rmtree(STAGE, ignore_errors=True)
    STAGE.mkdir()
    sources = [ROOT / "layers/spotline/spotline", *sorted((ROOT / "jobs").glob("*/*/__init__.py"))]
    for package in (path.parent if path.name == "__init__.py" else path for path in sources):
        shutil.copytree(package, STAGE / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for function in sorted((ROOT / "functions").iterdir()):
        if function.is_dir():
            shutil.copytree(
                function,
                STAGE,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__", "Makefile", "*.txt", "*.in"),
            )
    for folder in ("twin/src/twin", "twin/tests/clouds"):
        shutil.copytree(ROOT / folder, STAGE / Path(folder).name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("tests", "statemachine", "events", "contracts", "infrastructure", "samples"):
        shutil.copytree(ROOT / folder, STAGE / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "template.yaml", STAGE)
    for module in judges:
        for file in STAGE.glob(module if module.endswith(".py") else f"{module}.py"):
            undecorate(file)
    mutated = ["spotline", "sweeping", *sorted(path.name for path in STAGE.glob("*.py"))]
    beside = sorted(path.name for path in STAGE.iterdir() if path.name not in (*mutated, "tests"))
    settings = {
        "source_paths": mutated,
        "only_mutate": list(judges),
        "also_copy": beside,
        "pytest_add_cli_args_test_selection": sorted({test for tests in judges.values() for test in tests}),
        "use_git_change_detection": False,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    markers = ["documented(page)", "ours", "sfn_local", "soak"]
    pytest = [
        "[tool.pytest.ini_options]",
        f"addopts = {json.dumps(OPTIONS)}",
        f"markers = {json.dumps(markers)}",
    ]
    (STAGE / "pyproject.toml").write_text("\n".join(["[tool.mutmut]", *lines, *pytest]) + "\n")


def mutate(*arguments: str) -> None:
    """Run mutmut in the copy; what it draws on a terminal goes to a file, whose end is shown if it fails."""
    file = STAGE / "mutmut.log"
    with file.open("ab") as log:
        environment = {
            **os.environ,
            "HYPOTHESIS_PROFILE": "mutants",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "TERM": "dumb",
        }
        command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
        ended = subprocess.run(command, cwd=STAGE, env=environment, stdout=log, stderr=log, check=False)
    if ended.returncode != 0:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
        sys.exit("\n".join([*lines, f"mutmut failed, most likely because a test fails without a mutant; see {file}"]))


def read_results() -> dict[str, str]:
    """What became of each mutant, by its name."""
    listed = subprocess.run(
        [str(Path(sys.executable).with_name("mutmut")), "results", "--all", "true"],
        cwd=STAGE,
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.strip().rpartition(": ") for line in listed.stdout.splitlines() if ": " in line)
    return {name: outcome for name, _, outcome in pairs}


def describe_change(mutant: str) -> tuple[str, str, str]:
    """The function that a mutant is of, and the lines that it changes, before and after: they stay when its number does not."""
    named = _MUTANT.fullmatch(mutant)
    assert named is not None, mutant
    function = ".".join(part for part in (named["module"], named["owner"], named["name"]) if part)
    file = STAGE / "mutants" / f"{named['module'].replace('.', '/')}.py"
    before, after = (
        _read_function(file, name)
        for name in (re.sub(r"\d+$", "orig", mutant.rpartition(".")[2]), mutant.rpartition(".")[2])
    )
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    old, new = ("; ".join(line[2:].strip() for line in changes if line[0] == sign) for sign in "-+")
    return function, old, new


@cache
def _parse_functions(file: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _read_function(file: Path, name: str) -> list[str]:
    """A function's lines in the one form that `ast` gives them, so that no change depends on where a line was broken."""
    source = ast.unparse(_parse_functions(file)[name])
    return source.replace(name, "").splitlines()


def shorten_change(before: str, after: str) -> str:
    """A change as `EXPLAINED` writes it: the words that differ, with one on either side."""
    old, new = before.split(" "), after.split(" ")
    start = next(
        (at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
    )
    rest = list(zip(reversed(old[start:]), reversed(new[start:]), strict=False))
    end = next((at for at, pair in enumerate(rest) if pair[0] != pair[1]), len(rest))
    return " → ".join(f"`{' '.join(words[max(0, start - 1) : len(words) - end + 1])}`" for words in (old, new))


def explains(explanation: tuple[str, str, str], function: str, before: str, after: str) -> bool:
    """Whether an explanation is of this change: its words put into the line make the mutant's."""
    named, old, new = explanation
    places = (at for at in range(len(before)) if before.startswith(old, at))
    return named == function and any(before[:at] + new + before[at + len(old) :] == after for at in places)


def read_explanations(document: str) -> set[tuple[str, str, str]]:
    """What a document lists as `EXPLAINED` does: function, before, after."""
    found = (_EXPLANATION.fullmatch(line) for line in document.splitlines())
    return {(one["function"], one["before"], one["after"]) for one in found if one is not None}


def count(results: dict[str, str]) -> dict[str, Counter[str]]:
    """For each module how many mutants were killed, survived, or survived and are explained; prints those that are not."""
    explanations = read_explanations(EXPLAINED.read_text(encoding="utf-8"))
    by_module: dict[str, Counter[str]] = {}
    for name, outcome in sorted(results.items()):
        if outcome == "not checked":
            continue
        counts = by_module.setdefault(name.rpartition(".")[0], Counter(killed=0, explained=0, survived=0))
        if outcome not in _SURVIVED:
            counts["killed"] += 1
            continue
        function, before, after = describe_change(name)
        if any(explains(one, function, before, after) for one in explanations):
            counts["explained"] += 1
        else:
            counts["survived"] += 1
            sys.stdout.write(f"{name}: {outcome}\n  - `{function}`: {shorten_change(before, after)}\n")
    return by_module


def report(by_module: dict[str, Counter[str]], least: float) -> bool:
    """Print the score. True when enough mutants were killed and each of the others is explained."""
    for module, counts in by_module.items():
        sys.stdout.write(f"{module}: {counts['killed']} of {counts.total()} killed, {counts['explained']} explained\n")
    total: Counter[str] = sum(by_module.values(), Counter(killed=0))
    share = total["killed"] / total.total() if total else 0.0
    sys.stdout.write(
        f"{share:.1%} killed; at least {least:.0%} must be, and each of the others explained in {EXPLAINED.name}\n"
    )
    return share >= least and not total["survived"]


def count_commits() -> int:
    """How many commits the checkout has: each commit has a sample of its own, the same one each time. 0 without git."""
    command = ["git", "rev-list", "--count", "HEAD"]
    try:
        counted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(counted.stdout)


def main() -> int:
    """Mutate all modules, those that are named, or a seeded sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", choices=[[], *JUDGES], help="modules (default: all)")
    parser.add_argument("--sample", action="store_true", help="a tenth of the mutants of two quick modules")
    parser.add_argument("--seed", type=int, help="which sample (default: the number of commits)")
    parser.add_argument("--least", type=float, default=0.95, help="the share that must be killed")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="how many mutants are judged at a time")
    options = parser.parse_args()
    seed = count_commits() if options.seed is None else options.seed
    modules = random.Random(seed).sample(QUICK, 2) if options.sample else options.modules or list(JUDGES)
    lay_out({module: JUDGES[module] for module in modules})
    chosen = [f"*__mutmut_*{seed % 10}"] if options.sample else []
    mutate("run", "--max-children", str(options.processes), *chosen)
    if options.sample:
        sys.stdout.write(f"sample {seed}: the mutants of {' and '.join(modules)} whose number ends in {seed % 10}\n")
    return 0 if report(count(read_results()), options.least) else 1


if __name__ == "__main__":
    sys.exit(main())
