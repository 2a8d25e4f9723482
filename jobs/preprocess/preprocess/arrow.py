"""Columns handed to polars as they lie in memory, through Arrow's C data interface.

https://arrow.apache.org/docs/format/CDataInterface.html says what the structures and the names of the formats are. polars does with a
column what it does with its own, and gives it back when nobody needs it any more.
"""

from __future__ import annotations

import ctypes
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

Flags = npt.NDArray[np.bool_]

TEXT = "vu"
BINARY = "vz"
INT32 = "i"
INT64 = "l"
FLOAT64 = "g"
DATE = "tdD"  # days since 1970
TIME = "ttn"  # nanoseconds of the day
DATETIME = "tsu:"  # microseconds since 1970; a zone's name may follow


def lend(name: str, kind: str, parts: Sequence[npt.NDArray[Any]], valid: Flags | None = None) -> pl.Series:
    """A column of one of these formats.

    Parameters
    ----------
    parts
        Its buffers behind the first one, which says what is null.
    valid
        Where there is a value; None for everywhere.
    """
    return pl.Series(_Lent(kind, parts, valid)).alias(name)


class _Lent:
    """A column on its way to polars."""

    def __init__(self, kind: str, parts: Sequence[npt.NDArray[Any]], valid: Flags | None) -> None:
        self._kind = kind
        self._parts = parts
        self._valid = valid
        self._structures: tuple[_Schema, _Array] | None = None

    def __arrow_c_array__(self, _requested: object = None) -> tuple[object, object]:
        """Arrow's PyCapsule interface: a schema and an array."""
        nulls = 0 if self._valid is None else len(self._valid) - int(np.count_nonzero(self._valid))
        bits = np.packbits(self._valid, bitorder="little") if self._valid is not None and nulls else None
        parts = [None if bits is None else bits.ctypes.data, *(part.ctypes.data for part in self._parts)]
        addresses = (ctypes.c_void_p * len(parts))(*parts)
        array = _Array(
            length=len(self._parts[0]),
            null_count=nulls,
            n_buffers=len(parts),
            buffers=ctypes.cast(addresses, ctypes.POINTER(ctypes.c_void_p)),
            release=_GIVE_ARRAY_BACK,
            private_data=next(_numbers),
        )
        _lent[array.private_data] = (addresses, bits, self._parts)
        schema = _Schema(format=self._kind.encode(), flags=_NULLABLE, release=_GIVE_SCHEMA_BACK)
        self._structures = schema, array  # they are moved out of these
        return (
            _capsule(ctypes.addressof(schema), b"arrow_schema", None),
            _capsule(ctypes.addressof(array), b"arrow_array", None),
        )


# The structures, field by field.


class _Schema(ctypes.Structure):
    """`struct ArrowSchema`."""


class _Array(ctypes.Structure):
    """`struct ArrowArray`."""


_ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))

_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.c_void_p),
    ("dictionary", ctypes.c_void_p),
    ("release", _ReleaseSchema),
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
    ("release", _ReleaseArray),
    ("private_data", ctypes.c_void_p),
]

_NULLABLE = 2  # ARROW_FLAG_NULLABLE

_numbers = itertools.count(1)
_lent: dict[int, object] = {}  # what others have in use, by the number in `private_data`


def _array_given_back(array: Any) -> None:
    del _lent[array.contents.private_data]
    array.contents.release = _ReleaseArray()


def _schema_given_back(schema: Any) -> None:
    schema.contents.release = _ReleaseSchema()


_GIVE_ARRAY_BACK = _ReleaseArray(_array_given_back)
_GIVE_SCHEMA_BACK = _ReleaseSchema(_schema_given_back)


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
