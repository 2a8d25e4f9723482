"""The worker's work from the first byte to the last: load, sketch, train, score, publish."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost as xgb

from analysis import engine, hardware, partition, spool
from analysis.checkpoints import Lease, Resumed, compute_fingerprint
from analysis.encoding import Feature, Kind, build_engine_names, build_features, find_kind
from analysis.outcomes import AnalysisError, Stopped
from analysis.protocol import Phase
from analysis.scoring import score
from analysis.shards import Shards, move_to_results
from analysis.training import Boosting, History, Trained, TrainingPlan, load_booster
from spotline.contracts import MOST_BYTES, Analysis, Contract
from spotline.layout import MANIFEST
from spotline.manifests import AnalysisManifest, CleanManifest, Part, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.log import Log
    from analysis.membership import Member
    from analysis.protocol import SupervisorLink
    from analysis.settings import Settings, Storage

# With fewer rows than this that have a target, all of them train: a handful of held-out rows validates nothing.
FEWEST_ROWS_TO_HOLD_OUT = 50
# A thread for so many rows: with fewer, the threads' own coordination costs more than it saves.
ROWS_A_THREAD = 20_000
HISTORY_POINTS = 200
_MAXIMISED = ("auc", "aucpr", "map", "ndcg", "pre")


@dataclass(frozen=True)
class Task:
    """What is to be done, by contract, clean manifest and shards: the same for every worker of the gang."""

    clean_digest: str
    manifest: CleanManifest
    contract: Contract
    analysis: Analysis
    features: list[Feature]
    binary: bool
    plan: TrainingPlan
    parameters: dict[str, Any]

    @property
    def rows(self) -> list[int]:
        """Rows of each shard."""
        return [shard.rows for shard in self.manifest.shards]

    @property
    def kind(self) -> str:
        """The kind of target."""
        return "binary" if self.binary else "regression"


class Job:
    """One worker's part in the analysis of one run."""

    def __init__(
        self,
        settings: Settings,
        member: Member,
        rank: int,
        workers: int,
        storage: Storage,
        link: SupervisorLink,
        log: Log,
    ) -> None:
        self._settings = settings
        self._rank = rank
        self._workers = workers
        self._world = member.size * workers
        self._member = member
        self._storage = storage
        self._link = link
        self._log = log
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}

    def run(self) -> None:
        """Do all of it. On return the analysis is published.

        Raises
        ------
        AnalysisError
            When data, contract or program are at fault.
        FencedOff
            When a newer gang may write instead.
        Stopped
            When the gang was asked to leave.
        xgboost.core.XGBoostError
            When the collective breaks, as it does when a peer is lost.
        """
        shards, task = self._read_task()
        self._log_engine(task.parameters)
        engine.try_out(task.parameters, len(task.features))
        self._link.send(ready=1)
        tracker = self._link.tracker.get()
        self._link.enter(Phase.JOINING)
        engine.join(tracker, self._rank, self._settings.gang_joining_seconds)
        self._record_seconds("forming")
        rows = self._load(shards, task)
        trained, resumed, validates = self._train(task, rows)
        body = self._build_model(task, trained)
        self._score(task, rows, body, validates)
        self._link.enter(Phase.PUBLISHING)
        engine.check_any(False)  # nobody publishes before every part is there
        if self._rank == 0:
            self._publish(task, trained, body, resumed)

    def _read_task(self) -> tuple[Shards, Task]:
        body = self._storage.clean.read(MANIFEST, CleanManifest.MOST_BYTES).body
        manifest = CleanManifest.from_json(body, self._storage.clean.location(MANIFEST))
        contract = Contract.from_json(self._storage.contract.read("contract.json", MOST_BYTES).body)
        analysis = contract.analysis
        if analysis is None:
            raise AnalysisError("the contract names no target under spotline.analysis: there is nothing to analyse")
        if not any(shard.rows for shard in manifest.shards):
            raise AnalysisError("there is no clean row to analyse")
        shards = Shards(self._storage.clean, manifest)
        schema = shards.read_schema()
        kind = find_kind(schema.field(analysis.target).type) if analysis.target in schema.names else None
        if kind not in (Kind.NUMBER, Kind.BOOLEAN):
            what = "is no column of the shards" if kind is None else f"is a {kind}"
            raise AnalysisError(f"the target {analysis.target!r} {what}: only numbers and booleans can be learnt")
        binary = kind is Kind.BOOLEAN
        features = build_features(schema, analysis.features, manifest.categories)
        parameters = engine.build_parameters(
            "binary" if binary else "regression",
            analysis.parameters,
            device=engine.choose_device(hardware.count_gpus(), self._rank % self._workers),
            threads=self._choose_threads(sum(shard.rows for shard in manifest.shards)),
            features=features,
        )
        plan = TrainingPlan(
            rounds=analysis.rounds,
            segment=analysis.segment,
            patience=analysis.early_stopping_rounds,
            maximise=parameters["eval_metric"].split("@")[0] in _MAXIMISED,
            seed=analysis.seed,
        )
        return shards, Task(digest(body), manifest, contract, analysis, features, binary, plan, parameters)

    def _log_engine(self, parameters: Mapping[str, Any]) -> None:
        """Log once a member what its workers compute on, and over which network."""
        if self._rank % self._workers:
            return
        device = parameters["device"].split(":")[0]
        found = hardware.find_network(os.environ)
        self._log(
            "engine",
            xgboost=xgb.__version__,
            device=device,
            gpus=hardware.count_gpus(),
            workers=self._workers,
            threads=parameters["nthread"],
            collective="nccl" if device == "cuda" else "xgboost",
            provider=found.find_provider(device),
            libfabric=found.libfabric,
            plugin=found.plugin,
            efa_devices=found.devices,
        )

    def _choose_threads(self, rows: int) -> int:
        offered = self._settings.worker_threads or max(1, hardware.count_cores() // self._workers)
        return max(1, min(offered, rows // self._world // ROWS_A_THREAD))

    def _load(self, shards: Shards, task: Task) -> spool.Spool:
        self._link.enter(Phase.LOADING)
        start, stop = partition.compute_share(sum(task.rows), self._rank, self._world)
        rows = spool.fill_spool(
            shards,
            list(partition.split_into_ranges(task.rows, start, stop)),
            task.features,
            task.analysis.target,
            task.contract.primary_key,
            task.analysis.validation_share,
            self._link.report_batch,
        )
        self._record_seconds("loading")
        self._log("loaded", rank=self._rank, rows=rows.rows, seconds=self._seconds["loading"])
        return rows

    def _train(self, task: Task, rows: spool.Spool) -> tuple[Trained, Resumed, bool]:
        self._link.enter(Phase.SKETCHING)
        counts = rows.target_counts
        training, validation = engine.sum_over_workers(np.array([counts.training, counts.validation]))
        if training + validation == 0:
            raise AnalysisError(f"no clean row has a value in the target {task.analysis.target!r}")
        validates = bool(training and validation and training + validation >= FEWEST_ROWS_TO_HOLD_OUT)
        resumed = self._claim_lease(task)
        state = Trained(resumed.body, resumed.history)
        if not task.plan.is_finished(state.history):
            matrix = engine.build_matrix(
                rows, task.parameters, held_out=False if validates else None, on_batch=self._link.report_batch
            )
            held_out = None
            if validates:
                held_out = engine.build_matrix(
                    rows, task.parameters, held_out=True, on_batch=self._link.report_batch, like=matrix
                )
            self._record_seconds("sketching")
            self._link.enter(Phase.TRAINING)
            state = self._train_rounds(task, state, matrix, held_out)
        self._record_seconds("training")
        return state, resumed, validates

    def _claim_lease(self, task: Task) -> Resumed:
        """The leader takes the lease; all learn where training goes on."""
        resumed = None
        if self._rank == 0:
            named = {
                "clean": task.clean_digest,
                "analysis": asdict(task.analysis),
                "workers": self._world,
                "device": task.parameters["device"].split(":")[0],
            }
            self._lease = Lease.claim(
                self._storage.results,
                self._settings.generation,
                self._member.job_id,
                compute_fingerprint(named),
                task.clean_digest,
            )
            resumed = self._lease.resume()
            for reason in resumed.skipped:
                self._log("checkpoint unusable", reason=reason)
            if resumed.round:
                self._log("resumed", round=resumed.round, rounds=task.plan.rounds)
        agreed: Resumed = engine.broadcast_from_leader(resumed)
        return agreed

    def _train_rounds(
        self, task: Task, state: Trained, matrix: xgb.QuantileDMatrix, held_out: xgb.QuantileDMatrix | None
    ) -> Trained:
        boosting = Boosting(state, task.plan, task.parameters, matrix, held_out)
        while not task.plan.is_finished(boosting.state.history):
            if engine.check_any(self._link.stop_requested):
                raise Stopped
            boosting.train_segment(self._on_round)
            if self._rank == 0:
                self._checkpoint(task, boosting.state)
        return boosting.state

    def _on_round(self, round_: int) -> None:
        self._link.send(round=round_)

    def _checkpoint(self, task: Task, state: Trained) -> None:
        done = len(state.history)
        train, held_out = state.history[-1]
        metric = task.parameters["eval_metric"]
        self._log("round", round=done, rounds=task.plan.rounds, metric=metric, train=train, validation=held_out)
        self._lease.save(done, state.body or b"", state.history)
        self._link.send(checkpoint=done)
        self._log("checkpoint", round=done)

    def _build_model(self, task: Task, trained: Trained) -> bytes:
        """The model's bytes, with the columns' own names: cut back to its best round where training was to stop early."""
        names = engine.describe_features(task.features)
        model = load_booster(trained.body or b"", task.parameters, names)
        if task.plan.patience is not None:
            model = model[: task.plan.find_best_round(trained.history)]
        model.feature_names = [feature.name for feature in task.features]
        return bytes(model.save_raw(raw_format="ubj"))

    def _score(self, task: Task, rows: spool.Spool, body: bytes, validates: bool) -> None:
        self._link.enter(Phase.SCORING)
        part = engine.run_alone(
            lambda: score(
                rows,
                load_booster(body, task.parameters, engine.describe_features(task.features)),
                part=self._rank,
                target=task.analysis.target,
                binary=task.binary,
                validates=validates,
                on_batch=self._link.report_batch,
            )
        )
        names = _name_part(self._rank, part.rows)
        move_to_results(part.rows_file, self._storage.results, self._storage.own + names.rows_path)
        self._storage.results.write(self._storage.own + names.sums_path, part.sums)
        self._record_seconds("scoring")

    def _publish(self, task: Task, trained: Trained, body: bytes, resumed: Resumed) -> None:
        own, results = self._storage.own, self._storage.results
        details = self._build_details(task, trained, body)
        results.write(f"{own}model.ubj", body)
        results.write(
            f"{own}training.json", _encode_json({**details, "parameters": task.parameters, "history": trained.history})
        )
        total = sum(task.rows)
        sizes = [
            stop - start
            for start, stop in (partition.compute_share(total, rank, self._world) for rank in range(self._world))
        ]
        manifest = AnalysisManifest(
            clean=self._storage.clean.location(MANIFEST),
            clean_digest=task.clean_digest,
            members=self._member.size,
            rounds=task.plan.rounds,
            resumed_from=resumed.round or None,
            parts=tuple(_name_part(rank, rows, own) for rank, rows in enumerate(sizes)),
            model=f"{own}model.ubj",
            job_id=self._member.job_id,
            generation=self._settings.generation,
            details={
                **details,
                "history": _thin_history(trained.history),
                "training": f"{own}training.json",
                "seconds": self._seconds,
            },
        )
        self._lease.publish(manifest.to_json())
        self._log("published", rounds=len(trained.history), seconds=time.monotonic() - self._began)

    def _build_details(self, task: Task, trained: Trained, body: bytes) -> dict[str, Any]:
        model = load_booster(body, task.parameters, engine.describe_features(task.features))
        real = dict(zip(build_engine_names(task.features), (feature.name for feature in task.features), strict=True))
        gains: dict[str, Any] = {
            real[name]: gain for name, gain in model.get_score(importance_type="total_gain").items()
        }
        total = sum(gains.values()) or 1.0
        return {
            "task": task.kind,
            "target": task.analysis.target,
            "features": [feature.name for feature in task.features],
            "objective": task.parameters["objective"],
            "metric": task.parameters["eval_metric"],
            "trained_rounds": len(trained.history),
            "model_rounds": model.num_boosted_rounds(),
            "best_round": task.plan.find_best_round(trained.history),
            "importances": {name: gain / total for name, gain in sorted(gains.items(), key=lambda item: -item[1])},
            "device": task.parameters["device"].split(":")[0],
            "workers": self._world,
        }

    def _record_seconds(self, phase: str) -> None:
        """Note how long a phase took, in seconds."""
        self._seconds[phase] = round(time.monotonic() - self._began - sum(self._seconds.values()), 3)


def _name_part(rank: int, rows: int, own: str = "") -> Part:
    return Part(f"{own}parts/part-{rank:04d}.parquet", f"{own}parts/part-{rank:04d}.json", rows)


def _thin_history(history: History) -> list[list[Any]]:
    """At most `HISTORY_POINTS` rounds as [round, training metric, validation metric], the first and the last among them."""
    step = max(1, -(-len(history) // HISTORY_POINTS))
    return [
        [round_, *metrics]
        for round_, metrics in enumerate(history, 1)
        if round_ % step == 0 or round_ in (1, len(history))
    ]


def _encode_json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"
