"""The cells of a text column as Arrow keeps them: sixteen bytes each, which are the whole text where it has at most twelve.

So a question about many short texts (is this one of those? does it begin with white space?) is a few operations on whole numbers. The
bytes are read through Arrow's C stream interface (https://arrow.apache.org/docs/format/CStreamInterface.html), whose layout of texts
is that of https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

SHORT = 12  # bytes, of a text that is kept whole

Words = npt.NDArray[np.uint64]

_TEXT_VIEWS = b"vu"  # Arrow's name of the layout
_SPACE = 0x20
_ASCII_END = 0x80


class Texts(NamedTuple):
    """The two halves of each cell's sixteen bytes, as a little-endian processor reads them.

    Attributes
    ----------
    low
        The length in bytes, and above it the first four bytes.
    high
        The next eight bytes; of a text longer than `SHORT`, where it stands.
    """

    low: Words
    high: Words

    def lengths(self) -> Words:
        """How many bytes each text has."""
        return self.low & np.uint64(0xFFFFFFFF)

    def are(self, others: Texts, number: int) -> npt.NDArray[np.bool_]:
        """Which cells are one of some short texts."""
        found: npt.NDArray[np.bool_] = self.low == others.low[number]
        found &= self.high == others.high[number]
        return found

    def have_plain_edges(self) -> npt.NDArray[np.bool_]:
        """Which cells are short, and neither begin nor end with white space for certain: with a byte that is visible ASCII."""
        lengths = self.lengths()
        first = (self.low >> np.uint64(32)).astype(np.uint8)
        last = np.where(
            lengths > 4,
            self.high >> ((lengths - np.uint64(5)) << np.uint64(3) & np.uint64(63)),
            self.low >> ((lengths + np.uint64(3)) << np.uint64(3) & np.uint64(63)),
        ).astype(np.uint8)
        plain = (first > _SPACE) & (first < _ASCII_END) & (last > _SPACE) & (last < _ASCII_END)
        plain |= lengths == 0
        plain &= lengths <= SHORT
        return plain


def texts_of(cells: pl.Series) -> Texts:
    """The cells of a text column without nulls."""
    capsule = cells.__arrow_c_stream__()  # gives the stream back when it goes
    stream = _Stream.from_address(_address(capsule, b"arrow_array_stream"))
    schema = _Schema()
    _checked(stream.get_schema(stream, schema))
    layout = schema.format
    schema.release(schema)
    if layout != _TEXT_VIEWS:
        raise TypeError(f"column {cells.name}: Arrow's layout of it is {layout!r}, not that of texts")
    low, high = np.empty(len(cells), np.uint64), np.empty(len(cells), np.uint64)
    at = 0
    while True:
        array = _Array()
        _checked(stream.get_next(stream, array))
        if not array.release:
            return Texts(low, high)
        try:
            if array.null_count:
                raise ValueError(f"column {cells.name}: {array.null_count} cells are null")
            if array.length:
                halves = _words(array.buffers[1] + 16 * array.offset, 2 * array.length)
                low[at : at + array.length] = halves[0::2]
                high[at : at + array.length] = halves[1::2]
                at += array.length
        finally:
            array.release(array)


def _words(address: int, count: int) -> Words:
    return np.frombuffer(memoryview((ctypes.c_uint64 * count).from_address(address)), np.uint64)


def _checked(code: int) -> None:
    if code:
        raise OSError(code, "Arrow's stream of a column broke off")


# The structures of Arrow's C interfaces, field by field.


class _Schema(ctypes.Structure):
    """`struct ArrowSchema`."""


class _Array(ctypes.Structure):
    """`struct ArrowArray`."""


class _Stream(ctypes.Structure):
    """`struct ArrowArrayStream`."""


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Schema))),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))),
    ("get_last_error", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))),
    ("private_data", ctypes.c_void_p),
]

_address = ctypes.pythonapi.PyCapsule_GetPointer
_address.restype = ctypes.c_void_p
_address.argtypes = [ctypes.py_object, ctypes.c_char_p]
