"""How long the main job takes on this machine, and how much memory: `python benchmarks/demo.py [--runs 3]`.

Budgets, on 2 cores: the demo in 30 s with all that it starts, the deployment in 5 s, 2 GB for all processes together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
SPOTLINE = Path(sys.executable).with_name("spotline")
DEPLOY = """
import time
from cli.deployment import make_twin
from cli.project import TEMPLATE
from twin import TwinOptions
with make_twin(TwinOptions(time_scale=60)) as twin:
    began = time.monotonic()
    twin.deploy(TEMPLATE, stack_name="spotline")
    print(time.monotonic() - began)
"""


def main() -> None:
    """Run, measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind; the table shows medians")
    runs = parser.parse_args().runs
    print("| what | median | budget |\n|---|---|---|")
    deployed = [float(_output([sys.executable, "-c", DEPLOY])) for _ in range(runs)]
    print(f"| deploy `template.yaml` into the twin | {statistics.median(deployed):.1f} s | 5 s |")
    for reclaims in ("0", "1", "3"):
        measured = [_demo(reclaims) for _ in range(runs)]
        seconds = statistics.median(second for second, _ in measured)
        most = statistics.median(size for _, size in measured)
        budget = "30 s, 2000 MB" if reclaims == "0" else ""
        print(
            f"| `spotline demo --reclaims {reclaims}`, whole command | {seconds:.1f} s, {most / 1e6:.0f} MB | {budget} |"
        )


def _output(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _demo(reclaims: str) -> tuple[float, int]:
    """Seconds of the whole command, and the most bytes that its processes had together (shared pages counted once)."""
    began = time.monotonic()
    command = [str(SPOTLINE), "demo", "--json", "--reclaims", reclaims]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    most = 0
    while process.poll() is None:
        most = max(most, proportional_bytes(process.pid))
        time.sleep(0.2)
    assert process.stdout is not None
    told = json.loads(process.stdout.read().splitlines()[-1])
    assert told["status"] == "SUCCEEDED", told
    return time.monotonic() - began, most


def proportional_bytes(pid: int) -> int:
    """Memory of a process and all that it started."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            memory = process.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(memory, "pss", memory.uss)
    return total


if __name__ == "__main__":
    main()
