"""A worker's rows, read and encoded once, then kept in a file of its own that the engine goes through as often as it likes.

XGBoost passes over the data four times to build a matrix. The spool is an Arrow IPC file in the temporary folder, memory
mapped: it costs disk (4 bytes a value) and page cache, not heap, and S3 is read once.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.encoding import Feature, build_engine_names, encode, encode_target
from analysis.partition import is_validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from analysis.partition import RowRange
    from analysis.shards import Shards

# What stands beside the features, by position since any name may be a feature's.
SHARD, ROW, ACTUAL, HELD_OUT, KEY = range(5)
EXTRAS = 5


@dataclass(frozen=True)
class TargetCounts:
    """How many of a worker's rows have a target; the sums of these over all workers decide how the model is trained."""

    training: int
    validation: int
    unlabelled: int


@dataclass(frozen=True)
class Spool:
    """A worker's encoded rows. Each batch holds the features' columns and then the extra columns."""

    path: Path
    features: Sequence[Feature]
    batches: int
    rows: int
    target_counts: TargetCounts

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Every batch, in the order of the shards' rows; columns are views of the file."""
        with pa.memory_map(str(self.path)) as source:
            file = pa.ipc.open_file(source)
            for index in range(file.num_record_batches):
                yield file.get_batch(index)

    @property
    def key_type(self) -> pa.StructType:
        """The primary key's columns; none of them when the contract has no primary key."""
        with pa.memory_map(str(self.path)) as source:
            type_: pa.StructType = pa.ipc.open_file(source).schema.field(len(self.features) + KEY).type
            return type_

    def get_extra(self, batch: pa.RecordBatch, which: int) -> pa.Array[Any]:
        """One of the columns beside the features."""
        return batch.column(len(self.features) + which)

    def to_table(self, batch: pa.RecordBatch) -> pa.Table:
        """The features of a batch as the engine takes them."""
        return pa.Table.from_arrays(batch.columns[: len(self.features)], names=build_engine_names(self.features))

    def to_array(self, batch: pa.RecordBatch) -> np.ndarray:
        """The features of a batch as the engine predicts from them fastest: float32 of shape (rows, features)."""
        rows = np.empty((batch.num_rows, len(self.features)), np.float32)
        for index, column in enumerate(batch.columns[: len(self.features)]):
            rows[:, index] = column.to_numpy()
        return rows


def fill_spool(
    shards: Shards,
    ranges: Sequence[RowRange],
    features: Sequence[Feature],
    target: str,
    primary_key: Sequence[str],
    validation_share: float,
    on_batch: Callable[[], None],
) -> Spool:
    """Read, encode and keep these rows; `on_batch` is called after each batch.

    Raises
    ------
    AnalysisError
        When a shard is missing or damaged, or the target cannot be learnt.
    """
    columns = list(dict.fromkeys([feature.name for feature in features] + [target, *primary_key]))
    schema = _build_schema(shards.read_schema(), features, primary_key)
    path = Path(tempfile.mkdtemp(prefix="spotline-")) / "spool.arrow"
    rows = batches = 0
    counts = np.zeros(3, np.int64)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for range_ in ranges:
            for first, batch in shards.read(range_, columns):
                actual = encode_target(batch.column(target), target)
                numbers = np.arange(first, first + batch.num_rows, dtype=np.uint64)
                held_out = is_validation(range_.shard, numbers, validation_share)
                writer.write_batch(
                    pa.RecordBatch.from_arrays(
                        [pa.array(encode(batch.column(feature.name), feature)) for feature in features]
                        + [
                            pa.array(np.full(batch.num_rows, range_.shard, np.int32)),
                            pa.array(numbers.astype(np.int64)),
                            pa.array(actual),
                            pa.array(held_out),
                            _build_key(batch, primary_key),
                        ],
                        schema=schema,
                    )
                )
                missing = np.isnan(actual)
                counts += [np.sum(~missing & ~held_out), np.sum(~missing & held_out), np.sum(missing)]
                rows, batches = rows + batch.num_rows, batches + 1
                on_batch()
    return Spool(path, features, batches, rows, TargetCounts(*map(int, counts)))


def select_labelled(batch: pa.RecordBatch, spool: Spool, *, held_out: bool | None) -> pa.RecordBatch:
    """The rows of a batch that have a target: those held out, the others, or (None) both."""
    actual = spool.get_extra(batch, ACTUAL)
    wanted = pc.invert(pc.is_nan(actual))
    if held_out is not None:
        flags = spool.get_extra(batch, HELD_OUT)
        wanted = pc.and_(wanted, flags if held_out else pc.invert(flags))
    return batch.filter(wanted)


def _build_schema(schema: pa.Schema, features: Sequence[Feature], primary_key: Sequence[str]) -> pa.Schema:
    key = pa.struct([schema.field(name) for name in primary_key])
    beside = [pa.int32(), pa.int64(), pa.float64(), pa.bool_(), key]
    return pa.schema(
        [pa.field(feature.name, pa.float32()) for feature in features]
        + [pa.field(f"beside {which}", type_) for which, type_ in enumerate(beside)]
    )


def _build_key(batch: pa.RecordBatch, primary_key: Sequence[str]) -> pa.Array[Any]:
    if not primary_key:
        return pa.array([{}] * batch.num_rows, pa.struct([]))
    return pa.StructArray.from_arrays(
        [batch.column(name) for name in primary_key], fields=[batch.schema.field(name) for name in primary_key]
    )
