"""One run of preprocess: the whole file, block by block, into shards, rejected rows, the quality report and a manifest."""

from __future__ import annotations

import io
import logging
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from preprocess import cleaned, quality
from preprocess.blocks import BlockReader, Outcome
from preprocess.columns import dtype
from preprocess.cutting import Block, Cutter, equal_blocks
from preprocess.decoding import Text, original
from preprocess.grammar import Grammar
from preprocess.header import HEAD_BYTES, Header, read_header
from preprocess.outputs import CLEANED, QUALITY
from preprocess.quality import Tally
from preprocess.refusals import DataRefused
from preprocess.shards import Encoder
from preprocess.statistics import FEW, SAMPLE_ROWS, Statistics, Summary
from preprocess.uniqueness import Duplicates, Keys, rules
from spotline.manifests import CleanManifest, RejectedPart, Shard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from preprocess.outputs import Output
    from preprocess.progress import Progress
    from preprocess.sources import Source
    from spotline.contracts import Contract

log = logging.getLogger("preprocess")

_SAMPLE_BYTES = 1 << 19
_REJECTED_ROWS = 200_000  # a part
_REJECTED_BYTES = 16 << 20


@dataclass(frozen=True)
class Options:
    """How to work; none of it changes a value.

    `block_bytes` of text are judged at once by each of `workers` threads, and become a shard. `cleaned` asks for the clean rows as CSV
    besides, as the contract may.
    """

    block_bytes: int = 12 << 20
    workers: int = 2
    cleaned: bool = False


@dataclass(frozen=True)
class _Written:
    """An outcome whose clean rows are written."""

    outcome: Outcome
    shards: list[Shard]
    summary: Summary
    csv: bytes


class Job:
    """The preprocessing of one file under one contract.

    Parameters
    ----------
    source, contract, output
        What to read, what a clean row is, where to write.
    contract_path, prefix
        What the manifest, which the caller writes, calls the contract, and what it prefixes the output's paths with.
    """

    def __init__(
        self,
        source: Source,
        contract: Contract,
        output: Output,
        progress: Progress,
        *,
        contract_path: str,
        prefix: str = "",
        options: Options | None = None,
    ) -> None:
        self._source = source
        self._contract = contract
        self._output = output
        self._progress = progress
        self._contract_path = contract_path
        self._prefix = prefix
        self._options = options or Options()
        self._cleaned = self._options.cleaned or contract.cleaned_csv
        self._rules = rules(contract)
        self._tally = Tally()
        self._shards: list[Shard] = []
        self._parts: list[RejectedPart] = []
        self._tables: list[pl.DataFrame] = []
        self._extra: tuple[str, ...] = ()
        self._statistics: Statistics | None = None
        self._complete = True
        self._began = time.monotonic()

    def run(self) -> CleanManifest:
        """Do it all but publish the manifest.

        Raises
        ------
        DataRefused
            When the file is not what the contract says, or worse than it tolerates. The quality report says so too.
        """
        try:
            with Keys(self._rules, self._expected_bytes()) as keys:
                self._read(keys, None)
                duplicates = keys.duplicates() if self._complete else None
                if duplicates is not None:
                    log.info("%d records repeat a key; reading again to reject them", duplicates.count)
                    self._forget()
                    self._read(None, duplicates)
            refused = quality.verdict(self._tally, self._contract.tolerance, complete=self._complete)
        except DataRefused as refusal:
            self._report(str(refusal))
            raise
        self._report(refused)
        if refused is not None:
            where = self._output.location(QUALITY)
            raise DataRefused(f"{self._source.name}: {refused}; the report is {where}")
        return self._manifest()

    def _forget(self) -> None:
        """Begin anew; what was written is written over."""
        self._tally = Tally()
        self._shards.clear()
        self._parts.clear()
        self._tables.clear()

    def _read(self, keys: Keys | None, duplicates: Duplicates | None) -> None:
        """Read the file once: to set keys aside, or with the duplicates known."""
        text = Text(self._source, self._contract.dialect.encoding)
        head = text.read(HEAD_BYTES)
        whole = len(head) < HEAD_BYTES
        header = read_header(self._source.name, head, whole, self._contract)
        self._extra = header.extra
        self._tally.width = len(header.columns)
        sample = head[header.size : header.size + _SAMPLE_BYTES]
        reader = BlockReader(self._contract, header, Grammar(self._contract.dialect), text.encoding, sample)
        self._statistics = Statistics(self._contract.fields, self._stride(text, sample), reader.many(FEW))
        blocks = Cutter(
            self._source.name,
            text,
            head[header.size :],
            header.size,
            Grammar(self._contract.dialect),
            self._block_bytes(text),
        )
        position = _Position(header, text, head)
        csv = self._output.grow(CLEANED) if self._cleaned else None
        try:
            if csv is not None:
                csv.append(cleaned.header(self._contract))
            for judged in self._judge(blocks, reader, self._statistics, keys, duplicates):
                self._take(judged, position)
                if csv is not None:
                    csv.append(judged.csv)
                self._progress.show(self._tally.rows_read, self._tally.rows_rejected, text.bytes_read)
                if self._is_hopeless(text, header):
                    self._complete = False
                    break
            self._flush_rejected()
            if csv is not None:
                csv.finish()
        except BaseException:
            if csv is not None:
                csv.abandon()
            raise
        finally:
            text.close()

    def _is_hopeless(self, text: Text, header: Header) -> bool:
        """Whether the rest need not be read: it is there, and no rest could bring the rejected rows within the tolerance."""
        read, left = text.bytes_read, None
        if text.compression is None:  # each clean row takes a delimiter or a line end for each of its cells
            read = self._tally.size
            left = (self._source.size - read) // len(header.columns) + 1
        if read >= self._source.size:
            return False
        return quality.is_hopeless(self._tally, self._contract.tolerance, left)

    def _expected_bytes(self) -> int:
        """About how long the file's text is: compressed, CSV is about a fifth."""
        return self._source.size * 5

    def _block_bytes(self, text: Text) -> int:
        """The size of a block: all of a file's shards are about equal, so that no member of a gang gets a small rest."""
        if text.compression is not None or text.encoding != "utf-8":
            return self._options.block_bytes  # how long the text is will be known at its end
        return equal_blocks(self._source.size, self._options.block_bytes)

    def _stride(self, text: Text, sample: bytes) -> int:
        """One row in so many for the sample of the statistics, from the file's size."""
        rows = max(1, sample.count(b"\n") + sample.count(b"\r"))
        expected = (self._expected_bytes() if text.compression else self._source.size) * rows / max(1, len(sample))
        return max(1, round(expected / SAMPLE_ROWS)) if expected > 2 * SAMPLE_ROWS else 1

    def _judge(
        self,
        blocks: Cutter,
        reader: BlockReader,
        statistics: Statistics,
        keys: Keys | None,
        duplicates: Duplicates | None,
    ) -> Iterator[_Written]:
        """The blocks' outcomes in order, judged by threads: what takes time leaves the interpreter's lock alone."""

        def work(block: Block) -> _Written:
            outcome, rows, coded, found = reader.read(block, duplicates.of(block.number) if duplicates else None)
            if keys is not None:
                keys.add(block.number, found)
            summary = statistics.summarise(rows, coded)
            written = []
            for shard, body in encoder.encode(block.number, rows):
                self._output.write(shard.path, body)
                written.append(shard)
            csv = cleaned.encode(rows, self._contract) if self._cleaned else b""
            return _Written(outcome, written, summary, csv)

        encoder = Encoder(pl.Schema({field.name: dtype(field) for field in self._contract.fields}))
        waiting: deque[Future[_Written]] = deque()
        with ThreadPoolExecutor(self._options.workers, thread_name_prefix="block") as pool:
            try:
                for block in blocks:
                    waiting.append(pool.submit(work, block))
                    del block
                    if len(waiting) > self._options.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _take(self, judged: _Written, position: _Position) -> None:
        """Put the next block's outcome behind those before."""
        outcome, tally = judged.outcome, self._tally
        if len(outcome.rejected):
            tally.add_reasons(outcome.rejected, position.line)
            self._tables.append(outcome.rejected.table(tally.rows_read + 1, position.line, position.offset))
            if _rows(self._tables) >= _REJECTED_ROWS or _bytes(self._tables) >= _REJECTED_BYTES:
                self._flush_rejected()
        position.line += outcome.lines
        position.offset += outcome.size
        tally.rows_read += outcome.records
        tally.rows_clean += outcome.clean
        tally.comments += outcome.comments
        tally.lines = position.line - 1
        tally.size = position.offset
        self._shards += judged.shards
        if self._statistics is not None:
            self._statistics.add(judged.summary)
        if outcome.records != outcome.clean + len(outcome.rejected):
            raise AssertionError(f"block {outcome.number}: {outcome.records} records became {outcome}")

    def _flush_rejected(self) -> None:
        if not self._tables:
            return
        table = pl.concat(self._tables)
        self._tables.clear()
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
        part = RejectedPart(f"rejected/part-{len(self._parts):04d}.parquet", table.height)
        self._output.write(part.path, buffer.getvalue())
        self._parts.append(part)

    def _report(self, refused: str | None) -> None:
        body = quality.report(
            self._tally,
            self._statistics,
            source=self._source.describe(),
            refused=refused,
            extra_columns=self._extra,
            tolerance=self._contract.tolerance,
            complete=self._complete,
            seconds=time.monotonic() - self._began,
        )
        self._output.write(QUALITY, body)

    def _manifest(self) -> CleanManifest:
        analysis, tally = self._contract.analysis, self._tally
        features = analysis.features if analysis is not None else ()
        return CleanManifest(
            source=self._source.describe(),
            rows_read=tally.rows_read,
            rows_clean=tally.rows_clean,
            rows_rejected=tally.rows_rejected,
            shards=tuple(
                Shard(self._prefix + shard.path, shard.rows, shard.bytes, shard.sha256) for shard in self._shards
            ),
            rejected=tuple(RejectedPart(self._prefix + part.path, part.rows) for part in self._parts),
            categories=self._statistics.categories(features) if self._statistics is not None else {},
            contract=self._contract_path,
            quality=self._prefix + QUALITY,
            analyse=tally.rows_clean > 0 and analysis is not None,
            cleaned=self._prefix + CLEANED if self._cleaned else None,
        )


class _Position:
    """Where the next block begins: its line, and its byte in the file's own encoding."""

    def __init__(self, header: Header, text: Text, head: bytes) -> None:
        self.line = header.lines + 1
        self.offset = text.start + len(original(head[: header.size], text.encoding))


def _rows(tables: list[pl.DataFrame]) -> int:
    return sum(table.height for table in tables)


def _bytes(tables: list[pl.DataFrame]) -> int:
    return sum(int(table.estimated_size()) for table in tables)


def user_metadata(manifest: CleanManifest) -> dict[str, str]:
    """What the state machine reads of a clean manifest without opening it."""
    return {"analyse": "yes" if manifest.analyse else "no", "rows-clean": str(manifest.rows_clean)}
