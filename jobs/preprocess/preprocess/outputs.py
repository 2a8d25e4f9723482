"""Where the files of a run go: a folder on this machine, or a prefix of a bucket. Nothing here makes a run look finished."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from preprocess.refusals import Misconfigured
from spotline.layout import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

QUALITY = "quality.json"
CLEANED = "cleaned.csv"
CONTRACT = "contract.json"

# A run's files that come in any number: their folder, and how their names begin and end.
_PIECES = {"clean": ("shard-", ".parquet"), "rejected": ("part-", ".parquet")}


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

    def clear(self, source: Path, contract: Path) -> None:
        """Take away what an earlier run left, the manifest first, so that two runs' files never lie together.

        The contract that an earlier run kept may be this one's.

        Raises
        ------
        Misconfigured
            When one of the inputs would be taken away, or something else lies where the shards go.
        """
        with writable(self._root):
            single = [path for name in (MANIFEST, QUALITY, CLEANED) if (path := self._root / name).exists()]
            pieces = [path for name in _PIECES for path in self._pieces(name)]
            _refuse_outputs(source, [self._root / CONTRACT, *single, *pieces])
            _refuse_outputs(contract, [*single, *pieces])
            for path in [*single, *pieces]:
                path.unlink()

    def _pieces(self, name: str) -> Iterator[Path]:
        """What an earlier run left in one of the folders for pieces."""
        begin, end = _PIECES[name]
        folder = self._root / name
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            if not (path.name.startswith(begin) and path.name.endswith(end)):
                raise Misconfigured(f"{path} is not of an earlier run; move it, or give --output another folder")
            yield path

    def _put(self, path: str, body: bytes, mode: Literal["wb", "ab"]) -> None:
        target = self._root / path
        with writable(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open(mode) as file:
                file.write(body)

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


def _refuse_outputs(given: Path, outputs: Iterable[Path]) -> None:
    """Refuse an input that is an output too, under whatever name."""
    for path in outputs:
        if path.exists() and given.exists() and path.samefile(given):
            raise Misconfigured(f"{given} is a file that the run would write; give --output another folder")


@contextmanager
def writable(target: Path) -> Iterator[None]:
    """Turn what the system refuses into one line with the way out."""
    try:
        yield
    except OSError as cause:
        raise Misconfigured(f"{target}: {_advice(cause)}") from cause


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no room left on the disk; make room, or give --output another folder, and run again"
    return f"cannot be written ({error.strerror}); give --output a folder that can"
