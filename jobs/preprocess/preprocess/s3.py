"""Reading one version of an S3 object in parallel ranges, writing files of any size, and saying plainly what S3 refuses."""

from __future__ import annotations

import io
import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from preprocess.refusals import DataRefused, Misconfigured, TryAgain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

log = logging.getLogger("preprocess")

_DROPPED = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, ConnectionClosedError)
_DENIED = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}
_UNSIGNED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_GONE = {"NoSuchKey", "NoSuchVersion", "404", "NotFound", "MethodNotAllowed", "405"}
_REPLACED = {"PreconditionFailed", "412"}

# Eight megabytes keep the first byte's delay small beside the transfer; four at a time fill a gigabit and more.
_RANGE_BYTES = 8 << 20
_RANGES_AT_ONCE = 4
_MAX_DROPS = 8

# Only files beyond this size go up in parts: a shard seldom does, and one request is quicker than three.
_PART_BYTES = 16 << 20


def connect() -> S3Client:
    """A client that retries throttling and lost connections, and has a connection for every range."""
    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 8}, max_pool_connections=16))


@contextmanager
def explained(address: str, verb: str) -> Iterator[None]:
    """Turn what S3 answers into one line with the way out.

    Parameters
    ----------
    address
        `s3://bucket/key` of what is read or written.
    verb
        `read` or `written`.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        bucket = address.removeprefix("s3://").partition("/")[0]
        if code == "NoSuchBucket":
            raise Misconfigured(f"{address}: the bucket {bucket} does not exist; deploy the stack again") from error
        if code in _DENIED:
            raise Misconfigured(
                f"{address} cannot be {verb}: access is denied to {error.operation_name}; the job's role lacks the permission, or it"
                " is not there"
            ) from error
        if code in _UNSIGNED:
            raise Misconfigured(f"{address} cannot be {verb}: the credentials are not valid ({code})") from error
        if code in _GONE:
            raise Misconfigured(f"{address} is not there ({code}); put it there and redrive the execution") from error
        if code in _REPLACED:
            raise DataRefused(
                f"{address} was replaced while it was read; its newer version has a run of its own"
            ) from error
        raise
    except NoCredentialsError as error:
        raise Misconfigured(f"{address} cannot be {verb}: there are no AWS credentials") from error
    except BotoCoreError as error:
        raise TryAgain(f"{address} cannot be {verb}: {error}; redrive the execution once S3 can be reached") from error


class S3Source:
    """One version of one object."""

    def __init__(self, client: S3Client, bucket: str, key: str, version_id: str) -> None:
        self._client = client
        self._object: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if version_id:
            self._object["VersionId"] = version_id
        self._name = f"s3://{bucket}/{key}"
        with explained(self._name, "read"):
            head = client.head_object(**self._object)
        self._size = head["ContentLength"]
        self._etag = head["ETag"]

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return self._name

    @property
    def size(self) -> int:
        """See `Source.size`."""
        return self._size

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return {
            "bucket": self._object["Bucket"],
            "key": self._object["Key"],
            "version_id": self._object.get("VersionId"),
            "etag": self._etag,
        }

    def open(self) -> S3Stream:
        """See `Source.open`."""
        return S3Stream(self)

    def read_range(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop`. A connection that drops is taken up again at the byte where it was."""
        body = io.BytesIO()
        drops = 0
        while start + body.tell() < stop:
            at = start + body.tell()
            with explained(self._name, "read"):
                answer = self._client.get_object(**self._object, Range=f"bytes={at}-{stop - 1}", IfMatch=self._etag)
                try:
                    for chunk in answer["Body"].iter_chunks(1 << 20):
                        body.write(chunk)
                except _DROPPED as error:
                    drops += 1
                    if drops > _MAX_DROPS and start + body.tell() == at:
                        raise
                    log.warning("connection dropped at byte %d of %s: %s", start + body.tell(), self._name, error)
        return body.getvalue()


class S3Stream:
    """An object from its beginning to its end, read ahead in parallel ranges."""

    def __init__(self, source: S3Source) -> None:
        self._source = source
        self._pool = ThreadPoolExecutor(_RANGES_AT_ONCE, thread_name_prefix="range")
        self._ahead: deque[Future[bytes]] = deque()
        self._next = 0
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        """See `Stream.read`."""
        taken = []
        while size:
            if not self._ready:
                self._ready = memoryview(self._range())
                if not self._ready:
                    break
            part, self._ready = self._ready[:size], self._ready[size:]
            taken.append(part)
            size -= len(part)
        return b"".join(taken)

    def close(self) -> None:
        """See `Stream.close`."""
        self._pool.shutdown(cancel_futures=True)

    def _range(self) -> bytes:
        while self._next < self._source.size and len(self._ahead) < _RANGES_AT_ONCE:
            stop = min(self._next + _RANGE_BYTES, self._source.size)
            self._ahead.append(self._pool.submit(self._source.read_range, self._next, stop))
            self._next = stop
        return self._ahead.popleft().result() if self._ahead else b""


class S3Output:
    """Files under a prefix of a bucket."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._transfer = TransferConfig(
            multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False
        )

    def write(self, path: str, body: bytes) -> None:
        """See `Output.write`. Large files go up in parts, and appear whole or not at all."""
        with explained(self.location(path), "written"):
            self._client.upload_fileobj(io.BytesIO(body), self._bucket, self._prefix + path, Config=self._transfer)

    def grow(self, path: str) -> S3GrowingFile:
        """See `Output.grow`."""
        return S3GrowingFile(self._client, self._bucket, self._prefix + path)

    def location(self, path: str) -> str:
        """See `Output.location`."""
        return f"s3://{self._bucket}/{self._prefix}{path}"


class S3GrowingFile:
    """An object that goes up part by part as it grows; it is there once it is finished, whole."""

    def __init__(self, client: S3Client, bucket: str, key: str) -> None:
        self._client = client
        self._object: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._address = f"s3://{bucket}/{key}"
        self._waiting = bytearray()
        self._upload: str | None = None
        self._parts: list[CompletedPartTypeDef] = []

    def append(self, body: bytes) -> None:
        """See `Growing.append`."""
        self._waiting += body
        while len(self._waiting) >= _PART_BYTES:
            self._put_part(bytes(self._waiting[:_PART_BYTES]))
            del self._waiting[:_PART_BYTES]

    def finish(self) -> None:
        """See `Growing.finish`."""
        if self._upload is None:
            with explained(self._address, "written"):
                self._client.put_object(**self._object, Body=bytes(self._waiting))
            return
        if self._waiting:
            self._put_part(bytes(self._waiting))
        with explained(self._address, "written"):
            self._client.complete_multipart_upload(
                **self._object, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
            )

    def abandon(self) -> None:
        """See `Growing.abandon`. What cannot be taken back, because S3 is the trouble, the bucket's lifecycle rule takes away."""
        if self._upload is not None:
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**self._object, UploadId=self._upload)

    def _put_part(self, body: bytes) -> None:
        with explained(self._address, "written"):
            if self._upload is None:
                self._upload = self._client.create_multipart_upload(**self._object)["UploadId"]
            number = len(self._parts) + 1
            answer = self._client.upload_part(**self._object, UploadId=self._upload, PartNumber=number, Body=body)
            self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
