"""XGBoost as this job uses it: parameters made whole and tried out, the collective joined, matrices built from a spool."""

from __future__ import annotations

import contextlib
import io
import json
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import xgboost as xgb
from xgboost import collective

from analysis.encoding import build_engine_names
from analysis.outcomes import AnalysisError
from analysis.spool import ACTUAL, Spool, select_labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from analysis.encoding import Feature

T = TypeVar("T")

# The engine's own limit on a collective. Supervisors decide when to give up, so that a slow peer is waited for.
_COLLECTIVE_SECONDS = 7 * 24 * 3600
_OURS = {
    "nthread",
    "n_jobs",
    "device",
    "gpu_id",
    "seed",
    "random_state",
    "verbosity",
    "num_class",
    "seed_per_iteration",
}
_FAMILY = {"regression": ("reg:", "count:poisson"), "binary": ("binary:logistic", "reg:logistic")}
_DEFAULT = {
    "regression": {"objective": "reg:squarederror", "eval_metric": "rmse"},
    "binary": {"objective": "binary:logistic", "eval_metric": "logloss"},
}


def choose_device(gpus: int, local_rank: int) -> str:
    """What a worker computes on: its own GPU where the container has some and the engine was built for them, else the CPU.

    The wheel that is built for GPUs also computes on CPUs ("Installation Guide", XGBoost documentation: GPU algorithms are used with
    `device=cuda` only), so that one image serves both.
    """
    if gpus and xgb.build_info().get("USE_CUDA"):
        return f"cuda:{local_rank}"
    return "cpu"


def build_parameters(
    task: str, own: Mapping[str, Any], *, device: str, threads: int, features: Sequence[Feature] = ()
) -> dict[str, Any]:
    """The engine's parameters: the defaults of the task, the contract's, and what only the gang may set.

    Constraints that the contract gives by the names of features (`monotone_constraints` as an object, `interaction_constraints` as
    lists of names) come out by position, as the engine knows features.

    Raises
    ------
    AnalysisError
        When the contract sets what is the gang's to set, an objective that does not fit the target's type, or a constraint on what
        is no feature.
    """
    if taken := _OURS & own.keys():
        raise AnalysisError(
            f"the contract's parameters set {', '.join(sorted(taken))}, which the gang sets; leave it out"
        )
    constraints = _build_constraints(own, {feature.name: position for position, feature in enumerate(features)})
    whole = {"tree_method": "hist", **_DEFAULT[task], **own, **constraints, "device": device, "nthread": threads}
    if not str(whole["objective"]).startswith(_FAMILY[task]):
        raise AnalysisError(f"the objective {whole['objective']!r} does not fit a {task} target")
    if whole.get("booster", "gbtree") != "gbtree":
        raise AnalysisError(f"the booster {whole['booster']!r} cannot resume bit for bit; leave it out for gbtree")
    if not isinstance(whole["eval_metric"], str):
        raise AnalysisError("eval_metric must be one metric")
    return whole


def _build_constraints(own: Mapping[str, Any], positions: Mapping[str, int]) -> dict[str, str]:
    """The contract's constraints as the engine reads them from text."""
    found: dict[str, str] = {}
    try:
        if isinstance(monotone := own.get("monotone_constraints"), dict):
            signs = {positions[name]: int(sign) for name, sign in monotone.items()}
            found["monotone_constraints"] = f"({','.join(str(signs.get(at, 0)) for at in range(len(positions)))})"
        if isinstance(together := own.get("interaction_constraints"), list):
            found["interaction_constraints"] = json.dumps([[positions[name] for name in names] for names in together])
    except KeyError as cause:
        raise AnalysisError(f"the contract's parameters constrain {cause}, which is no feature") from cause
    except (TypeError, ValueError) as cause:
        raise AnalysisError(
            'the contract\'s parameters: monotone_constraints are an object like {"price": 1, "age": -1}, interaction_constraints'
            ' a list of lists of names like [["price", "age"]]'
        ) from cause
    return found


def try_out(whole: Mapping[str, Any], width: int = 1) -> None:
    """Grow one tree on four rows of `width` features with these parameters, away from the gang, where an error is surely theirs.

    Raises
    ------
    AnalysisError
        When the engine refuses a parameter, or does not know it.
    """
    rows = np.repeat(np.arange(4.0), max(1, width)).reshape(4, -1)
    tiny = xgb.QuantileDMatrix(rows, label=np.array([0.0, 1.0, 0.0, 1.0]), nthread=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            xgb.train(
                {**whole, "device": "cpu", "nthread": 1, "validate_parameters": True},
                tiny,
                1,
                evals=[(tiny, "tiny")],
                verbose_eval=False,
            )
        except (xgb.core.XGBoostError, ValueError, TypeError, AttributeError) as cause:
            raise AnalysisError(f"the contract's parameters: {_read_first_line(cause)}") from cause
    for warning in caught:
        if "are not used" in str(warning.message):
            raise AnalysisError(f"the contract's parameters: {' '.join(str(warning.message).split()[-6:])}")


def join(tracker: tuple[str, int], rank: int, seconds: float) -> None:
    """Become part of the collective; one attempt of the engine gives up after seconds, so it is repeated.

    A worker cannot leave the collective, because its shutdown needs the tracker and every peer, and any of them may be gone. It stays
    until its supervisor ends it.

    Raises
    ------
    xgboost.core.XGBoostError
        When the collective cannot be joined in time.
    """
    address, port = tracker
    deadline = time.monotonic() + seconds
    while True:
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints the rank, whatever its verbosity
                collective.init(
                    dmlc_communicator="rabit",
                    dmlc_tracker_uri=address,
                    dmlc_tracker_port=port,
                    dmlc_task_id=f"{rank:06d}",
                    dmlc_timeout=_COLLECTIVE_SECONDS,
                    dmlc_retry=3,
                )
            break
        except xgb.core.XGBoostError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    if collective.get_rank() != rank:
        raise AnalysisError(f"the tracker gave worker {rank} the rank {collective.get_rank()}")


def sum_over_workers(values: np.ndarray) -> np.ndarray:
    """The sum of every worker's values."""
    return collective.allreduce(values, collective.Op.SUM)


def check_any(flag: bool) -> bool:
    """Whether the flag is set at any worker: all workers get the same answer."""
    return bool(collective.allreduce(np.array([int(flag)]), collective.Op.MAX)[0])


def run_alone(work: Callable[[], T]) -> T:
    """Run work of this worker alone, which may not wait for the others.

    The engine makes even the building of a small matrix a collective operation, and a worker without rows builds none: its
    peers would wait for ever, or take the answer to another question for theirs. The collective belongs to the thread that
    joined it, so such work runs in another one.
    """
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(work).result()


def broadcast_from_leader(thing: Any) -> Any:
    """What the leader's worker holds."""
    return collective.broadcast(thing, 0)


class _Rows(xgb.DataIter):
    """The labelled rows of a spool, batch by batch; at least one batch, since the engine wants to see the columns."""

    def __init__(self, spool: Spool, *, held_out: bool | None, on_batch: Callable[[], None]) -> None:
        self._spool = spool
        self._held_out = held_out
        self._on_batch = on_batch
        self._left: Iterator[tuple[pa.Table, np.ndarray]] = iter(())
        super().__init__()

    def reset(self) -> None:
        """See `xgboost.DataIter`."""
        self._left = self._read_batches()

    def next(self, input_data: Callable[..., None]) -> bool:
        """See `xgboost.DataIter`."""
        self._on_batch()
        batch = next(self._left, None)
        if batch is None:
            return False
        table, labels = batch
        input_data(data=table, label=labels, **describe_features(self._spool.features))
        return True

    def _read_batches(self) -> Iterator[tuple[pa.Table, np.ndarray]]:
        empty = True
        for whole in self._spool:
            batch = select_labelled(whole, self._spool, held_out=self._held_out)
            if batch.num_rows:
                empty = False
                labels = self._spool.get_extra(batch, ACTUAL).to_numpy(zero_copy_only=False).astype(np.float32)
                yield self._spool.to_table(batch), labels
        if empty:
            names = build_engine_names(self._spool.features)
            columns = pa.Table.from_arrays([pa.array([], pa.float32())] * len(names), names=names)
            yield columns, np.empty(0, np.float32)


def build_matrix(
    spool: Spool,
    whole: Mapping[str, Any],
    *,
    held_out: bool | None,
    on_batch: Callable[[], None],
    like: xgb.QuantileDMatrix | None = None,
) -> xgb.QuantileDMatrix:
    """Rows of a spool as a quantised matrix, whose bins all workers agree on; `like` is the matrix to take them from."""
    return xgb.QuantileDMatrix(
        _Rows(spool, held_out=held_out, on_batch=on_batch),
        max_bin=whole.get("max_bin", 256),
        nthread=whole["nthread"],
        enable_categorical=True,
        ref=like,
    )


def describe_features(features: Sequence[Feature]) -> dict[str, list[str]]:
    """The features as the engine takes them."""
    return {
        "feature_names": build_engine_names(features),
        "feature_types": [feature.engine_type for feature in features],
    }


def _read_first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else repr(error)
