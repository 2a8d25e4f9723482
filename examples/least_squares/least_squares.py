"""A second analysis, small enough to read at one sitting: least squares by a gang of members, in plain NumPy.

Every member adds up the normal equations of its own rows, all members add and solve the sums of all, and each scores its rows.
The steps follow docs/extend.md, which gives the reason for each.

Members exchange small files in the results, which is enough for one exchange. A heartbeat file of each member shows the others that
it runs.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from notices import Notices
from spotline import layout
from spotline.contracts import Contract, ContractError
from spotline.exits import ExitCode
from spotline.manifests import AnalysisManifest, CleanManifest, ManifestError, Part, digest
from spotline.objects import ObjectMissing, Objects, WriteRefused, open_objects

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_TIMEOUT_SECONDS = 15.0
FORMING_SECONDS = float(os.environ.get("GANG_FORMING_SECONDS", "300"))
RIDGE = 1e-6
REASONS = pa.list_(pa.struct([("feature", pa.string()), ("contribution", pa.float64())]))


class Leave(Exception):
    """The member has to leave with this exit code."""

    def __init__(self, code: ExitCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Member:
    """Who this process is, and where the run's files lie."""

    index: int
    size: int
    job_id: str
    generation: int
    clean: Objects
    contract: Objects
    results: Objects
    own: str

    @classmethod
    def from_environment(cls) -> Member:
        """Read what docs/extend.md lists under "What a member is given"."""
        environ = os.environ
        job_id = layout.parent_job_id(environ["AWS_BATCH_JOB_ID"])
        if "AWS_BATCH_JOB_NUM_NODES" in environ:
            size = int(environ["AWS_BATCH_JOB_NUM_NODES"])
            index = (int(environ["AWS_BATCH_JOB_NODE_INDEX"]) - int(environ["AWS_BATCH_JOB_MAIN_NODE_INDEX"])) % size
        else:
            index = int(environ.get("AWS_BATCH_JOB_ARRAY_INDEX", "0"))
            size = int(environ.get("AWS_BATCH_JOB_ARRAY_SIZE", "1"))
        generation = int(environ["GENERATION"])
        if "ANALYSIS_INPUT" in environ:
            source, output = open_objects(environ["ANALYSIS_INPUT"]), open_objects(environ["ANALYSIS_OUTPUT"])
            return cls(index, size, job_id, generation, source, source, output, "")
        run, middle = environ["RUN_ID"], open_objects(f"s3://{environ['INTERMEDIATE_BUCKET']}/")
        results = open_objects(f"s3://{environ['RESULTS_BUCKET']}/{layout.analysis_prefix(run)}")
        clean, contract = middle.at(layout.preprocess_prefix(run)), middle.at(layout.run_prefix(run))
        return cls(index, size, job_id, generation, clean, contract, results, f"{job_id}/")


class Exchange:
    """What members send each other, as files under `exchange/<job id>/`, and their heartbeats."""

    def __init__(self, member: Member, notices: Notices) -> None:
        self._member = member
        self._notices = notices
        self._results = member.results.at(f"exchange/{member.job_id}/")
        self._seen: dict[int, tuple[str, float]] = {}
        self._formed = False
        self._began = time.monotonic()
        threading.Thread(target=self._send_heartbeats, daemon=True).start()

    def send(self, name: str, thing: Any) -> None:
        """Send something to the other members."""
        self._results.write(f"{name}-{self._member.index}.json", json.dumps(thing).encode())

    def receive(self, name: str) -> list[Any]:
        """What each member sent under this name, in their order; waits for it as long as the members run."""
        received = []
        for index in range(self._member.size):
            self._leave_on_notice()
            while (sent := self._read(name, index)) is None:
                self._leave_on_notice()
                self._check_members()
                time.sleep(0.1)
            received.append(sent)
        return received

    def wait_for_leader(self, name: str) -> None:
        """Wait until the leader has sent this, even after a notice: this member's own work is done, and the gang's will be soon."""
        while self._read(name, 0) is None:
            self._check_members()
            time.sleep(0.1)

    def _read(self, name: str, index: int) -> Any:
        try:
            return json.loads(self._results.read(f"{name}-{index}.json").body)
        except ObjectMissing:
            return None

    def _leave_on_notice(self) -> None:
        if self._notices.came:
            raise Leave(ExitCode.TRY_AGAIN, f"this member got a {self._notices.kind} notice")

    def _check_members(self) -> None:
        """Leave when a member was lost, or never came."""
        now = time.monotonic()
        for index in range(self._member.size):
            try:
                tag = self._results.read(f"heartbeat-{index}.json").etag
            except ObjectMissing:
                continue
            if index not in self._seen or self._seen[index][0] != tag:
                self._seen[index] = (tag, now)
            elif now - self._seen[index][1] > HEARTBEAT_TIMEOUT_SECONDS:
                raise Leave(
                    ExitCode.TRY_AGAIN, f"member {index} was lost: no heartbeat for {HEARTBEAT_TIMEOUT_SECONDS:.0f} s"
                )
        self._formed = self._formed or len(self._seen) == self._member.size
        if not self._formed and now - self._began > FORMING_SECONDS:
            raise Leave(ExitCode.GANG_NOT_FORMED, f"the gang did not form: {len(self._seen)} members came")

    def _send_heartbeats(self) -> None:
        number = 0
        while True:
            number += 1
            self.send("heartbeat", number)
            time.sleep(HEARTBEAT_SECONDS)


def claim_lease(member: Member) -> tuple[str, str | None]:
    """Take the lease; returns the tags of the pointer and of the manifest that lies there (None: there is none)."""
    manifest, before = _read_tag(member.results, layout.MANIFEST), _read_tag(member.results, layout.POINTER)
    if before is not None:
        held = json.loads(member.results.read(layout.POINTER).body)
        if held["generation"] >= member.generation and held["job_id"] != member.job_id:
            raise Leave(ExitCode.TRY_AGAIN, f"generation {held['generation']} holds the lease")
    pointer = json.dumps({"generation": member.generation, "job_id": member.job_id}).encode()
    return member.results.write(layout.POINTER, pointer, if_etag=before), manifest


def _read_tag(results: Objects, key: str) -> str | None:
    try:
        return results.read(key).etag
    except ObjectMissing:
        return None


def read_rows(member: Member, manifest: CleanManifest) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """The member's rows, with the shard and the row number of each: every member takes an equal run of all rows."""
    total = sum(shard.rows for shard in manifest.shards)
    start, stop = member.index * total // member.size, (member.index + 1) * total // member.size
    tables: list[pa.Table] = []
    shards, rows, offset = [], [], 0
    for index, shard in enumerate(manifest.shards):
        first, last = max(start - offset, 0), min(stop - offset, shard.rows)
        if first < last or not tables:
            whole = pq.read_table(io.BytesIO(member.clean.read(shard.path).body))
            tables.append(whole.slice(first, max(last - first, 0)))
            shards.append(np.full(tables[-1].num_rows, index))
            rows.append(np.arange(first, first + tables[-1].num_rows))
        offset += shard.rows
    return pa.concat_tables(tables).combine_chunks(), np.concatenate(shards), np.concatenate(rows)


def build_design_matrix(rows: pa.Table, features: tuple[str, ...], categories: dict[str, list[str]]) -> np.ndarray:
    """A column of ones, a column a number, a column a category's value; what is missing counts as 0."""
    columns = [np.ones(rows.num_rows)]
    for name in features:
        if name in categories:
            places = pc.index_in(rows[name].cast(pa.string()), pa.array(categories[name], pa.string()))
            codes = places.fill_null(-1).to_numpy()
            columns += [(codes == code).astype(float) for code in range(len(categories[name]))]
        else:
            columns.append(_read_numbers(rows[name], 0.0))
    return np.column_stack(columns)


def _read_numbers(column: pa.ChunkedArray[Any], missing: float) -> np.ndarray:
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("s")).cast(pa.int64())
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(pa.scalar(missing)).to_numpy())


def compute_sums(actual: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """The sums of a regression, as parts hold them."""
    error, mean = prediction - actual, float(actual.mean()) if actual.size else 0.0
    return {
        "rows": int(actual.size),
        "mean": mean,
        "m2": math.fsum((actual - mean) ** 2),
        "error": math.fsum(error),
        "absolute_error": math.fsum(np.abs(error)),
        "squared_error": math.fsum(error**2),
    }


def write_part(
    member: Member,
    target: str,
    primary_key: tuple[str, ...],
    rows: pa.Table,
    where: tuple[np.ndarray, np.ndarray],
    prediction: np.ndarray,
) -> Part:
    """Write this member's part."""
    actual = _read_numbers(rows[target], np.nan)
    labelled = ~np.isnan(actual)
    split = np.where(labelled, "train", "unlabelled")
    columns: dict[str, Any] = {"shard": pa.array(where[0], pa.int32()), "row": pa.array(where[1], pa.int64())}
    if primary_key:
        keys = [rows[name].combine_chunks() for name in primary_key]
        columns["key"] = pa.StructArray.from_arrays(keys, list(primary_key))
    columns |= {
        "split": pa.array(split, pa.string()),
        "actual": pa.array(actual, mask=~labelled),
        "prediction": pa.array(prediction),
        "residual": pa.array(actual - prediction, mask=~labelled),
        "reasons": pa.nulls(len(actual), REASONS),
    }
    scored = pa.table(columns)
    body = io.BytesIO()
    pq.write_table(scored, body)
    worst = np.argsort(-np.abs(np.where(labelled, actual - prediction, 0)), kind="stable")[
        : min(20, int(labelled.sum()))
    ]
    document = {
        "schema": "spotline/part/1",
        "part": member.index,
        "task": "regression",
        "target": target,
        "rows": {"train": int(labelled.sum()), "validation": 0, "unlabelled": int((~labelled).sum())},
        "sums": {
            "train": compute_sums(actual[labelled], prediction[labelled]),
            "validation": compute_sums(np.empty(0), np.empty(0)),
        },
        "surprising": [{**row, "reasons": []} for row in scored.take(worst).to_pylist()],
    }
    name = f"{member.own}parts/part-{member.index:04d}"
    member.results.write(f"{name}.parquet", body.getvalue())
    member.results.write(f"{name}.json", json.dumps(document, default=str).encode())
    return Part(f"{name}.parquet", f"{name}.json", scored.num_rows)


def analyse(member: Member, exchange: Exchange) -> None:
    """The whole analysis."""
    clean = member.clean.read(layout.MANIFEST).body
    manifest, contract = CleanManifest.from_json(clean), Contract.from_json(member.contract.read("contract.json").body)
    if contract.analysis is None:
        raise ContractError("spotline.analysis", "names no target")
    exchange.send("here", member.generation)
    exchange.receive("here")
    lease, published = claim_lease(member) if member.index == 0 else ("", None)

    rows, *where = read_rows(member, manifest)
    matrix = build_design_matrix(rows, contract.analysis.features, manifest.categories)
    actual = _read_numbers(rows[contract.analysis.target], np.nan)
    labelled = ~np.isnan(actual)
    exchange.send(
        "equations",
        [(matrix[labelled].T @ matrix[labelled]).tolist(), (matrix[labelled].T @ actual[labelled]).tolist()],
    )
    # Added up in the members' order by everybody, so that all get the same numbers to the last bit.
    left, right = (np.sum([np.array(sums[side]) for sums in exchange.receive("equations")], axis=0) for side in (0, 1))
    weights = np.linalg.solve(left + RIDGE * np.trace(left) * np.eye(len(left)), right)

    log(event="round", round=1, rounds=1, member=member.index)

    part = write_part(
        member, contract.analysis.target, contract.primary_key, rows, (where[0], where[1]), matrix @ weights
    )
    exchange.send("part", [part.rows_path, part.sums_path, part.rows])
    if member.index == 0:
        parts = tuple(Part(*given) for given in exchange.receive("part"))
        model = f"{member.own}weights.json"
        member.results.write(model, json.dumps(weights.tolist()).encode())
        analysis = AnalysisManifest(
            clean=member.clean.location(layout.MANIFEST),
            clean_digest=digest(clean),
            members=member.size,
            rounds=1,
            resumed_from=None,
            parts=parts,
            model=model,
            job_id=member.job_id,
            generation=member.generation,
            details={"metric": "rmse", "target": contract.analysis.target},
        )
        member.results.write(layout.POINTER, member.results.read(layout.POINTER).body, if_etag=lease)
        member.results.write(layout.MANIFEST, analysis.to_json(), if_etag=published)
        exchange.send("published", True)
    exchange.wait_for_leader("published")


def main() -> int:
    """Run as one member; returns the exit code."""
    try:
        member = Member.from_environment()
    except (KeyError, ValueError) as error:
        log(event="leaving", code=ExitCode.BAD_CONFIGURATION, reason=f"the environment is incomplete: {error}")
        return ExitCode.BAD_CONFIGURATION
    notices = Notices()
    try:
        analyse(member, Exchange(member, notices))
    except Leave as leaving:
        code, reason = leaving.code, str(leaving)
    except WriteRefused as refused:
        code, reason = ExitCode.TRY_AGAIN, f"another gang has taken over: {refused}"
    except (ObjectMissing, ManifestError, ContractError) as wrong:
        code, reason = ExitCode.BAD_CONFIGURATION, f"{type(wrong).__name__}: {wrong}"
    else:
        return ExitCode.DONE
    if notices.came:
        record = json.dumps({"member": member.index, "generation": member.generation, "kind": notices.kind})
        member.results.write(layout.notice_key(member.job_id, member.index), record.encode())
    log(event="leaving", member=member.index, code=code, reason=reason)
    return code


def log(**event: Any) -> None:
    """Write one event as a log line."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
