"""How the gang compares with plain `xgboost.train`: wall time, start-up and memory.

    python benchmarks/gang.py [--rows 1000000] [--features 20] [--rounds 100] [--members 1 4] [--repeat 3]

Prints one JSON object, and fails when a ratio is beyond what is promised. `plain` is one process that does what a person would write by hand: read the shards, hold rows out,
build the matrices, train, predict every row, save the model. Both sides use the same rows, parameters and cores; each number
is the best of the repeats, since what disturbs a measurement only ever makes it slower.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xgboost as xgb

from analysis.shares import is_validation
from spotline.manifests import CleanManifest, Shard, digest

SHARD_ROWS = 250_000
PROMISED = {"1 to plain": 1.10, "4 to 1": 1.35}
"""Wall time of one member against plain XGBoost, and of four members against one on the same cores, at most."""
CITIES = [f"city-{number:02d}" for number in range(50)]


def main() -> int:
    """Measure, print, and fail when a promise is broken."""
    told = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="gang-benchmark-"))
    try:
        _write_data(folder / "in", told.rows, told.features, told.rounds)
        report: dict[str, Any] = {"rows": told.rows, "features": told.features, "rounds": told.rounds}
        report["cores"] = len(os.sched_getaffinity(0))
        report["plain"] = _best(
            told.repeat, lambda: _measure([sys.executable, __file__, "--plain", str(folder / "in")])
        )
        for members in told.members:
            report[f"{members} members"] = _best(told.repeat, lambda m=members: _gang(folder, m))
        report["ratios"] = _ratios(report, told.members)
        report["broken"] = [name for name, most in PROMISED.items() if report["ratios"].get(name, 0) > most]
        print(json.dumps(report, indent=1))
        return 1 if report["broken"] else 0
    finally:
        shutil.rmtree(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.plain:
        _plain(told.plain)
        sys.exit(0)
    return told


def _write_data(folder: Path, rows: int, features: int, rounds: int) -> None:
    """Numbers with 2 % missing, two categories, and a target that trees can learn."""
    (folder / "clean").mkdir(parents=True)
    weights = np.random.default_rng(0).normal(size=features - 2)
    shards = []
    for index, start in enumerate(range(0, rows, SHARD_ROWS)):
        random = np.random.default_rng(index + 1)
        size = min(SHARD_ROWS, rows - start)
        numbers = random.normal(size=(size, features - 2))
        city, grade = random.integers(0, len(CITIES), size), random.integers(0, 4, size)
        target = numbers @ weights + np.sin(3 * numbers[:, 0]) * numbers[:, 1] * 2 + city % 7 + (grade == 2) * 3
        columns = {"id": pa.array(np.arange(start, start + size))}
        missing = random.random(numbers.shape) < 0.02
        for column in range(features - 2):
            columns[f"f{column}"] = pa.array(numbers[:, column], mask=missing[:, column])
        columns["city"] = pa.array(np.array(CITIES)[city])
        columns["grade"] = pa.array(np.array(list("abcd"))[grade])
        columns["target"] = pa.array(target + random.normal(0, 0.5, size))
        path = folder / f"clean/shard-{index:04d}.parquet"
        pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=65_536)
        body = path.read_bytes()
        shards.append(Shard(f"clean/{path.name}", size, len(body), digest(body)))
    names = [name for name in columns if name not in ("id", "target")]
    manifest = CleanManifest(
        source={"path": "generated"},
        rows_read=rows,
        rows_clean=rows,
        rows_rejected=0,
        shards=tuple(shards),
        rejected=(),
        categories={"city": CITIES, "grade": list("abcd")},
        contract="contract.json",
        quality="quality.json",
        analyse=True,
    )
    types = dict.fromkeys(columns, "number") | {"id": "integer", "city": "string", "grade": "string"}
    contract = {
        "fields": [{"name": name, "type": type_} for name, type_ in types.items()],
        "primaryKey": ["id"],
        "spotline": {
            "analysis": {
                "target": "target",
                "features": names,
                "rounds": rounds,
                "parameters": {"max_depth": 6, "eta": 0.1},
            }
        },
    }
    (folder / "contract.json").write_text(json.dumps(contract))
    (folder / "manifest.json").write_bytes(manifest.to_json())


def _plain(folder: Path) -> None:
    """The comparison, in a process of its own."""
    manifest = CleanManifest.from_json((folder / "manifest.json").read_bytes())
    analysis = json.loads((folder / "contract.json").read_bytes())["spotline"]["analysis"]
    table = pa.concat_tables(pq.read_table(folder / shard.path) for shard in manifest.shards).combine_chunks()
    held_out = np.concatenate(
        [
            is_validation(index, np.arange(shard.rows, dtype=np.uint64), 0.2)
            for index, shard in enumerate(manifest.shards)
        ]
    )
    columns = {}
    for name in analysis["features"]:
        column = table[name]
        if name in manifest.categories:
            words = pa.array(manifest.categories[name])
            column = pa.DictionaryArray.from_arrays(pc.index_in(column, words).combine_chunks(), words)
        columns[name] = column
    features, target = pa.table(columns), table["target"].to_numpy()
    parameters = {**analysis["parameters"], "tree_method": "hist", "nthread": len(os.sched_getaffinity(0))}
    rows = xgb.QuantileDMatrix(features.filter(pa.array(~held_out)), label=target[~held_out], enable_categorical=True)
    judges = xgb.QuantileDMatrix(
        features.filter(pa.array(held_out)), label=target[held_out], enable_categorical=True, ref=rows
    )
    model = xgb.train(
        parameters, rows, analysis["rounds"], evals=[(rows, "train"), (judges, "validation")], verbose_eval=False
    )
    predictions = model.inplace_predict(features)
    np.save(folder.parent / "predictions.npy", predictions)
    model.save_model(folder.parent / "plain.ubj")


def _gang(folder: Path, members: int) -> dict[str, Any]:
    output = folder / "out"
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "analysis", "--input", str(folder / "in"), "--output", str(output)]
    measured = _measure([*command, "--members", str(members)], {"LOG_FORMAT": "json"})
    details = json.loads((output / "manifest.json").read_bytes())["details"]
    measured["phases_seconds"] = details["seconds"]
    measured["validation_rmse"] = details["history"][-1][2]
    return measured


def _measure(command: list[str], environ: dict[str, str] | None = None) -> dict[str, Any]:
    """Wall time of a command, and the peak memory of each kind of process that it started."""
    peaks: dict[str, float] = {}
    began = time.perf_counter()
    process = psutil.Popen(command, env={**os.environ, **(environ or {})}, stdout=subprocess.PIPE)
    watcher = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
    watcher.start()
    said, _ = process.communicate()
    seconds = time.perf_counter() - began
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} left with {process.returncode}:\n{said.decode()}")
    formed = [json.loads(line)["seconds"] for line in said.splitlines() if b'"formed"' in line]
    return {"seconds": round(seconds, 2), "peak_mib": peaks, **({"formed_seconds": max(formed)} if formed else {})}


def _watch(process: psutil.Popen, peaks: dict[str, float]) -> None:
    """Sample the unique memory (USS: private pages, so mapped shards and libraries are not counted twice)."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        for one in [process, *_children(process)]:
            try:
                words = one.cmdline()
                kind = next(
                    (word for word in words if word.startswith("analysis.")), "plain" if "--plain" in words else ""
                )
                kind = kind or ("launcher" if "--members" in words else "supervisor")
                peaks[kind] = max(peaks.get(kind, 0), round(one.memory_full_info().uss / 2**20, 1))
            except psutil.Error:
                continue
        time.sleep(0.05)


def _children(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _best(repeat: int, measure: Any) -> dict[str, Any]:
    return dict(min((measure() for _ in range(repeat)), key=lambda measured: measured["seconds"]))


def _ratios(report: dict[str, Any], members: list[int]) -> dict[str, float]:
    first = members[0]
    ratios = {f"{first} to plain": report[f"{first} members"]["seconds"] / report["plain"]["seconds"]}
    for more in members[1:]:
        ratios[f"{more} to {first}"] = report[f"{more} members"]["seconds"] / report[f"{first} members"]["seconds"]
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


if __name__ == "__main__":
    sys.exit(main())
