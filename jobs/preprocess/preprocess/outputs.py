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

    def location(self, path: str) -> str:
        """Its address, for people."""


class Folder:
    """A folder on this machine, made when it is not there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, body: bytes) -> None:
        """See `Output.write`."""
        self._put(path, body, "wb")

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


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no room left on the disk; make room, or give --output another folder, and run again"
    return f"cannot be written ({error.strerror}); give --output a folder that can"
