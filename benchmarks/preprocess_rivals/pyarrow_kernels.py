"""PyArrow: a stream of record batches, Arrow's compute functions in a thread a core, two Parquet writers."""

import functools
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pv
import pyarrow.parquet as pq

Array: TypeAlias = Any
Item = TypeVar("Item")
Result = TypeVar("Result")
pc: Any = pyarrow.compute  # the stubs and the kernels differ on what may be given to what

COLUMNS = ("id", "ts", "sensor", "status", "country", "qty", "count", "price", "temp", "lat", "note", "flag")
MISSING = pa.array(["", "NA", "N/A", "null", "-"])
STATUS = pa.array(["active", "inactive", "pending"])
COUNTRY = pa.array(["FR", "DE", "US", "GB", "CN", "IN"])
# Arrow's strptime takes 30 February for 2 March: the calendar has to be in the expression.
LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
TS_SHAPE = f"^([0-9]{{4}}-{DAY}|{LEAP}-02-29)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
INTEGER = "^[+-]?[0-9]{1,18}$"
NUMBER = "^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$"


def judged(batch: pa.RecordBatch) -> tuple[dict[str, Array], list[tuple[str, Array]]]:
    """Typed columns, and for each rule where it is broken."""
    cell = {name: pc.utf8_trim_whitespace(batch.column(name)) for name in COLUMNS}
    typed = {
        "id": _present(cell["id"]),
        "ts": pc.strptime(
            _where(cell["ts"], pc.match_substring_regex(cell["ts"], TS_SHAPE)),
            "%Y-%m-%dT%H:%M:%SZ",
            "us",
            error_is_null=True,
        ),
        "sensor": _present(cell["sensor"]),
        "status": _chosen(pc.ascii_lower(cell["status"]), STATUS),
        "country": _chosen(pc.ascii_upper(cell["country"]), COUNTRY),
        "qty": _number(cell["qty"], INTEGER, pa.int64()),
        "count": _number(cell["count"], INTEGER, pa.int64()),
        "price": _number(cell["price"], NUMBER, pa.float64()),
        "temp": _number(cell["temp"], NUMBER, pa.float64()),
        "lat": _number(cell["lat"], NUMBER, pa.float64()),
        "note": _present(cell["note"]),
        "flag": _flag(pc.ascii_lower(cell["flag"])),
    }
    broken = [(f"{name}:required or type;", pc.is_null(typed[name])) for name in COLUMNS if name != "note"]
    broken += [
        ("qty:range;", pc.or_(pc.less(typed["qty"], 0), pc.greater(typed["qty"], 1000))),
        ("price:range;", pc.or_(pc.less(typed["price"], 0.0), pc.invert(pc.is_finite(typed["price"])))),
        ("temp:range;", pc.invert(pc.is_finite(typed["temp"]))),
        ("lat:range;", pc.invert(pc.and_(pc.greater_equal(typed["lat"], -90.0), pc.less_equal(typed["lat"], 90.0)))),
    ]
    return typed, [(name, pc.fill_null(test, False)) for name, test in broken]


def _where(cells: Array, keep: Array) -> Array:
    return pc.if_else(keep, cells, pa.scalar(None, cells.type))


def _present(cells: Array) -> Array:
    return _where(cells, pc.invert(pc.is_in(cells, MISSING)))


def _chosen(cells: Array, choices: Array) -> Array:
    return pa.DictionaryArray.from_arrays(pc.index_in(cells, choices), choices)


def _number(cells: Array, shape: str, kind: pa.DataType) -> Array:
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return pc.cast(_where(cells, pc.match_substring_regex(cells, shape)), kind)


def _flag(cells: Array) -> Array:
    true = pc.is_in(cells, pa.array(["true", "1"]))
    return pc.if_else(pc.or_(true, pc.is_in(cells, pa.array(["false", "0"]))), true, pa.scalar(None, pa.bool_()))


def _separated(batch: pa.RecordBatch) -> dict[str, pa.Table]:
    """The clean rows of a batch, and the rejected ones with the names of the rules that they break."""
    typed, broken = judged(batch)
    bad = functools.reduce(pc.or_, (test for _, test in broken))
    table = pa.table(typed)
    tests = [pc.if_else(test.filter(bad), name, "") for name, test in broken]
    rejected = table.filter(bad).append_column("reasons", pc.binary_join_element_wise(*tests, ""))
    return {"clean": table.filter(pc.invert(bad)), "rejected": rejected}


def _in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in order, a few at a time: each kernel runs in one thread."""
    workers = os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def main(source: str, output: Path) -> None:
    """Clean `source` into two Parquet files."""
    reader = pv.open_csv(
        source,
        read_options=pv.ReadOptions(block_size=8 << 20),
        parse_options=pv.ParseOptions(newlines_in_values=True),
        convert_options=pv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=False),
    )
    counts = {"clean": 0, "rejected": 0}
    writers: dict[str, pq.ParquetWriter] = {}
    for parts in _in_threads(_separated, reader):
        for kind, part in parts.items():
            if kind not in writers:
                writers[kind] = pq.ParquetWriter(
                    output / f"{kind}.parquet", part.schema, compression="zstd", compression_level=1
                )
            writers[kind].write_table(part)
            counts[kind] += part.num_rows
    for writer in writers.values():
        writer.close()
    print(json.dumps({"rows_clean": counts["clean"], "rows_rejected": counts["rejected"]}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
