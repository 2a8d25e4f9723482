"""The cells of a text column as Arrow keeps them: sixteen bytes each, which are the whole text where it has at most twelve.

The layout is that of https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout, so that polars takes them
over as they lie; `native` makes and reads them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from preprocess.arrow import TEXT, lend

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from preprocess.arrow import Flags

Bytes = npt.NDArray[np.uint8]
Views = npt.NDArray[np.uint64]

_SHORT = 12  # bytes


@dataclass(frozen=True)
class Texts:
    """Some texts.

    Attributes
    ----------
    views
        Two words each, as a little-endian processor reads them: the length and the first four bytes, and then the next eight or, of a
        text of more than twelve bytes, in which buffer and where it begins.
    buffers
        What the longer texts stand in.
    """

    views: Views
    buffers: tuple[Bytes, Bytes]

    def __len__(self) -> int:
        return len(self.views)

    def series(self, name: str, valid: Flags | None = None, kind: str = TEXT) -> pl.Series:
        """The same for polars, null where not `valid`."""
        sizes = np.array([len(buffer) for buffer in self.buffers], np.int64)
        return lend(name, kind, (self.views, *self.buffers, sizes), valid)

    def are_empty(self) -> bool:
        """Whether none of them has a byte."""
        return not bool((self.views[:, 0] << np.uint64(32)).any())

    def take(self, places: npt.NDArray[Any]) -> Texts:
        """Some of them."""
        return Texts(self.views[places], self.buffers)

    def strings(self) -> list[str]:
        """The same for Python."""
        found: list[str] = self.series("").to_list()
        return found


def texts_of(strings: Iterable[str]) -> Texts:
    """Python's texts as Arrow's."""
    views, buffer = bytearray(), bytearray()
    for string in strings:
        text = string.encode()
        if len(text) <= _SHORT:
            views += struct.pack("<I12s", len(text), text)
        else:
            views += struct.pack("<I4sII", len(text), text[:4], 0, len(buffer))
            buffer += text
    return Texts(
        np.frombuffer(bytes(views), np.uint64).reshape(-1, 2),
        (np.frombuffer(bytes(buffer), np.uint8), np.zeros(0, np.uint8)),
    )
