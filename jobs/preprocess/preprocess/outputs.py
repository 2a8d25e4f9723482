"""Where the files of a run go: a folder on this machine, or a prefix of a bucket. Nothing here makes a run look finished."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal, Protocol

from preprocess.refusals import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path


class Output(Protocol):
    """Files under one place; a file written again replaces the one before."""

    def write(self, path: str, body: bytes) -> None:
        """Write one whole file."""

    def grow(self, path: str) -> Growing:
        """Begin a file whose end is not known yet."""

    def location(self, path: str) -> str:
        """Its address, for people."""


class Growing(Protocol):
    """A file that is written piece by piece."""

    def append(self, body: bytes) -> None:
        """Write behind what was written."""

    def finish(self) -> None:
        """That was all."""

    def abandon(self) -> None:
        """There will be no more: leave nothing that costs or looks finished, as far as it can be helped."""


class Folder:
    """A folder on this machine, made when it is not there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, body: bytes) -> None:
        """See `Output.write`."""
        self._put(path, body, "wb")

    def grow(self, path: str) -> GrowingFile:
        """See `Output.grow`."""
        self.write(path, b"")
        return GrowingFile(self, path)

    def append(self, path: str, body: bytes) -> None:
        """Write behind what lies there."""
        self._put(path, body, "ab")

    def _put(self, path: str, body: bytes, mode: Literal["wb", "ab"]) -> None:
        target = self._root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open(mode) as file:
                file.write(body)
        except OSError as cause:
            raise Misconfigured(f"{target}: {_advice(cause)}") from cause

    def location(self, path: str) -> str:
        """See `Output.location`."""
        return str(self._root / path)


class GrowingFile:
    """A file in a folder, piece by piece."""

    def __init__(self, folder: Folder, path: str) -> None:
        self._folder = folder
        self._path = path

    def append(self, body: bytes) -> None:
        """See `Growing.append`."""
        self._folder.append(self._path, body)

    def finish(self) -> None:
        """See `Growing.finish`."""

    def abandon(self) -> None:
        """See `Growing.abandon`. What is there stays for a person to look at; no manifest names it."""


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no room left on the disk; make room, or give --output another folder, and run again"
    return f"cannot be written ({error.strerror}); give --output a folder that can"
