"""Bulk data in a folder or S3: read ranges of rows from Parquet shards, and write finished files."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.outcomes import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client

    from analysis.partition import RowRange
    from spotline.manifests import CleanManifest
    from spotline.objects import Objects

BATCH_ROWS = 65_536
_READ_AHEAD_BYTES = 8 * 1024 * 1024


class Shards:
    """The shards that a clean manifest names, checked against it when they are opened."""

    def __init__(self, clean: Objects, manifest: CleanManifest) -> None:
        self._clean = clean
        self._manifest = manifest
        self._client: S3Client | None = None

    def read_schema(self) -> pa.Schema:
        """The columns, which are the same in every shard."""
        return self._open(0).schema_arrow

    def read(self, range_: RowRange, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of a range in batches, each with the number of its first row in the shard.

        Only the row groups that hold the range are read; pages with checksums are checked.
        """
        file = self._open(range_.shard)
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if first + rows > range_.start and first < range_.stop:
                yield from self._read_group(file, group, first, range_, columns)
            first += rows

    def _read_group(
        self, file: pq.ParquetFile, group: int, first: int, range_: RowRange, columns: Sequence[str]
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        try:
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=list(columns), use_threads=False):
                start, stop = max(range_.start - first, 0), min(range_.stop - first, batch.num_rows)
                if start < stop:
                    yield first + start, batch.slice(start, stop - start)
                first += batch.num_rows
        except (OSError, pa.ArrowInvalid) as cause:
            raise AnalysisError(f"shard {self._locate(range_.shard)} is damaged: {cause}") from cause

    def _locate(self, index: int) -> str:
        return self._clean.location(self._manifest.shards[index].path)

    def _open(self, index: int) -> pq.ParquetFile:
        shard, location = self._manifest.shards[index], self._locate(index)
        try:
            source, size = self._open_source(location)
        except FileNotFoundError as cause:
            raise AnalysisError(f"shard {location} is missing, though the clean manifest names it") from cause
        if size != shard.bytes:
            raise AnalysisError(f"shard {location} has {size} bytes, the clean manifest says {shard.bytes}")
        try:
            file = pq.ParquetFile(source, page_checksum_verification=True)
        except (OSError, pa.ArrowInvalid) as cause:
            raise AnalysisError(f"shard {location} is not a Parquet file: {cause}") from cause
        if file.metadata.num_rows != shard.rows:
            raise AnalysisError(
                f"shard {location} has {file.metadata.num_rows} rows, the clean manifest says {shard.rows}"
            )
        return file

    def _open_source(self, location: str) -> tuple[pa.NativeFile | io.BufferedReader, int]:
        if not location.startswith("s3://"):
            return pa.memory_map(location), Path(location).stat().st_size
        self._client = self._client or _create_s3_client()
        remote = RangedObject(self._client, location)
        return io.BufferedReader(remote, _READ_AHEAD_BYTES), remote.size


class RangedObject(io.RawIOBase):
    """An S3 object as a seekable file whose every read is a ranged GET; wrap it in a BufferedReader."""

    def __init__(self, client: S3Client, location: str) -> None:
        self._client = client
        self._bucket, _, self._key = location.removeprefix("s3://").partition("/")
        try:
            head = client.head_object(Bucket=self._bucket, Key=self._key)
        except client.exceptions.ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                raise FileNotFoundError(location) from error
            raise
        self.size = head["ContentLength"]
        self._etag = head["ETag"]
        self._position = 0

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read as much as fits with one GET of the version that was opened."""
        last = min(self._position + len(buffer), self.size) - 1
        if last < self._position:
            return 0
        answer = self._client.get_object(
            Bucket=self._bucket, Key=self._key, Range=f"bytes={self._position}-{last}", IfMatch=self._etag
        )
        body = answer["Body"].read()
        buffer[: len(body)] = body
        self._position += len(body)
        return len(body)


def move_to_results(finished: Path, results: Objects, key: str) -> None:
    """Move a finished file of any size to its place among the results."""
    location = results.location(key)
    if location.startswith("s3://"):
        bucket, _, name = location.removeprefix("s3://").partition("/")
        _create_s3_client().upload_file(str(finished), bucket, name)
        finished.unlink()
        return
    Path(location).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(finished, location)


def _create_s3_client() -> S3Client:
    import boto3  # noqa: PLC0415  on local paths never needed
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 8}))
