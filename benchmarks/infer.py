"""How often a sniffer reads a file right, and how often it is silently wrong: DuckDB's, pandas' and ours over one corpus.

    python benchmarks/infer.py            # prints the table
    python benchmarks/infer.py --write    # and puts it into docs/benchmarks.md

The corpus is that of the tests (tests/unit/preprocess/draft_corpus.py): each file has one right reading. *Right* is every row, and for
each column the type that keeps its values. *As text* keeps rows and values, and leaves a column that has a type as text. *Silently wrong*
is a reading that loses rows or values, or gives them a type that does not keep them, without a word. *Wrong, and said* is the same with
a remark on that column or file. The rest is refused.
"""

import argparse
import io
import json
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "jobs" / "preprocess"), str(ROOT / "layers" / "spotline")]

from preprocess.infer import draft  # noqa: E402  the checkout is the installation
from preprocess.job import Job, Options  # noqa: E402
from preprocess.outputs import Folder  # noqa: E402
from preprocess.progress import Progress  # noqa: E402
from preprocess.refusals import DataRefused  # noqa: E402
from preprocess.sources import LocalSource  # noqa: E402
from spotline.contracts import Contract  # noqa: E402
from tests.unit.preprocess.draft_corpus import FILES, Sample  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

RIGHT, TEXT, SAID, SILENT, REFUSED = "right", "as text", "wrong, and said", "silently wrong", "refused"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- infer: begin -->", "<!-- infer: end -->"


def read_with_ours(path: Path, sample: Sample) -> str:
    """Draft a contract, clean the file under it, and compare."""
    try:
        body, remarks = draft(LocalSource(path))
    except DataRefused:
        return REFUSED
    contract = Contract.from_json(body)
    source = LocalSource(path)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            source,
            contract,
            Folder(Path(folder)),
            Progress(source.size),
            contract_path="contract.json",
            options=Options(),
        )
        manifest = job.run()
        shards = [pl.read_parquet(Path(folder) / shard.path) for shard in manifest.shards]
    types = [field["type"] for field in json.loads(body)["fields"]]
    first = shards[0].rows()[0] if shards else ()
    found = _compare(types, manifest.rows_clean, first, sample)
    return SAID if found == SILENT and remarks else found


def read_with_duckdb(path: Path, sample: Sample) -> str:
    """`read_csv` with everything left to its sniffer."""
    try:
        relation = duckdb.sql(f"SELECT * FROM read_csv('{path}')")
        as_text = duckdb.sql("SELECT COLUMNS(*)::VARCHAR FROM relation").fetchall()
    except duckdb.Error:
        return REFUSED
    types = [_name_duckdb_type(str(kind)) for kind in relation.types]
    return _compare(types, len(as_text), as_text[0] if as_text else (), sample)


def read_with_pandas(path: Path, sample: Sample) -> str:
    """`read_csv` with the delimiter sniffed, as its documentation offers (`sep=None`)."""
    try:
        frame = pd.read_csv(path, sep=None, engine="python")
    except (ValueError, UnicodeError):
        return REFUSED
    types = [_name_pandas_type(frame[column]) for column in frame.columns] if frame.columns.is_unique else []
    first = tuple(None if pd.isna(cell) else cell for cell in frame.iloc[0]) if len(frame) else ()
    return _compare(types, len(frame), first, sample)


def _compare(types: list[str], rows: int, first: tuple[object, ...], sample: Sample) -> str:
    """What a reading is: its columns' types in order, how many rows it has, and its first row."""
    expected = list(sample.columns.values())
    if rows != sample.rows or len(types) < len(expected):
        return SILENT
    pairs = list(zip(types, expected, strict=False))
    if any(kind not in right | {"string"} for kind, right in pairs):
        return SILENT
    if any(kind not in right for kind, right in pairs):
        return TEXT
    if (
        sample.first
        and tuple(None if cell is None else _as_text(cell) for cell in first)[: len(expected)]
        != sample.first[: len(expected)]
    ):
        return SILENT
    return RIGHT


def _as_text(cell: object) -> str:
    """A value as the corpus writes it, whether a reader gives numbers or their text."""
    try:
        return f"{float(cell):.12g}" if not isinstance(cell, str) or "." in cell else cell  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(cell)


def _name_duckdb_type(kind: str) -> str:
    names = {
        "BIGINT": "integer", "HUGEINT": "integer", "INTEGER": "integer", "DOUBLE": "number", "BOOLEAN": "boolean",
        "DATE": "date", "TIME": "time",
    }  # fmt: skip
    return names.get(kind, "datetime" if kind.startswith("TIMESTAMP") else "string")


def _name_pandas_type(column: "pd.Series[Any]") -> str:
    """A whole-number column with missing cells is float64 in pandas; its values are kept."""
    if column.dtype.kind == "f" and (column.dropna() % 1 == 0).all():
        return "integer"
    return {"i": "integer", "u": "integer", "f": "number", "b": "boolean", "M": "datetime"}.get(
        column.dtype.kind, "string"
    )


def main() -> None:
    """Read every file with every reader, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments.add_argument("--files", action="store_true", help="print each file's outcomes too")
    options = arguments.parse_args()
    readers: dict[str, Callable[[Path, Sample], str]] = {
        "**preprocess infer**": read_with_ours,
        f"DuckDB {version('duckdb')}, `read_csv`": read_with_duckdb,
        f"pandas {version('pandas')}, `read_csv(sep=None)`": read_with_pandas,
    }
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in readers}
    with tempfile.TemporaryDirectory() as folder:
        for name, sample in FILES.items():
            path = Path(folder) / f"{name}.csv"
            path.write_bytes(sample.body)
            found = {title: read(path, sample) for title, read in readers.items()}
            for title, outcome in found.items():
                outcomes[title][outcome] += 1
            if options.files:
                print(name, *found.values(), sep="\t")
    table = _format(outcomes)
    print(table)
    if options.write:
        text = DOCUMENT.read_text()
        before, rest = text.split(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{table}{END}{rest.split(END)[1]}")


def _format(outcomes: dict[str, Counter[str]]) -> str:
    lines = io.StringIO()
    columns = (RIGHT, TEXT, SAID, REFUSED, SILENT)
    print(f"| reader, {len(FILES)} files | {' | '.join(columns)} |", file=lines)
    print("|---" * (len(columns) + 1) + "|", file=lines)
    for title, counts in outcomes.items():
        print(f"| {title} | {' | '.join(str(counts[column]) for column in columns)} |", file=lines)
    return lines.getvalue()


if __name__ == "__main__":
    main()
