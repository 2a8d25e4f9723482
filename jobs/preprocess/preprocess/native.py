"""What preprocess does for every byte or every cell, in C (`*.c`, compiled into `cells.so`), and outside the interpreter's lock."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from preprocess.texts import Texts, texts_of
from spotline.contracts import FieldType
from spotline.contracts.cells import INT64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from preprocess.cutting import Positions
    from preprocess.grammar import Grammar
    from preprocess.moments import Layout
    from spotline.contracts import Field

States = npt.NDArray[np.uint8]

# What a cell holds: a value, none, or what only the law can tell.
VALUE, MISSING, DOUBTFUL = 0, 1, 2

# What there is among the bytes of a record.
HAS_NUL, NOT_UTF8, ENDS_EMPTY = 1, 2, 4

# What begins at a position of a text; CUT_OFF: more text is needed to tell.
WHOLE, CUT_OFF, MALFORMED, NEVER_CLOSED, COMMENTED = range(5)

MAX_SPELLINGS = 255
UNKNOWN = 255  # the number of a spelling that is not known

MAX_WIDTH = 32  # bytes of a moment

_SLOTS = 1 << 10
_DIGITS_OF_A_YEAR = 4
_LIBRARY = Path(__file__).with_name("cells.so")
_NONE = -1  # where there is no such byte
_MAX_SIZE = 1 << 31  # a view has 31 bits for where a text begins


class Walk(NamedTuple):
    """The records of a text whose quoting need not be sound, or of any dialect.

    Attributes
    ----------
    end
        Where the last whole record ends.
    cuts
        The lines that are no well-formed records: where each begins and ends, and what it is (`MALFORMED` and so on).
    lines, breaks
        See `Proof`; a CR that no LF follows ends a line too.
    """

    end: int
    cuts: npt.NDArray[np.int64]
    lines: Positions
    breaks: Positions


class Proof(NamedTuple):
    """Where lines and records end in a text whose quoting is sound.

    Attributes
    ----------
    lines
        Each LF.
    breaks
        Those outside quotes.
    open
        Whether the text ends within quotes.
    """

    lines: Positions
    breaks: Positions
    open: bool


def count(text: bytes, byte: int) -> int:
    """How often a byte occurs."""
    found: int = _cells.count(text, len(text), byte)
    return found


def prove(text: bytes, grammar: Grammar) -> Proof | None:
    """Look at each quote of a text that begins with a record, and where lines end; None where a quote is out of place."""
    lines = np.empty(count(text, ord("\n")), np.int64)
    breaks = np.empty(len(lines), np.int64)
    proof = _Proof()
    sound = _cells.prove(
        text, len(text), *_marks(grammar), int(grammar.double_quote), _at(lines), _at(breaks), ctypes.byref(proof)
    )
    return Proof(lines, breaks[: proof.breaks].copy(), bool(proof.open)) if sound else None


def split(text: bytes, rows: int, wanted: Sequence[bool], grammar: Grammar) -> list[Texts | None] | None:
    """Split well-formed records into cells, column by column; None for the columns that are not wanted.

    Parameters
    ----------
    text
        Records in which every quote is in its place, each ended by LF or CRLF.
    rows
        How many records it holds.
    wanted
        For each column, whether its cells are asked for.

    Returns
    -------
    None when there are not so many records, one of them has more or fewer cells than there are columns, or the text is not UTF-8 or
    holds NUL.
    """
    if len(text) >= _MAX_SIZE:
        raise ValueError(f"a block of {len(text)} bytes: there may be {_MAX_SIZE - 1}")
    views = [np.empty((rows, 2), np.uint64) if want else None for want in wanted]
    columns = (ctypes.c_void_p * len(views))(*(None if view is None else _at(view) for view in views))
    unquoted = np.empty(len(text), np.uint8)
    loop, marks = (_cells.split_any, (_dialect(grammar),)) if grammar.unusual else (_cells.split, _marks(grammar))
    used = loop(text, len(text), *marks, len(views), columns, rows, _at(unquoted))
    if used < 0:
        return None
    buffers = np.frombuffer(text, np.uint8), unquoted[:used].copy()
    return [None if view is None else Texts(view, buffers) for view in views]


def walk(text: bytes, grammar: Grammar, *, at_end: bool, longest: int) -> Walk:
    """Go through a text record by record.

    Parameters
    ----------
    text
        It begins with a record; `at_end` says that nothing follows it.
    longest
        A quote that is still open after this many bytes counts as never closed.
    """
    most = count(text, ord("\n")) + count(text, ord("\r")) + 1
    lines, breaks, cuts = np.empty(most, np.int64), np.empty(most, np.int64), np.empty((most, 3), np.int64)
    found = _Walk()
    _cells.walk(
        text,
        len(text),
        _dialect(grammar),
        int(at_end),
        longest,
        _at(lines),
        _at(breaks),
        _at(cuts),
        ctypes.byref(found),
    )
    # Copies, so that what is not used is given back.
    return Walk(found.end, cuts[: found.cuts].copy(), lines[: found.lines].copy(), breaks[: found.breaks].copy())


def next_record(text: bytes, start: int, grammar: Grammar, *, at_end: bool, longest: int) -> tuple[int, int]:
    """What begins at a position of a text (`WHOLE` and so on), and where it ends."""
    stop = ctypes.c_int64()
    what = _cells.next_record(text, len(text), _dialect(grammar), int(at_end), longest, start, ctypes.byref(stop))
    return what, stop.value


def list_cells(record: bytes, grammar: Grammar) -> list[tuple[int, int, bool]]:
    """The cells of a well-formed record: where each begins and ends within its quotes, and whether marks in it are to be undone."""
    most = record.count(grammar.delimiter) + 1
    cells = (_Cell * most)()
    found = _cells.list_cells(record, len(record), _dialect(grammar), most, cells)
    return [(cell.start, cell.start + cell.length, bool(cell.undo)) for cell in cells[:found]]


def inspect(text: bytes, ends: Positions, grammar: Grammar) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """How many cells each record has, and flags for its bytes; malformed quoting makes its count mean nothing.

    `ends` says where the records end, the last one with the text.
    """
    counts, flags = np.empty(len(ends), np.int64), np.empty(len(ends), np.uint8)
    _cells.inspect(text, _at(ends), len(ends), _dialect(grammar), _at(counts), _at(flags))
    return counts, flags


def gather(text: bytes, starts: Positions, ends: Positions) -> Texts:
    """Copies of some pieces of a text: they do not keep the text from being forgotten."""
    starts, ends = np.ascontiguousarray(starts), np.ascontiguousarray(ends)
    buffer = np.empty(int((ends - starts).sum()), np.uint8)
    views = np.empty((len(starts), 2), np.uint64)
    _cells.gather_pieces(text, _at(starts), _at(ends), len(starts), _at(buffer), len(buffer), _at(views))
    return Texts(views, (buffer, np.empty(0, np.uint8)))


def copy_texts(texts: Texts) -> Texts:
    """Copies of some texts: they do not keep the block's own text from being forgotten."""
    size = _cells.size_of_texts(_texts(texts))
    buffer, views = np.empty(size, np.uint8), np.empty((len(texts), 2), np.uint64)
    _cells.copy_texts(_texts(texts), _at(buffer), size, _at(views))
    return Texts(views, (buffer, np.empty(0, np.uint8)))


def behind_lines(text: bytes, number: int) -> int:
    """Where the line of this number, counted from 1, ends; 0 when there are fewer."""
    found: int = _cells.behind_lines(text, len(text), number)
    return found


class CellReader:
    """Reads the cells of one field, as far as it is certain of them; several threads may.

    White space and missing values are the contract's. Each method gives values and states (see `VALUE`); a value means nothing unless
    its state says that there is one.
    """

    def __init__(self, field: Field) -> None:
        self._missing = texts_of(field.missing_values)
        self._group = (field.group_char or "").encode()
        self._field = _Field(
            missing=_texts(self._missing),
            lengths=sum({1 << min(len(text.encode()), 63) for text in field.missing_values}),
            starts=sum({1 << (text.encode()[0] & 63) for text in field.missing_values if text}),
            group=_Text(self._group, len(self._group)),
            point=ord(field.decimal_char) if field.decimal_char.isascii() else _NONE,
            trim=field.trim,
            required=field.constraints.required,
        )
        self._digits = _DIGITS_OF_A_YEAR if field.type is FieldType.YEAR else 0
        self._limits = field.constraints.minimum, field.constraints.maximum

    def texts(self, cells: Texts) -> tuple[Texts, States]:
        """Texts, without the white space around them."""
        values, states = np.empty_like(cells.views), np.empty(len(cells), np.uint8)
        _cells.read_texts(_texts(cells), self._field, _at(values), _at(states))
        return Texts(values, cells.buffers), states

    def integers(self, cells: Texts) -> tuple[npt.NDArray[np.int64], States]:
        """Integers of up to 18 digits within the field's limits, or years, which have four."""
        values, states = np.empty(len(cells), np.int64), np.empty(len(cells), np.uint8)
        least, most = self._limits_or(INT64[0], INT64[-1])
        _cells.read_integers(_texts(cells), self._field, self._digits, least, most, _at(values), _at(states))
        return values, states

    def numbers(self, cells: Texts) -> tuple[npt.NDArray[np.float64], States]:
        """Finite numbers within the field's limits."""
        values, states = np.empty(len(cells), np.float64), np.empty(len(cells), np.uint8)
        least, most = self._limits_or(-sys.float_info.max, sys.float_info.max)
        _cells.read_numbers(_texts(cells), self._field, least, most, _at(values), _at(states))
        return values, states

    def moments(self, cells: Texts, layout: Layout) -> tuple[npt.NDArray[np.int64], States]:
        """Moments written in a fixed width, in seconds since 1970."""
        values, states = np.empty(len(cells), np.int64), np.empty(len(cells), np.uint8)
        _cells.read_moments(_texts(cells), self._field, _layout(layout), _at(values), _at(states))
        return values, states

    def _limits_or(self, least: Any, most: Any) -> tuple[Any, Any]:
        minimum, maximum = self._limits
        return least if minimum is None else minimum, most if maximum is None else maximum


class SpellingTable:
    """Tells which of some known texts a cell is.

    Parameters
    ----------
    spellings
        At most `MAX_SPELLINGS`.
    """

    def __init__(self, spellings: Sequence[str]) -> None:
        if len(spellings) > MAX_SPELLINGS:
            raise ValueError(f"{len(spellings)} spellings: there may be {MAX_SPELLINGS}")
        self._known = texts_of(spellings)
        self._slots = np.empty(_SLOTS, np.uint8)
        _cells.index_spellings(_texts(self._known), _at(self._slots))

    def find(self, cells: Texts) -> tuple[npt.NDArray[np.uint8], int]:
        """The number of each cell's spelling, and how many are `UNKNOWN`."""
        numbers = np.empty(len(cells), np.uint8)
        return numbers, _cells.find_spellings(_texts(cells), _texts(self._known), _at(self._slots), _at(numbers))


def _marks(grammar: Grammar) -> tuple[int, int]:
    return grammar.delimiter[0], grammar.quote[0] if grammar.quote else _NONE


def _dialect(grammar: Grammar) -> _Dialect:
    marks = (mark[0] if mark else _NONE for mark in (grammar.delimiter, grammar.quote, grammar.escape, grammar.comment))
    return _Dialect(*marks, grammar.double_quote, grammar.lenient_quote, grammar.skip_space)


def _at(array: npt.NDArray[np.generic]) -> int:
    address: int = array.ctypes.data
    return address


# The structures of the C, field by field.


class _Texts(ctypes.Structure):
    _fields_ = (("views", ctypes.c_void_p), ("count", ctypes.c_int64), ("buffers", ctypes.c_void_p * 2))


class _Text(ctypes.Structure):
    _fields_ = (("at", ctypes.c_char_p), ("length", ctypes.c_int64))


class _Field(ctypes.Structure):
    _fields_ = (
        ("missing", _Texts),
        ("lengths", ctypes.c_uint64),
        ("starts", ctypes.c_uint64),
        ("group", _Text),
        ("point", ctypes.c_int32),
        ("trim", ctypes.c_uint8),
        ("required", ctypes.c_uint8),
    )


class _Dialect(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("delimiter", "quote", "escape", "comment")),
        *((name, ctypes.c_uint8) for name in ("doubled", "lenient", "skip")),
    )


class _Cell(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("start", "length", "next")),
        ("end", ctypes.c_int32),
        ("undo", ctypes.c_uint8),
    )


class _Walk(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int64) for name in ("end", "lines", "breaks", "cuts"))


class _Proof(ctypes.Structure):
    _fields_ = (("breaks", ctypes.c_int64), ("open", ctypes.c_int32))


class _Layout(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int32),
        ("places", ctypes.c_int32 * 6),
        ("pattern", ctypes.c_uint8 * MAX_WIDTH),
        ("excess", ctypes.c_uint8 * MAX_WIDTH),
        ("wrong", ctypes.c_uint8 * MAX_WIDTH),
    )


def _texts(texts: Texts) -> _Texts:
    first, second = texts.buffers
    return _Texts(_at(texts.views), len(texts), (ctypes.c_void_p * 2)(_at(first), _at(second)))


def _layout(layout: Layout) -> _Layout:
    places = [layout.numbers.get(directive, _NONE) for directive in "YmdHMS"]
    made = _Layout(layout.width, (ctypes.c_int32 * 6)(*places))
    for place in range(layout.width):
        mark = layout.marks.get(place)
        made.pattern[place], made.excess[place], made.wrong[place] = (
            (ord("0"), 6, 0xF0) if mark is None else (mark, 0, 0xFF)
        )
    return made


def _loaded() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(_LIBRARY))
    except OSError as cause:
        raise ImportError(f"{_LIBRARY} cannot be loaded ({cause}): make it with `make setup`") from cause
    size, address, byte, mark = ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint8, ctypes.c_int32
    texts, field, dialect = ctypes.POINTER(_Texts), ctypes.POINTER(_Field), ctypes.POINTER(_Dialect)
    text = (ctypes.c_char_p, size)
    for name, result, arguments in (
        ("count", size, (*text, byte)),
        ("prove", mark, (*text, byte, mark, mark, address, address, ctypes.POINTER(_Proof))),
        ("split", size, (*text, byte, mark, mark, address, size, address)),
        ("walk", None, (*text, dialect, mark, size, address, address, address, ctypes.POINTER(_Walk))),
        ("next_record", mark, (*text, dialect, mark, size, size, ctypes.POINTER(size))),
        ("list_cells", size, (*text, dialect, size, ctypes.POINTER(_Cell))),
        ("split_any", size, (*text, dialect, mark, address, size, address)),
        ("inspect", None, (ctypes.c_char_p, address, size, dialect, address, address)),
        ("gather_pieces", None, (ctypes.c_char_p, address, address, size, address, size, address)),
        ("size_of_texts", size, (texts,)),
        ("copy_texts", None, (texts, address, size, address)),
        ("behind_lines", size, (*text, size)),
        ("read_texts", None, (texts, field, address, address)),
        ("read_integers", None, (texts, field, mark, size, size, address, address)),
        ("read_numbers", None, (texts, field, ctypes.c_double, ctypes.c_double, address, address)),
        ("read_moments", None, (texts, field, ctypes.POINTER(_Layout), address, address)),
        ("index_spellings", None, (texts, address)),
        ("find_spellings", size, (texts, texts, address, address)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_cells = _loaded()
