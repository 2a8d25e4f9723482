"""Boosting in segments, so that a resumed training grows the same trees bit for bit as an undisturbed one.

At each segment's boundary the engine's randomness starts afresh, from a seed of that segment's own, whether the process lived
through the segment before or loaded its model. Whatever was grown since the last boundary is dropped on an interruption, never
kept in part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xgboost as xgb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

History = tuple[tuple[float, float | None], ...]

TRAIN, HELD_OUT = "train", "validation"


@dataclass(frozen=True)
class TrainingPlan:
    """How far to train: at most `rounds`, in segments, until `patience` rounds bring no better validation metric."""

    rounds: int
    segment: int
    patience: int | None
    maximise: bool
    seed: int

    def find_best_round(self, history: History) -> int:
        """The round (counted from 1) with the best validation metric, the first of equals; the last without validation."""
        scores = [held_out for _, held_out in history]
        if not scores or scores[0] is None:
            return len(history)
        sign = -1.0 if self.maximise else 1.0
        return min(range(len(scores)), key=lambda index: sign * (scores[index] or 0.0)) + 1

    def is_finished(self, history: History) -> bool:
        """Whether there is nothing more to train after these rounds."""
        if len(history) >= self.rounds:
            return True
        return self.patience is not None and len(history) - self.find_best_round(history) >= self.patience

    def count_next_rounds(self, done: int) -> int:
        """How many rounds the segment after `done` rounds has."""
        return min(self.segment - done % self.segment, self.rounds - done)


@dataclass(frozen=True)
class Trained:
    """A model at a segment's boundary: its bytes (None before the first), and the metrics of every round."""

    body: bytes | None = None
    history: History = field(default_factory=tuple)


class Boosting:
    """A training that goes on from `state`. It holds the rows' margins between segments, so that no tree is walked twice."""

    def __init__(
        self,
        state: Trained,
        plan: TrainingPlan,
        parameters: Mapping[str, Any],
        rows: xgb.QuantileDMatrix,
        held_out: xgb.QuantileDMatrix | None,
    ) -> None:
        self.state = state
        self._plan = plan
        self._parameters = dict(parameters)
        self._rows = rows
        self._evals = [(rows, TRAIN)] + ([(held_out, HELD_OUT)] if held_out is not None else [])
        self._model: xgb.Booster | None = None

    def train_segment(self, on_round: Callable[[int], None]) -> Trained:
        """Train one segment; `on_round` is called after each round."""
        done = len(self.state.history)
        model = self._model = self._renew_model({**self._parameters, "seed": self._plan.seed + done})
        metrics = []
        for round_ in range(done + 1, done + self._plan.count_next_rounds(done) + 1):
            model.update(self._rows, round_)
            metrics.append(_parse_metrics(model.eval_set(self._evals, round_)))
            on_round(round_)
        self.state = Trained(bytes(model.save_raw(raw_format="ubj")), (*self.state.history, *metrics))
        return self.state

    def _renew_model(self, parameters: dict[str, Any]) -> xgb.Booster:
        """The model with fresh randomness, as if it had just been loaded.

        On a CPU a model that lives on is bit-equal to one loaded from its bytes, once its updaters, which hold random states of
        their own, are made anew: XGBoost does that when it is configured for another tree method in between. On a GPU, where
        margins are added up in another order, it is loaded, which costs a prediction of all rows by all trees.
        """
        if self._model is None or parameters["device"] != "cpu":
            body = bytearray(self.state.body) if self.state.body is not None else None
            return xgb.Booster(parameters, [matrix for matrix, _ in self._evals], model_file=body)
        self._model.set_param({"tree_method": "approx"})
        self._model.save_config()  # which configures
        self._model.set_param(parameters)
        return self._model


def load_booster(body: bytes, parameters: Mapping[str, Any], names: Mapping[str, list[str]]) -> xgb.Booster:
    """A model from its bytes, ready to predict. A worker without rows never saw the features' names, so they are set."""
    model = xgb.Booster(dict(parameters), model_file=bytearray(body))
    model.feature_names, model.feature_types = names["feature_names"], names["feature_types"]
    return model


def _parse_metrics(line: str) -> tuple[float, float | None]:
    """Read the engine's line: the round, then a `name:value` for each matrix."""
    values = [float(item.rpartition(":")[2]) for item in line.split()[1:]]
    return values[0], values[1] if len(values) > 1 else None
