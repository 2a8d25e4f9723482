"""The gang on a GPU, where there is one: it uses it, and resumes there bit for bit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import xgboost as xgb

from analysis import hosts
from analysis.conformance import data
from tests.unit.analysis.gangs import SABOTAGE, digests, gang

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(300),
    pytest.mark.skipif(hosts.gpus() == 0, reason="no GPU on this host"),
    pytest.mark.skipif(not xgb.build_info().get("USE_CUDA"), reason="this XGBoost is built without CUDA"),
]


@pytest.mark.parametrize("own", [{}, {"subsample": 0.5, "colsample_bynode": 0.5}], ids=["plain", "sampled"])
def test_a_gang_on_a_gpu_resumes_bit_for_bit(tmp_path: Path, own: dict[str, float]) -> None:
    said = data.contract(rounds=60, segment=10, parameters=own)
    data.write(tmp_path / "in", data.table(50_000), said, row_group=10_000)
    slow = {"pythonpath": SABOTAGE, "sabotage": "0:25:slow", "sabotage_seconds": "2"}
    members = hosts.gpus()
    with gang(tmp_path / "in", tmp_path / "quiet", members) as quiet:
        assert quiet.codes(200) == [0] * members, quiet.told
    with gang(tmp_path / "in", tmp_path / "again", members, **slow) as doomed:  # type: ignore[arg-type]
        doomed.wait_for("checkpoint", round=20)
        doomed.worker(0).kill()
        doomed.codes(60)
    with gang(tmp_path / "in", tmp_path / "again", members, generation=2) as resumed:
        assert resumed.codes(200) == [0] * members, resumed.told
    assert json.loads((tmp_path / "again/manifest.json").read_bytes())["details"]["device"] == "cuda"
    assert digests(tmp_path / "again") == digests(tmp_path / "quiet")
