"""A training that was interrupted at any boundaries grows the trees of one that was not, whatever the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from analysis.engine import build_parameters
from analysis.training import Boosting, Trained, TrainingPlan

PLAN = TrainingPlan(rounds=25, segment=5, patience=None, maximise=False, seed=3)


@pytest.fixture(scope="module")
def matrices() -> tuple[xgb.QuantileDMatrix, xgb.QuantileDMatrix]:
    random = np.random.default_rng(0)
    rows = random.normal(size=(3000, 6)).astype(np.float32)
    rows[random.random(rows.shape) < 0.05] = np.nan
    rows[:, 5] = random.integers(0, 8, 3000)
    target = np.abs(np.nan_to_num(rows) @ random.normal(size=6) + random.normal(size=3000))
    options: dict[str, Any] = {"feature_types": ["q"] * 5 + ["c"], "enable_categorical": True, "nthread": 1}
    train = xgb.QuantileDMatrix(rows[:2400], label=target[:2400], **options)
    return train, xgb.QuantileDMatrix(rows[2400:], label=target[2400:], ref=train, **options)


def trained(matrices: Any, own: dict[str, Any], interrupted: frozenset[int]) -> Trained:
    whole = build_parameters("regression", own, device="cpu", threads=1)
    boosting = Boosting(Trained(), PLAN, whole, *matrices)
    while not PLAN.is_finished(boosting.state.history):
        if len(boosting.state.history) in interrupted:
            boosting = Boosting(boosting.state, PLAN, whole, *matrices)
        boosting.train_segment(lambda _: None)
    return boosting.state


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"subsample": 0.5},
        {"monotone_constraints": "(1,0,-1,0,0,0)", "interaction_constraints": "[[0,1,2],[3,4,5]]", "subsample": 0.5},
        {"colsample_bytree": 0.5},
        {"colsample_bynode": 0.5, "colsample_bylevel": 0.7, "subsample": 0.7},
        {"grow_policy": "lossguide", "max_leaves": 12, "max_depth": 0, "subsample": 0.5},
        {"num_parallel_tree": 3, "subsample": 0.5, "colsample_bynode": 0.5},
        {"objective": "reg:absoluteerror", "eval_metric": "mae", "subsample": 0.5},
        {"objective": "count:poisson", "eval_metric": "poisson-nloglik", "subsample": 0.5},
        {"monotone_constraints": "(1,0,0,0,0,0)", "colsample_bytree": 0.8},
        {"max_cat_to_onehot": 1, "subsample": 0.5},
    ],
    ids=str,
)
def test_interruptions_change_no_bit(matrices: Any, own: dict[str, Any]) -> None:
    undisturbed = trained(matrices, own, frozenset())
    for interrupted in ({5, 10, 15, 20}, {10}, {5, 20}):
        assert trained(matrices, own, frozenset(interrupted)) == undisturbed


def test_another_seed_grows_other_trees(matrices: Any) -> None:
    """So that the comparison above compares something random."""
    whole = build_parameters("regression", {"subsample": 0.5}, device="cpu", threads=1)
    other = Boosting(Trained(), TrainingPlan(25, 5, None, False, 4), whole, *matrices)
    assert other.train_segment(lambda _: None) != trained(matrices, {"subsample": 0.5}, frozenset())


def test_every_round_has_its_metrics(matrices: Any) -> None:
    rounds: list[int] = []
    whole = build_parameters("regression", {}, device="cpu", threads=1)
    state = Boosting(Trained(), PLAN, whole, *matrices).train_segment(rounds.append)
    assert rounds == [1, 2, 3, 4, 5]
    assert len(state.history) == 5
    assert state.history[-1][0] < state.history[0][0]
