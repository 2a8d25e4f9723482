"""The gang on a GPU, where there is one: it uses it, resumes there bit for bit, and is measured against the processor.

The development environment holds XGBoost without CUDA; put `xgboost` of the same version in the place of `xgboost-cpu` to run this.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost as xgb

from analysis import hardware
from analysis.conformance import data
from analysis.engine import build_parameters
from analysis.training import Boosting, Trained, TrainingPlan
from tests.soak.document import table, write_section
from tests.unit.analysis.gangs import SABOTAGE, digests, gang

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(600),
    pytest.mark.skipif(hardware.count_gpus() == 0, reason="no GPU on this host"),
    pytest.mark.skipif(not xgb.build_info().get("USE_CUDA"), reason="this XGBoost is built without CUDA"),
]

ROWS, FEATURES, ROUNDS, SEGMENT = 4_000_000, 20, 100, 20
EVERY_GPU: dict[str, Any] = {"workers_per_member": "0"}
"""A single member, which is a host, with one worker for each of its GPUs."""


@dataclass(frozen=True)
class Measured:
    """A training on one device: with the rows' quantisation, without their generation."""

    device: str
    seconds: float
    metric: float
    gpu_mebibytes: int

    @property
    def rows_a_second(self) -> float:
        """Rows through all rounds."""
        return ROWS * ROUNDS / self.seconds


@pytest.mark.parametrize("own", [{}, {"subsample": 0.5, "colsample_bynode": 0.5}], ids=["plain", "sampled"])
def test_a_gang_on_a_gpu_resumes_bit_for_bit(tmp_path: Path, own: dict[str, float]) -> None:
    data.write_clean_data(
        tmp_path / "in",
        data.build_table(50_000),
        data.build_contract(rounds=60, segment=10, parameters=own),
        row_group=10_000,
    )
    slow: dict[str, Any] = {"pythonpath": SABOTAGE, "sabotage": "0:25:slow", "sabotage_seconds": "600"}
    with gang(tmp_path / "in", tmp_path / "quiet", 1, **EVERY_GPU) as quiet:
        assert quiet.codes(200) == [0], quiet.lines
    with gang(tmp_path / "in", tmp_path / "again", 1, **EVERY_GPU, **slow) as doomed:
        doomed.wait_for("checkpoint", round=20)
        doomed.worker(0).kill()
        doomed.codes(100)
    with gang(tmp_path / "in", tmp_path / "again", 1, generation=2, **EVERY_GPU) as resumed:
        assert resumed.codes(200) == [0], resumed.lines
    details = json.loads((tmp_path / "again/manifest.json").read_bytes())["details"]
    assert (details["device"], details["workers"]) == ("cuda", hardware.count_gpus())
    assert digests(tmp_path / "again") == digests(tmp_path / "quiet")


def test_a_gpu_is_faster_than_the_processor_and_learns_the_same() -> None:
    on_gpu, on_processor = train("cuda:0"), train("cpu")
    write_section("The gang's training on a GPU", report(on_gpu, on_processor))
    assert on_gpu.metric == pytest.approx(on_processor.metric, rel=0.01)
    assert on_gpu.seconds < on_processor.seconds
    assert on_gpu.gpu_mebibytes > 0


def train(device: str) -> Measured:
    """Train in segments as a worker does, on rows of its own."""
    random = np.random.default_rng(1)
    rows = random.normal(size=(ROWS, FEATURES)).astype(np.float32)
    target = rows @ random.normal(size=FEATURES) + np.sin(3 * rows[:, 0]) * rows[:, 1]
    whole = build_parameters("regression", {"max_depth": 6, "eta": 0.1}, device=device, threads=hardware.count_cores())
    plan = TrainingPlan(rounds=ROUNDS, segment=SEGMENT, patience=None, maximise=False, seed=0)
    before, memory = gpu_mebibytes(), Memory()
    with memory:
        began = time.monotonic()
        matrix = xgb.QuantileDMatrix(rows, label=target, nthread=whole["nthread"])
        boosting = Boosting(Trained(), plan, whole, matrix, None)
        while not plan.is_finished(boosting.state.history):
            boosting.train_segment(lambda _: None)
        seconds = time.monotonic() - began
    return Measured(device, seconds, boosting.state.history[-1][0], memory.peak - before)


class Memory:
    """The most memory that was in use on the first GPU within the block, in MiB."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.peak = max(self.peak, gpu_mebibytes())


def gpu_mebibytes() -> int:
    """Memory in use on the first GPU."""
    return int(_nvidia_smi("memory.used"))


def _nvidia_smi(item: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={item}", "--format=csv,noheader,nounits", "--id=0"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def report(on_gpu: Measured, on_processor: Measured) -> str:
    """The section of the document."""
    rows = [
        (one.device, f"{one.seconds:.1f}", f"{one.rows_a_second / 1e6:.0f} M", f"{one.metric:.4f}")
        for one in (on_gpu, on_processor)
    ]
    return (
        f"{_nvidia_smi('name')} against {hardware.count_cores()} cores: {ROWS:,} rows of {FEATURES} features, {ROUNDS} rounds in segments of"
        f" {SEGMENT}, quantisation included; {on_gpu.gpu_mebibytes} MiB of the GPU's memory at most.\n\n"
        + table(["device", "seconds", "rows a second, times rounds", "RMSE"], rows)
    )
