"""The metrics of a run: one document, from what cleaning counted and what the gang's members predicted.

`metrics` in it depends on the data alone; how the run came about (members, resumes) stands under `gang`, so that a run that was
reclaimed thrice can be compared with an undisturbed one number by number.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from postprocess import scores
from postprocess.parts import Task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from postprocess.inputs import Analysed, Inputs
    from postprocess.parts import Predictions
    from postprocess.surroundings import Surroundings

SCHEMA = "spotline/metrics/1"
MOST_FEATURES = 30


@dataclass(frozen=True)
class RunIdentity:
    """Which run it is; all but `file` are None on the command line."""

    file: str
    run_id: str | None = None
    dataset: str | None = None
    day: str | None = None
    version_id: str | None = None
    execution_arn: str | None = None


def build_metrics(
    run: RunIdentity,
    inputs: Inputs,
    predictions: Predictions | None,
    around: Surroundings,
) -> dict[str, Any]:
    """Merge everything into the document that becomes `metrics.json`; it holds JSON's types only, and no NaN."""
    clean = inputs.cleaned.manifest
    analysis = inputs.cleaned.contract.analysis
    return {
        "schema": SCHEMA,
        "run": asdict(run),
        "metrics": {
            "rows": {
                "read": clean.rows_read,
                "clean": clean.rows_clean,
                "rejected": clean.rows_rejected,
                "rejected_share": clean.rows_rejected / clean.rows_read if clean.rows_read else 0.0,
            },
            "quality": _quality(predictions) if predictions else None,
            "model": _model(analysis.target, predictions) if predictions and analysis else None,
        },
        "gang": _gang(inputs.analysed) if inputs.analysed else None,
        "learning": _learning(inputs.analysed) if inputs.analysed else None,
        "rejected": [
            {"code": reason["code"], "field": reason["field"], "rows": reason["rows"]}
            for reason in inputs.cleaned.quality["rejected"]
        ],
        "timeline": [asdict(leg) for leg in around.timeline],
        "cost": around.cost,
        "drift": around.drift,
        "surprising": [asdict(row) for row in predictions.surprising] if predictions else [],
    }


def _quality(predictions: Predictions) -> dict[str, Any]:
    """How good the model is on the rows that it learnt from and on those that it had not seen; None where there are none."""
    return {
        "train": _scored(predictions, ~predictions.validation),
        "validation": _scored(predictions, predictions.validation),
    }


def _model(target: str, predictions: Predictions) -> dict[str, Any]:
    judging = predictions.judging
    return {
        "target": target,
        "task": predictions.task.value,
        "unlabelled": predictions.unlabelled,
        "residual_quantiles": scores.residual_quantiles(predictions.actual[judging] - predictions.prediction[judging]),
        "importance": [asdict(feature) for feature in predictions.importance[:MOST_FEATURES]],
    }


def _scored(predictions: Predictions, chosen: npt.NDArray[np.bool_]) -> dict[str, Any] | None:
    actual, prediction = predictions.actual[chosen], predictions.prediction[chosen]
    if not len(actual):
        return None
    if predictions.task is Task.BINARY:
        return asdict(scores.score_binary(actual, prediction))
    return asdict(scores.score_regression(actual, prediction))


def _gang(analysed: Analysed) -> dict[str, Any]:
    manifest = analysed.manifest
    return {
        "members": manifest.members,
        "rounds": manifest.rounds,
        "resumed_from": manifest.resumed_from,
        "generation": manifest.generation,
        "job_id": manifest.job_id,
    }


def _learning(analysed: Analysed) -> dict[str, Any]:
    """How the trainer's own metric went: `history` holds [round, on training rows, on validation rows or None]."""
    details = analysed.manifest.details
    return {"metric": details.get("metric", ""), "history": details.get("history", [])}
