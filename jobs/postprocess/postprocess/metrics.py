"""The metrics of a run: one document, from what cleaning counted and what the gang's members predicted.

`metrics` in it depends on the data alone; how the run was computed (members, resumes) stands under `gang`, so that a run that was
reclaimed three times can be compared with an undisturbed one number by number.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from postprocess import scores
from postprocess.parts import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from postprocess.inputs import Analysed, Inputs
    from postprocess.parts import Predictions
    from postprocess.timeline import Leg

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


@dataclass(frozen=True)
class RunContext:
    """What a run has beside its own files, nothing of it on local paths: the comparison with earlier days, its timeline and cost.

    `cost` is an estimate in the form that `spotline.costs` defines.
    """

    drift: dict[str, Any] | None = None
    timeline: Sequence[Leg] = ()
    cost: dict[str, Any] | None = None


def build_metrics(
    run: RunIdentity,
    inputs: Inputs,
    predictions: Predictions | None,
    context: RunContext,
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
            "quality": _build_quality(predictions) if predictions else None,
            "model": _build_model(analysis.target, predictions) if predictions and analysis else None,
        },
        "gang": _build_gang(inputs.analysed) if inputs.analysed else None,
        "learning": _build_learning(inputs.analysed) if inputs.analysed else None,
        "rejected": [
            {"code": reason["code"], "field": reason["field"], "rows": reason["rows"]}
            for reason in inputs.cleaned.quality["rejected"]
        ],
        "timeline": [asdict(leg) for leg in context.timeline],
        "cost": context.cost,
        "drift": context.drift,
        "surprising": [asdict(row) for row in predictions.surprising] if predictions else [],
    }


def _build_quality(predictions: Predictions) -> dict[str, Any]:
    """How good the model is on the rows that it learnt from and on those that it had not seen; None where there are none."""
    return {
        "train": _score(predictions, ~predictions.validation),
        "validation": _score(predictions, predictions.validation),
    }


def _build_model(target: str, predictions: Predictions) -> dict[str, Any]:
    evaluation = predictions.evaluation
    return {
        "target": target,
        "task": predictions.task.value,
        "unlabelled": predictions.unlabelled,
        "residual_quantiles": scores.compute_residual_quantiles(
            predictions.actual[evaluation] - predictions.prediction[evaluation]
        ),
        "importance": [asdict(feature) for feature in predictions.importance[:MOST_FEATURES]],
    }


def _score(predictions: Predictions, chosen: npt.NDArray[np.bool_]) -> dict[str, Any] | None:
    actual, prediction = predictions.actual[chosen], predictions.prediction[chosen]
    if not len(actual):
        return None
    if predictions.task is Task.BINARY:
        return asdict(scores.score_binary(actual, prediction))
    return asdict(scores.score_regression(actual, prediction))


def _build_gang(analysed: Analysed) -> dict[str, Any]:
    manifest = analysed.manifest
    return {
        "members": manifest.members,
        "rounds": manifest.rounds,
        "resumed_from": manifest.resumed_from,
        "generation": manifest.generation,
        "job_id": manifest.job_id,
    }


def _build_learning(analysed: Analysed) -> dict[str, Any]:
    """How the trainer's own metric went: `history` holds [round, on training rows, on validation rows or None]."""
    details = analysed.manifest.details
    return {"metric": details.get("metric", ""), "history": details.get("history", [])}
