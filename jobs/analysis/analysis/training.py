"""Boosting in segments, so that a resumed training grows the same trees bit for bit as an undisturbed one.

Each segment starts from the model's saved bytes with a seed of its own, whether the process lived through the segment before
or not. Whatever was grown since the last boundary is dropped on an interruption, never kept in part.
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
class Course:
    """How far to train: at most `rounds`, in segments, until `patience` rounds bring no better validation metric."""

    rounds: int
    segment: int
    patience: int | None
    maximise: bool
    seed: int

    def best_round(self, history: History) -> int:
        """The round (counted from 1) with the best validation metric, the first of equals; the last without validation."""
        scores = [held_out for _, held_out in history]
        if not scores or scores[0] is None:
            return len(history)
        sign = -1.0 if self.maximise else 1.0
        return min(range(len(scores)), key=lambda index: sign * (scores[index] or 0.0)) + 1

    def finished(self, history: History) -> bool:
        """Whether there is nothing more to train after these rounds."""
        if len(history) >= self.rounds:
            return True
        return self.patience is not None and len(history) - self.best_round(history) >= self.patience

    def next_segment(self, done: int) -> int:
        """How many rounds the segment after `done` rounds has."""
        return min(self.segment - done % self.segment, self.rounds - done)


@dataclass
class Trained:
    """A model at a segment's boundary: its bytes (None before the first), and the metrics of every round."""

    body: bytes | None = None
    history: History = field(default_factory=tuple)


def train_segment(
    state: Trained,
    course: Course,
    parameters: Mapping[str, Any],
    rows: xgb.QuantileDMatrix,
    held_out: xgb.QuantileDMatrix | None,
    on_round: Callable[[int], None],
) -> Trained:
    """Train one segment; `on_round` is told every round that is done."""
    done = len(state.history)
    whole = {**parameters, "seed": course.seed + done}
    start = xgb.Booster(whole, model_file=bytearray(state.body)) if state.body is not None else None
    evals = [(rows, TRAIN)] + ([(held_out, HELD_OUT)] if held_out is not None else [])
    results: dict[str, dict[str, list[float]]] = {}
    grown = xgb.train(
        whole,
        rows,
        num_boost_round=course.next_segment(done),
        evals=evals,
        evals_result=results,
        verbose_eval=False,
        xgb_model=start,
        callbacks=[_Rounds(done, on_round)],
    )
    (train_metric,) = results[TRAIN].values()
    held_out_metric: list[float | None] = [None] * len(train_metric)
    if held_out is not None:
        held_out_metric = [*next(iter(results[HELD_OUT].values()))]
    history = (*state.history, *zip(train_metric, held_out_metric, strict=True))
    return Trained(bytes(grown.save_raw(raw_format="ubj")), history)


def booster(body: bytes, parameters: Mapping[str, Any], names: Mapping[str, list[str]]) -> xgb.Booster:
    """A model from its bytes, ready to predict. A worker without rows never saw the features' names, so they are set."""
    model = xgb.Booster(dict(parameters), model_file=bytearray(body))
    model.feature_names, model.feature_types = names["feature_names"], names["feature_types"]
    return model


class _Rounds(xgb.callback.TrainingCallback):
    def __init__(self, done: int, on_round: Callable[[int], None]) -> None:
        self._done = done
        self._on_round = on_round

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """See `xgboost.callback.TrainingCallback`; `epoch` counts from the segment's start or the model's, so count here."""
        self._done += 1
        self._on_round(self._done)
        return False
