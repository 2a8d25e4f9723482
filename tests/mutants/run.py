"""Mutate the decisions of layer and functions, and see whether their tests notice: `make mutants`, or a sample of it.

mutmut names a function after the path of its file, and the project has its packages in several folders. So it works in a copy that lays
them side by side, `.mutants/`, which is also what keeps it from the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / ".mutants"

LAYER, FUNCTIONS = "tests/unit/layer", "tests/unit/functions"
PROTOCOL = [
    f"{FUNCTIONS}/test_reconcile.py",
    f"{FUNCTIONS}/test_isolation.py",
    f"{FUNCTIONS}/test_launch_gang.py",
    "tests/unit/protocol/test_guards.py",
    "tests/unit/protocol/test_guards_of_slots.py",
]
SWEEP = [
    f"{FUNCTIONS}/test_sweep.py",
    f"{FUNCTIONS}/test_sweep_lease.py",
    f"{FUNCTIONS}/test_sweep_decisions.py",
    f"{FUNCTIONS}/test_sweep_isolation.py",
]
POISON = "tests/unit/test_poison.py"

JUDGES: dict[str, list[str]] = {
    "spotline/failures.py": [f"{LAYER}/test_failures.py", POISON],
    "spotline/documents.py": [f"{LAYER}/test_documents.py", f"{LAYER}/test_manifests.py", POISON],
    "spotline/text.py": [f"{LAYER}/test_text.py"],
    "spotline/layout.py": [f"{LAYER}/test_layout.py", "tests/unit/test_keys.py", POISON],
    "spotline/runs.py": [f"{LAYER}/test_runs.py", POISON],
    "spotline/batch_jobs.py": [f"{LAYER}/test_batch_jobs.py", f"{LAYER}/test_gang_submission.py", *PROTOCOL],
    "spotline/executions.py": [f"{LAYER}/test_gangs.py", *PROTOCOL],
    "spotline/strays.py": [f"{LAYER}/test_strays.py", *PROTOCOL],
    "spotline/gangs.py": [f"{LAYER}/test_gangs.py", POISON, *PROTOCOL],
    "spotline/allowances.py": [*PROTOCOL],
    "spotline/launching.py": [*PROTOCOL],
    "spotline/starting.py": [f"{LAYER}/test_starting.py", f"{FUNCTIONS}/test_ingest.py"],
    "spotline/isolation.py": [f"{FUNCTIONS}/test_isolation.py"],
    "looking.py": [*PROTOCOL, POISON],
    "handing_out.py": [*PROTOCOL],
    "launch_gang.py": [*PROTOCOL, POISON],
    "ingest.py": [f"{FUNCTIONS}/test_ingest.py", "tests/unit/test_keys.py", POISON],
    "sweep.py": [*SWEEP],
    "sweeping/*": [*SWEEP, POISON],
}
"""Each module whose decisions are mutated, and the tests that must notice."""

QUICK: dict[str, list[str]] = {
    "spotline/failures.py": [f"{LAYER}/test_failures.py"],
    "spotline/text.py": [f"{LAYER}/test_text.py"],
}
"""What a sample is drawn from: modules that tests judge within a second."""

SURVIVED = ("survived", "no tests")


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
        'addopts = ["--import-mode=importlib", "-p", "no:cacheprovider"]',
        f"markers = {json.dumps(markers)}",
    ]
    (STAGE / "pyproject.toml").write_text("\n".join(["[tool.mutmut]", *lines, *pytest]) + "\n")


def mutate(*arguments: str) -> None:
    """Run mutmut in the copy; what it draws on a terminal goes to a file."""
    with (STAGE / "mutmut.log").open("ab") as log:
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "mutants", "TERM": "dumb"}
        command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
        subprocess.run(command, cwd=STAGE, env=environment, stdout=log, stderr=log, check=False)


def read_results() -> dict[str, str]:
    """What became of each mutant, by its name."""
    told = subprocess.run(
        [str(Path(sys.executable).with_name("mutmut")), "results", "--all", "true"],
        cwd=STAGE,
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.strip().rpartition(": ") for line in told.stdout.splitlines() if ": " in line)
    return {name: outcome for name, _, outcome in pairs}


def report(results: dict[str, str]) -> float:
    """Print the score and the survivors of what was judged; returns the share that was killed."""
    judged = {name: outcome for name, outcome in results.items() if outcome != "not checked"}
    by_module: dict[str, Counter[str]] = {}
    for name, outcome in judged.items():
        by_module.setdefault(name.rpartition(".")[0], Counter())[outcome] += 1
    for module, counts in sorted(by_module.items()):
        lost = sum(counts[outcome] for outcome in SURVIVED)
        sys.stdout.write(f"{module}: {counts.total() - lost} of {counts.total()} killed\n")
    survivors = sorted(name for name, outcome in judged.items() if outcome in SURVIVED)
    sys.stdout.write("".join(f"  {name}: {judged[name]}\n" for name in survivors))
    return 1 - len(survivors) / len(judged) if judged else 0.0


def main() -> int:
    """Mutate all modules, those that are named, or a seeded sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", choices=[[], *JUDGES], help="modules (default: all)")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="judge N mutants of the quick modules only")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--least", type=float, default=0.95, help="the share that must be killed")
    options = parser.parse_args()
    lay_out(QUICK if options.sample else {module: JUDGES[module] for module in options.modules or JUDGES})
    if options.sample:
        mutate("run", "--max-children", "2", "nothing-*")  # no mutant is called so: makes them all and judges none
        names = sorted(read_results())
        chosen = random.Random(options.seed).sample(names, min(options.sample, len(names)))
        mutate("run", "--max-children", "2", *chosen)
    else:
        mutate("run", "--max-children", "2")
    killed = report(read_results())
    sys.stdout.write(f"{killed:.1%} killed; at least {options.least:.0%} must be\n")
    return 0 if killed >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
