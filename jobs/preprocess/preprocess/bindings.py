"""The C as ctypes sees it: its structures, field by field, and its functions; `native` says what each of them is for."""

from __future__ import annotations

import ctypes
from pathlib import Path

_LIBRARY = Path(__file__).with_name("cells.so")

WIDEST = 32  # bytes of a moment


class Texts(ctypes.Structure):
    """`Texts` of cells.h."""

    _fields_ = (("views", ctypes.c_void_p), ("count", ctypes.c_int64), ("buffers", ctypes.c_void_p * 2))


class Text(ctypes.Structure):
    """`Text` of cells.h."""

    _fields_ = (("at", ctypes.c_char_p), ("length", ctypes.c_int64))


class Field(ctypes.Structure):
    """`Field` of fields.h."""

    _fields_ = (
        ("missing", Texts),
        ("lengths", ctypes.c_uint64),
        ("starts", ctypes.c_uint64),
        ("group", Text),
        ("point", ctypes.c_int32),
        ("trim", ctypes.c_uint8),
        ("required", ctypes.c_uint8),
    )


class Dialect(ctypes.Structure):
    """`Dialect` of dialects.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("delimiter", "quote", "escape", "comment")),
        *((name, ctypes.c_uint8) for name in ("doubled", "lenient", "skip")),
    )


class Cell(ctypes.Structure):
    """`Cell` of dialects.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("start", "length", "next")),
        ("end", ctypes.c_int32),
        ("undo", ctypes.c_uint8),
    )


class Walk(ctypes.Structure):
    """`Walk` of dialects.c."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("end", "lines", "breaks", "cuts"))


class Proof(ctypes.Structure):
    """`Proof` of records.c."""

    _fields_ = (("breaks", ctypes.c_int64), ("open", ctypes.c_int32))


class Layout(ctypes.Structure):
    """`Layout` of moments.c."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("places", ctypes.c_int32 * 6),
        ("pattern", ctypes.c_uint8 * WIDEST),
        ("excess", ctypes.c_uint8 * WIDEST),
        ("wrong", ctypes.c_uint8 * WIDEST),
    )


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(_LIBRARY))
    except OSError as cause:
        raise ImportError(f"{_LIBRARY} cannot be loaded ({cause}): make it with `make setup`") from cause
    size, address, byte, mark = ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint8, ctypes.c_int32
    texts, field, dialect = ctypes.POINTER(Texts), ctypes.POINTER(Field), ctypes.POINTER(Dialect)
    text = (ctypes.c_char_p, size)
    for name, result, arguments in (
        ("count", size, (*text, byte)),
        ("prove", mark, (*text, byte, mark, mark, address, address, ctypes.POINTER(Proof))),
        ("split", size, (*text, byte, mark, mark, address, size, address)),
        ("walk", None, (*text, dialect, mark, size, address, address, address, ctypes.POINTER(Walk))),
        ("next_record", mark, (*text, dialect, mark, size, size, ctypes.POINTER(size))),
        ("list_cells", size, (*text, dialect, size, ctypes.POINTER(Cell))),
        ("split_any", size, (*text, dialect, mark, address, size, address)),
        ("inspect", None, (ctypes.c_char_p, address, size, dialect, address, address)),
        ("gather_pieces", None, (ctypes.c_char_p, address, address, size, address, size, address)),
        ("size_of_texts", size, (texts,)),
        ("copy_texts", None, (texts, address, size, address)),
        ("behind_lines", size, (*text, size)),
        ("read_texts", None, (texts, field, address, address)),
        ("read_integers", None, (texts, field, mark, size, size, address, address)),
        ("read_numbers", None, (texts, field, ctypes.c_double, ctypes.c_double, address, address)),
        ("read_moments", None, (texts, field, ctypes.POINTER(Layout), address, address)),
        ("translate", size, (address, size, address, address, address, address)),
        ("count_numbers", None, (address, size, address)),
        ("index_spellings", None, (texts, address)),
        ("find_spellings", size, (texts, texts, address, address)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


cells = _load()
