"""What preprocess does for every byte or every cell, in C (`*.c`, compiled into `cells.so`), and outside the interpreter's lock."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from preprocess import bindings
from preprocess.bindings import cells as _cells
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
NUMBERS = 256  # of a byte

MAX_WIDTH = bindings.WIDEST  # bytes of a moment

_SLOTS = 1 << 10
_DIGITS_OF_A_YEAR = 4
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
    proof = bindings.Proof()
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
        A quote that is still open after this many bytes counts as never closed; unless the text ends, the walk does, behind its line.
    """
    most = count(text, ord("\n")) + count(text, ord("\r")) + 1
    lines, breaks, cuts = np.empty(most, np.int64), np.empty(most, np.int64), np.empty((most, 3), np.int64)
    found = bindings.Walk()
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
    cells = (bindings.Cell * most)()
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
        self._field = bindings.Field(
            missing=_texts(self._missing),
            lengths=sum({1 << min(len(text.encode()), 63) for text in field.missing_values}),
            starts=sum({1 << (text.encode()[0] & 63) for text in field.missing_values if text}),
            group=bindings.Text(self._group, len(self._group)),
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


def translate(
    numbers: npt.NDArray[np.uint8], table: npt.NDArray[np.uint8], doubtful: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], Positions]:
    """What `table` says of each number, and where the numbers are that are `doubtful`; both hold `NUMBERS` entries."""
    values, places = np.empty(len(numbers), np.uint8), np.empty(len(numbers), np.int64)
    found = _cells.translate(_at(numbers), len(numbers), _at(table), _at(doubtful), _at(values), _at(places))
    return values, places[:found].copy()


def count_numbers(numbers: npt.NDArray[np.uint8]) -> list[int]:
    """How often each number occurs, from 0 to 255."""
    counts = np.empty(NUMBERS, np.int64)
    _cells.count_numbers(_at(numbers), len(numbers), _at(counts))
    found: list[int] = counts.tolist()
    return found


def _marks(grammar: Grammar) -> tuple[int, int]:
    return grammar.delimiter[0], grammar.quote[0] if grammar.quote else _NONE


def _dialect(grammar: Grammar) -> bindings.Dialect:
    marks = (mark[0] if mark else _NONE for mark in (grammar.delimiter, grammar.quote, grammar.escape, grammar.comment))
    return bindings.Dialect(*marks, grammar.double_quote, grammar.lenient_quote, grammar.skip_space)


def _at(array: npt.NDArray[np.generic]) -> int:
    address: int = array.ctypes.data
    return address


def _texts(texts: Texts) -> bindings.Texts:
    first, second = texts.buffers
    return bindings.Texts(_at(texts.views), len(texts), (ctypes.c_void_p * 2)(_at(first), _at(second)))


def _layout(layout: Layout) -> bindings.Layout:
    places = [layout.numbers.get(directive, _NONE) for directive in "YmdHMS"]
    made = bindings.Layout(layout.width, (ctypes.c_int32 * 6)(*places))
    for place in range(layout.width):
        mark = layout.marks.get(place)
        made.pattern[place], made.excess[place], made.wrong[place] = (
            (ord("0"), 6, 0xF0) if mark is None else (mark, 0, 0xFF)
        )
    return made
