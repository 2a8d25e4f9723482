"""How fast, and in how much memory, preprocess cleans a dirty file, against single engines that do the same work.

    python benchmarks/preprocess.py --megabytes 1000 --rounds 3                 # prints the table
    python benchmarks/preprocess.py --megabytes 200 1000 --rounds 7 5 --write   # and puts it into docs/benchmarks.md

Programs run one after another, interleaved, each in a process of its own, so that a slow minute of the machine hits all of them. Their
time is that of the whole process. The clean rows of each are compared with ours, value by value. A figure is the median of the runs;
memory is the largest resident set. A program that asks for more memory than `--gigabytes` is stopped, and said to be.

Ours runs with one worker on one processor too, which says how much of its work cannot be parallel: with a share s of it, n workers
take s + (1 - s) / n of the time of one. Rivals that can keep what they reject run on the dirty file of a wrong type as well. The
files whose quoting or number of cells is wrong are measured for ours alone; DuckDB's `store_rejects` was not tried.
"""

import argparse
import compileall
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import psutil

HERE = Path(__file__).parent
RIVALS = ("polars_streaming", "duckdb_sql", "pyarrow_kernels", "pandas_chunks")
DIRTY = ("half-quoting", "half-type", "half-count", "half-blank", "unclosed")
VARIANTS = ("quoted", "crlf", "gzip", "broken", *DIRTY)
KEEP_REJECTS = ("polars_streaming", "duckdb_sql", "pyarrow_kernels")
KEPT = "half-type"
ALONE = "one worker"
OURS = "preprocess"
FLOOR = "floor"
TITLES = {
    OURS: "**preprocess**",
    FLOOR: "floor: polars' all-string parse of the same blocks",
    ALONE: "preprocess, one worker on one core",
    "quoted": "preprocess, every cell quoted",
    "crlf": "preprocess, CRLF",
    "gzip": "preprocess, gzip",
    "broken": "preprocess, 1% broken lines",
    "half-quoting": "preprocess, every second row broken in its quoting",
    "half-type": "preprocess, every second row of a wrong type",
    "half-count": "preprocess, every second row without its first cell",
    "half-blank": "preprocess, every second line blank",
    "unclosed": "preprocess, a quote never closed in the first row",
}
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- preprocess: begin -->", "<!-- preprocess: end -->"


@dataclass(frozen=True)
class Run:
    """One run of one program."""

    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    rows_clean: int
    rows_rejected: int


def main() -> None:
    """Make the data, run everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1000])
    parser.add_argument("--rounds", type=int, nargs="+", default=[3], help="one number, or one for each size")
    parser.add_argument("--rivals", nargs="*", default=list(RIVALS), choices=RIVALS)
    parser.add_argument("--once", nargs="*", default=[], choices=RIVALS, help="rivals that run in the first round only")
    parser.add_argument(
        "--variants", nargs="*", default=list(VARIANTS), choices=VARIANTS, help="of our own rows besides"
    )
    parser.add_argument(
        "--largest-bare",
        action="store_true",
        help="at the largest size, neither variants nor what runs once, and rows are counted, not compared",
    )
    parser.add_argument("--gigabytes", type=float, default=14, help="memory that a program may take")
    parser.add_argument("--folder", type=Path, help="keeps the data for the next time (default: a temporary one)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    options = parser.parse_args()
    rounds = options.rounds * len(options.megabytes) if len(options.rounds) == 1 else options.rounds
    for package in ("preprocess", "spotline"):  # as in the image, and as pip does with the rivals
        compileall.compile_dir(str(Path(find_spec(package).origin).parent), quiet=1)  # type: ignore[union-attr,arg-type]
    resource.setrlimit(resource.RLIMIT_DATA, (int(options.gigabytes * 2**30),) * 2)
    tables = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for size, times in zip(options.megabytes, rounds, strict=True):
            bare = options.largest_bare and size == max(options.megabytes)
            rivals = [name for name in options.rivals if not (bare and name in options.once)]
            variants = [] if bare else options.variants
            tables.append(measure(folder, size, times, rivals, options.once, variants, compare=not bare))
    report = "\n\n".join([_machine(), *tables])
    print(report)
    if options.write:
        _write(report)


def measure(
    folder: Path,
    megabytes: int,
    rounds: int,
    rivals: list[str],
    once: list[str],
    variants: list[str],
    *,
    compare: bool,
) -> str:
    """One size: every program on the plain file, and ours on its variants."""
    source = _data(folder, megabytes, "plain")
    others = {variant: _data(folder, megabytes, variant) for variant in variants}
    runs: dict[str, list[Run | None]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=folder) as ours:
        for turn in range(rounds):
            for name in (OURS, *rivals, FLOOR):
                if turn == 0 or (name not in once and None not in runs[name]):
                    run = _run(name, source, folder, ours=Path(ours) if turn == 0 and compare else None)
                    runs[name].append(run)
                    _same_counts(name, run, runs[OURS][0])
            if turn == 0 or variants:
                runs[ALONE].append(_run(OURS, source, folder, alone=True))
            for variant, path in others.items():
                runs[variant].append(_run(OURS, path, folder))
                for name in KEEP_REJECTS if variant == KEPT else ():
                    label = f"{name}, {variant}"
                    if name in rivals and None not in runs[label]:
                        runs[label].append(_run(name, path, folder))
                        _same_counts(name, runs[label][-1], runs[variant][0])
    return _table(megabytes, runs)


def _data(folder: Path, megabytes: int, variant: str) -> Path:
    path = folder / f"{variant}-{megabytes}.csv"
    if variant == "gzip":
        path = path.with_suffix(".csv.gz")
        if not path.exists():
            plain = _data(folder, megabytes, "plain")
            with path.open("wb") as file:
                subprocess.run(["gzip", "--fast", "--stdout", str(plain)], stdout=file, check=True)
    elif not path.exists():
        program = [sys.executable, str(HERE / "preprocess_data.py"), str(path), "--variant", variant]
        subprocess.run([*program, "--megabytes", str(megabytes)], check=True)
    return path


def _run(name: str, source: Path, folder: Path, *, ours: Path | None = None, alone: bool = False) -> Run | None:
    """Run one program in a folder of its own, and compare its clean rows with ours if they are given.

    None when a rival does not come to an end; for ours and the floor that is a failure of the benchmark. `alone` is with one worker on
    one processor.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        output = ours if name == OURS and ours is not None else Path(place)
        program = [sys.executable, str(HERE / "preprocess_rivals" / f"{name}.py"), str(source), str(output)]
        if name == OURS:
            contract = source.parent / f"{source.name.split('.')[0].replace('gzip', 'plain')}.contract.json"
            program = [sys.executable, "-m", "preprocess", "--input", str(source), "--output", str(output)]
            program += ["--contract", str(contract), *(["--workers", "1"] if alone else [])]
        if alone:
            program = ["taskset", "--cpu-list", "0", *program]
        if name == FLOOR:
            program[-1] = str(Path(place) / "blocks.json")
            subprocess.run(
                [sys.executable, str(HERE / "preprocess_rivals" / "floor_blocks.py"), *program[2:]], check=True
            )
        told = Path(place) / "told"
        with told.open("wb") as file:
            began = time.monotonic()
            process = subprocess.Popen(program, stdout=file, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.stderr.write(f"{name} failed: {told.read_text()[-2000:]}\n")
            if name in RIVALS:
                return None
            raise SystemExit(1)
        document = (output / "manifest.json").read_text() if name == OURS else told.read_text().splitlines()[-1]
        counts = json.loads(document)
        if name in RIVALS and ours is not None:
            with ProcessPoolExecutor(
                1, mp_context=get_context("spawn")
            ) as apart:  # a child's peak begins at its parent's size
                apart.submit(_compare, name, output, ours).result()
    run = Run(
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024 * (1 if sys.platform == "linux" else 1 / 1024),
        counts["rows_clean"],
        counts["rows_rejected"],
    )
    sys.stderr.write(
        f"{name:18} {source.name:20} {run.seconds:7.2f} s {run.cpu_seconds:7.2f} CPU s {run.peak_megabytes:6.0f} MB\n"
    )
    return run


def _same_counts(name: str, run: Run | None, ours: Run | None) -> None:
    """Fail unless a rival has as many clean and rejected rows as ours."""
    if run is None or ours is None or name not in RIVALS:
        return
    theirs, mine = (run.rows_clean, run.rows_rejected), (ours.rows_clean, ours.rows_rejected)
    if theirs != mine:
        raise AssertionError(f"{name}: {theirs} rows are clean and rejected, of ours {mine}")


def _compare(name: str, theirs: Path, ours: Path) -> None:
    """Fail unless a rival's clean rows are ours, value by value (by id, because some rivals lose the order)."""
    pattern = theirs / ("clean=true/*.parquet" if name == "duckdb_sql" else "clean.parquet")
    manifest = json.loads((ours / "manifest.json").read_text())
    mine = _plain(pl.scan_parquet([ours / shard["path"] for shard in manifest["shards"]]))
    other = _plain(pl.scan_parquet(pattern, hive_partitioning=False))
    for column in mine.columns:
        if not mine[column].equals(other[column], null_equal=True):
            raise AssertionError(f"{name}: its clean rows differ from ours in {column}")


def _plain(rows: pl.LazyFrame) -> pl.DataFrame:
    """Clean rows with the types that all engines share."""
    columns = [
        pl.col("id", "sensor", "note"),
        pl.col("status", "country").cast(pl.String),
        pl.col("ts").dt.replace_time_zone(None).cast(pl.Datetime("us")),
        pl.col("qty", "count").cast(pl.Int64),
        pl.col("price", "temp", "lat"),
        pl.col("flag"),
    ]
    return rows.select(columns).sort("id").collect()


def _table(megabytes: int, runs: dict[str, list[Run | None]]) -> str:
    """The figures of one size as Markdown."""
    good = {name: [run for run in some if run is not None] for name, some in runs.items() if None not in some}
    medians = {name: statistics.median(run.seconds for run in some) for name, some in good.items()}
    ours = medians[OURS]
    cpus = os.cpu_count() or 1
    lines = [
        f"### {megabytes} MB",
        "| program | runs | seconds | against ours | CPU seconds | peak RSS, MB | clean rows | rejected |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, some in runs.items():
        label = TITLES.get(name, name.replace(KEPT, "every second row of a wrong type"))
        if name not in good:
            lines.append(f"| {label} | {len(some)} | did not end: out of memory | | | | | |")
            continue
        cpu = statistics.median(run.cpu_seconds for run in good[name])
        peak = max(run.peak_megabytes for run in good[name])
        rows = f"{good[name][0].rows_clean:,} | {good[name][0].rows_rejected:,}"
        figures = f"{medians[name]:.2f} | {medians[name] / ours:.2f} | {cpu:.1f} | {peak:.0f}"
        lines.append(f"| {label} | {len(some)} | {figures} | {rows} |")
    summary = f"Ours takes {ours / medians[FLOOR]:.2f} times the floor"
    best = min((medians[name] for name in RIVALS if name in medians), default=None)
    if best is not None:
        summary += f"; the best rival takes {best / ours:.2f} times ours"
    if ALONE in medians and cpus > 1:
        serial = (cpus * ours / medians[ALONE] - 1) / (cpus - 1)
        summary += (
            f"; one worker on one core takes {medians[ALONE] / ours:.2f} times as long as {cpus} on {cpus},"
            f" so that {serial:.0%} of the work cannot be parallel"
        )
    if "broken" in medians:
        summary += f"; 1% of broken lines make it {medians['broken'] / ours:.2f} times as long"
    dirty = [medians[name] / ours for name in DIRTY if name in medians]
    if dirty:
        summary += f"; of the dirty files, the slowest takes {max(dirty):.2f} times as long as the plain one"
    return "\n".join([*lines, "", f"{summary}."])


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("polars", "duckdb", "pyarrow", "pandas"))
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"Measured by `benchmarks/preprocess.py`, runs interleaved, medians; {os.cpu_count()} cores, {memory:.0f} GiB,"
        f" {platform.system()} {platform.machine()}, Python {platform.python_version()}, {versions}."
    )


def _write(report: str) -> None:
    """Put the report between its marks in the document."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{report}\n{END}{after}")


if __name__ == "__main__":
    main()
