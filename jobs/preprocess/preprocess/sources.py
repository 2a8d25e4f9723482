"""Where the bytes of a file come from: a file on this machine, or one version of an S3 object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from preprocess.refusals import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class Stream(Protocol):
    """Bytes read once, from the beginning to the end."""

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end, none after it."""

    def close(self) -> None:
        """Let go of what the stream holds."""


class Source(Protocol):
    """A file that can be read as often as needed and is the same each time."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def describe(self) -> dict[str, Any]:
        """What was read, for the manifest."""

    def open(self) -> Stream:
        """Begin at the first byte."""


class LocalSource:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._size = path.stat().st_size
            if not path.is_file():
                raise Misconfigured(f"{path}: not a file; give --input a CSV file")
        except OSError as cause:
            raise Misconfigured(f"{path}: {cause.strerror}; give --input a file that can be read") from cause

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return str(self._path)

    @property
    def size(self) -> int:
        """See `Source.size`."""
        return self._size

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return {"path": str(self._path)}

    def open(self) -> LocalStream:
        """See `Source.open`."""
        return LocalStream(self._path)


class LocalStream:
    """A file read without a buffer: readers ask for megabytes."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as cause:
            raise Misconfigured(f"{path}: {cause.strerror}; give --input a file that can be read") from cause

    def read(self, size: int) -> bytes:
        """See `Stream.read`."""
        chunk = self._file.read(size) or b""
        if not chunk or len(chunk) == size:
            return chunk
        chunks = [chunk]
        left = size - len(chunk)
        while left and (chunk := self._file.read(left)):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        """See `Stream.close`."""
        self._file.close()

    def __enter__(self) -> LocalStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
