"""Which records repeat a key, exactly, for any number of records in flat memory.

The first record with a key keeps it; each later one breaks the rule, whatever other rules it or the first one breaks. Keys are set
aside while the file is read, spread over partitions by their hash; afterwards each partition is searched by itself. A file without
repetition, which is the usual one, is read once; in another the culprits are known then, and it is read again.
"""

from __future__ import annotations

import errno
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from preprocess.refusals import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import pyarrow as pa

    from spotline.contracts import Contract

UNIQUE = "unique"
PRIMARY_KEY = "primaryKey"

# Where a key stood; the key's own columns are numbered (`key_columns`), so that no field's name gets in the way.
BLOCK = "block"
RECORD = "record"

_FLUSH_BYTES = 8 << 20
_PARTITION_BYTES = 128 << 20  # of the file, of which keys are a fraction
_MAX_PARTITIONS = 256
_DUPLICATE_GROUPS = 64


@dataclass(frozen=True)
class Rule:
    """One set of columns whose values may not come twice: a unique field, or the primary key."""

    code: str
    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a reason calls the field."""
        return ", ".join(self.fields)


def rules(contract: Contract) -> list[Rule]:
    """The contract's rules of uniqueness, fields first."""
    found = [Rule(UNIQUE, (field.name,)) for field in contract.fields if field.constraints.unique]
    return [*found, Rule(PRIMARY_KEY, contract.primary_key)] if contract.primary_key else found


def key_columns(rule: Rule) -> list[pl.Expr]:
    """A rule's columns as they are set aside."""
    return [pl.col(name).alias(f"key-{index}") for index, name in enumerate(rule.fields)]


class Spill:
    """Tables in partitions, in memory while they are small and on disk beyond."""

    def __init__(self, folder: Path, name: str, partitions: int) -> None:
        self._folder = folder
        self._name = name
        self._waiting: list[list[pa.Table]] = [[] for _ in range(partitions)]
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, partition: int, frame: pl.DataFrame) -> None:
        """Add rows to a partition; any thread may."""
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        with self._lock:
            self._waiting[partition].append(table)
            self._bytes += table.nbytes
            if self._bytes > _FLUSH_BYTES:
                self._flush()

    def read(self, partition: int) -> pl.DataFrame | None:
        """All rows of a partition, in no order; None when there are none."""
        import pyarrow as pa  # noqa: PLC0415  takes a quarter of a second, for contracts with keys only

        tables = [*self._stored(partition), *self._waiting[partition]]
        if not tables:
            return None
        return pl.DataFrame(pl.from_arrow(pa.concat_tables(tables)))

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self._waiting)

    def _flush(self) -> None:
        import pyarrow as pa  # noqa: PLC0415  takes a quarter of a second, for contracts with keys only

        for partition, tables in enumerate(self._waiting):
            if not tables:
                continue
            whole = pa.concat_tables(tables)
            tables.clear()
            try:
                with self._path(partition).open("ab") as file, pa.ipc.new_stream(file, whole.schema) as writer:
                    writer.write_table(whole)
            except OSError as cause:
                raise _no_room(str(self._folder), cause) from cause
        self._bytes = 0

    def _stored(self, partition: int) -> Iterator[pa.Table]:
        import pyarrow as pa  # noqa: PLC0415  takes a quarter of a second, for contracts with keys only

        path = self._path(partition)
        if not path.exists():
            return
        size = path.stat().st_size
        with path.open("rb") as file:
            while file.tell() < size:
                yield pa.ipc.open_stream(file).read_all()

    def _path(self, partition: int) -> Path:
        return self._folder / f"{self._name}-{partition:04d}.arrows"


def _make_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="preprocess-keys-")
    except OSError as cause:
        raise _no_room("TMPDIR", cause) from cause


def _no_room(folder: str, cause: OSError) -> Misconfigured:
    room = "no room is left there" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else str(cause)
    return Misconfigured(f"{folder}: keys cannot be set aside: {room}; make room, or name another folder in TMPDIR")


class Keys:
    """The keys of one file, by rule.

    Parameters
    ----------
    found
        The rules.
    text_bytes
        Size of the file's text, as far as it can be told.
    """

    def __init__(self, found: list[Rule], text_bytes: int) -> None:
        self._rules = found
        self._folder = _make_folder() if found else None
        folder = Path(self._folder.name if self._folder else ".")
        partitions = max(1, min(_MAX_PARTITIONS, -(-text_bytes // _PARTITION_BYTES)))
        self._spills = [Spill(folder, f"keys-{index}", partitions) for index in range(len(found))]

    def add(self, block: int, keys: list[pl.DataFrame]) -> None:
        """Set aside a block's keys: for each rule its columns, without missing values, and `RECORD`; any thread may."""
        for spill, frame in zip(self._spills, keys, strict=True):
            named = frame.with_columns(pl.lit(block, dtype=pl.UInt32).alias(BLOCK))
            if spill.partitions == 1:
                spill.add(0, named)
                continue
            columns = [name for name in frame.columns if name != RECORD]
            numbers = frame.select(columns).hash_rows() % spill.partitions
            for (partition,), part in named.group_by(numbers.alias("partition")):
                spill.add(int(str(partition)), part)

    def duplicates(self) -> Duplicates | None:
        """The records that repeat a key, or None when none does."""
        if self._folder is None:
            return None
        found = Duplicates(self._rules, Path(self._folder.name))
        for number, spill in enumerate(self._spills):
            for partition in range(spill.partitions):
                frame = spill.read(partition)
                if frame is not None:
                    found.add(number, _repeated(frame))
        return found if found.count else None

    def __enter__(self) -> Keys:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()


class Duplicates:
    """The records that repeat a key, to be asked for block by block."""

    def __init__(self, found: list[Rule], folder: Path) -> None:
        self._rules = found
        self._spill = Spill(folder, "duplicates", _DUPLICATE_GROUPS)
        self.count = 0

    def add(self, rule: int, frame: pl.DataFrame) -> None:
        """Add records (`BLOCK`, `RECORD`) that break a rule."""
        self.count += frame.height
        marked = frame.with_columns(pl.lit(rule, dtype=pl.UInt32).alias("rule"))
        for (group,), part in marked.group_by(pl.col(BLOCK) % _DUPLICATE_GROUPS):
            self._spill.add(int(str(group)), part)

    def of(self, block: int) -> list[tuple[int, Rule]]:
        """The records of a block (by their number in it) that break a rule, in order."""
        frame = self._spill.read(block % _DUPLICATE_GROUPS)
        if frame is None:
            return []
        here = frame.filter(pl.col(BLOCK) == block).sort(RECORD, "rule")
        return [
            (record, self._rules[rule])
            for record, rule in zip(here[RECORD].to_list(), here["rule"].to_list(), strict=True)
        ]


def _repeated(frame: pl.DataFrame) -> pl.DataFrame:
    """The records whose key an earlier record has."""
    columns = [name for name in frame.columns if name not in (BLOCK, RECORD)]
    many = frame.filter(pl.struct(columns).is_duplicated())
    if not many.height:
        return many.select(BLOCK, RECORD)
    return many.sort(BLOCK, RECORD).filter(~pl.struct(columns).is_first_distinct()).select(BLOCK, RECORD)
