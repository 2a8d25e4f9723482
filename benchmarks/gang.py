"""How the gang compares with plain `xgboost.train`, and how both grow: wall time, start-up and memory.

    python benchmarks/gang.py                                       # 1M rows; prints JSON
    python benchmarks/gang.py --rows 1000000 10000000 --write       # and puts the table into docs/benchmarks.md

Fails when a ratio is beyond what is promised. `plain` is one process that does what a person would write by hand: read the shards,
hold rows out, build the matrices, train, predict every row, save the model. All use the same rows, parameters and cores and run one
after another, interleaved; each number is the best of the repeats, since what disturbs a measurement only ever makes it slower.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xgboost as xgb

from analysis.partition import is_validation
from spotline.manifests import CleanManifest, Shard, digest

SHARD_ROWS = 250_000
PROMISED = {"1 to plain": 1.10, "4 to 1": 1.35}
"""Wall time of one member against plain XGBoost, and of four members against one on the same cores, at most."""
FORMING_SECONDS = 2
DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- gang: begin -->", "<!-- gang: end -->"
CITIES = [f"city-{number:02d}" for number in range(50)]


def main() -> int:
    """Measure, print, and fail when a promise is broken."""
    told = _arguments()
    sizes = [_measure_size(rows, told) for rows in told.rows]
    report = {"machine": _machine(told), "sizes": sizes, "broken": [name for size in sizes for name in _broken(size)]}
    print(json.dumps(report, indent=1))
    if told.write:
        _write(_document(report, told))
    return 1 if report["broken"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.plain:
        _plain(told.plain)
        sys.exit(0)
    return told


def _measure_size(rows: int, told: argparse.Namespace) -> dict[str, Any]:
    """Every program on data of one size."""
    folder = Path(tempfile.mkdtemp(prefix="gang-benchmark-"))
    try:
        _write_data(folder / "in", rows, told.features, told.rounds)
        runs: dict[str, list[dict[str, Any]]] = {}
        for _ in range(told.repeat):
            plain = _measure([sys.executable, __file__, "--plain", str(folder / "in")])
            runs.setdefault("plain", []).append(plain)
            for members in told.members:
                runs.setdefault(_called(members), []).append(_gang(folder, members))
        best = {name: min(measured, key=lambda one: one["seconds"]) for name, measured in runs.items()}
        return {"rows": rows, **best, "ratios": _ratios(best, told.members)}
    finally:
        shutil.rmtree(folder)


def _broken(size: dict[str, Any]) -> list[str]:
    """What was promised and does not hold at this size."""
    ratios = [name for name, most in PROMISED.items() if size["ratios"].get(name, 0) > most]
    slow = [name for name, one in size.items() if "member" in name and one.get("formed_seconds", 0) > FORMING_SECONDS]
    return [f"{size['rows']} rows: {what}" for what in [*ratios, *(f"forming of {name}" for name in slow)]]


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


def _ratios(best: dict[str, Any], members: list[int]) -> dict[str, float]:
    first = members[0]
    ratios = {f"{first} to plain": best[_called(first)]["seconds"] / best["plain"]["seconds"]}
    for more in members[1:]:
        ratios[f"{more} to {first}"] = best[_called(more)]["seconds"] / best[_called(first)]["seconds"]
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def _called(members: int) -> str:
    return "1 member" if members == 1 else f"{members} members"


def _machine(told: argparse.Namespace) -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.now(UTC):%d %B %Y}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, xgboost {xgb.__version__}:"
        f" {told.features} features, {told.rounds} rounds, the best of repeats: {told.repeat}"
    )


def _document(report: dict[str, Any], told: argparse.Namespace) -> str:
    """The table and the growth, in Markdown."""
    programs = ["plain", *map(_called, told.members)]
    lines = [
        f"{report['machine']}.",
        "",
        "| rows | program | wall time | to | promised | forming | a worker's memory | a supervisor's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in report["sizes"]:
        lines += [_line(size, name, told.members) for name in programs]
    for small, large in itertools.pairwise(report["sizes"]):
        grown = [
            f"{name} {large[name]['seconds'] / small[name]['seconds']:.1f} times the wall time and"
            f" {_memory(large[name]) / _memory(small[name]):.1f} times the memory"
            for name in programs
        ]
        more = large["rows"] / small["rows"]
        lines += ["", f"From {small['rows']:,} to {large['rows']:,} rows, {more:g} times as many: {'; '.join(grown)}."]
    return "\n".join(lines)


def _line(size: dict[str, Any], name: str, members: list[int]) -> str:
    one, first = size[name], members[0]
    compared = {_called(first): f"{first} to plain"} | {_called(more): f"{more} to {first}" for more in members[1:]}
    against = compared.get(name, "")
    ratio = f"{size['ratios'][against]:.2f}" if against in size["ratios"] else ""
    promised = f"{PROMISED[against]:.2f}" if against in PROMISED else ""
    forming = f"{one['formed_seconds']:.1f} s" if "formed_seconds" in one else ""
    supervisor = f"{one['peak_mib']['supervisor']:.0f} MiB" if "supervisor" in one["peak_mib"] else ""
    cells = [f"{size['rows']:,}", name, f"{one['seconds']:.1f} s", ratio, promised, forming]
    return f"| {' | '.join([*cells, f'{_memory(one):.0f} MiB', supervisor])} |"


def _memory(one: dict[str, Any]) -> float:
    """Peak memory of whoever holds the rows, in MiB."""
    peaks: dict[str, float] = one["peak_mib"]
    return peaks.get("analysis.worker", peaks.get("plain", 0.0))


def _write(table: str) -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
