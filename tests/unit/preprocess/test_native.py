"""The loops in C see what slow and plain readers see, wherever their chunks happen to end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import cutting, native
from preprocess.arrow import BINARY
from preprocess.grammar import Grammar
from spotline.contracts import Dialect
from tests.unit.preprocess.strict_reader import Marks, read_all

if TYPE_CHECKING:
    from preprocess.texts import Texts

CHUNK = 64
DIALECTS = {
    "plain": Dialect(),
    "single quotes": Dialect(quote="'", delimiter=";"),
    "tabs": Dialect(delimiter="\t"),
    "a letter and a digit": Dialect(delimiter="a", quote="1"),
    "quotes are not doubled": Dialect(double_quote=False),
    "no quotes": Dialect(quote=None, delimiter="|"),
}
PIECES = st.sampled_from(
    ["a", "x", "1", "é", "\U0001f600", ",", ";", "|", "\t", '"', '""', "'", "''", "\n", "\r\n", " "]
)
CELLS = st.lists(PIECES, max_size=6).map("".join) | st.tuples(
    st.sampled_from([1, 5, 11, 12, 13, 60, 63, 64, 65, 130]), st.lists(PIECES, max_size=3).map("".join)
).map(lambda parts: "x" * parts[0] + parts[1])


def marks_of(dialect: Dialect) -> Marks:
    return Marks(
        dialect.delimiter.encode(), dialect.quote.encode() if dialect.quote else None, double=dialect.double_quote
    )


def written(dialect: Dialect, cell: str, *, quoted: bool) -> tuple[str, str]:
    """A cell as a file has it; what the dialect cannot write is left out of it."""
    if dialect.quote is None:
        cell = "".join(mark for mark in cell if mark not in (dialect.delimiter, "\r", "\n"))
        return cell, cell
    if not dialect.double_quote:
        cell = cell.replace(dialect.quote, "")
    if quoted or any(mark in cell for mark in (dialect.delimiter, dialect.quote, "\r", "\n")):
        return cell, dialect.quote + cell.replace(dialect.quote, dialect.quote * 2) + dialect.quote
    return cell, cell


@st.composite
def tables(draw: st.DrawFn) -> tuple[Dialect, list[list[str]], bytes]:
    """Rows of cells, and a text that says the same."""
    dialect = DIALECTS[draw(st.sampled_from(sorted(DIALECTS)))]
    width = draw(st.integers(1, 4))
    rows, lines = [], []
    for cells in draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6)):
        pairs = [written(dialect, cell, quoted=draw(st.booleans())) for cell in cells]
        rows.append([cell for cell, _ in pairs])
        lines.append(dialect.delimiter.join(text for _, text in pairs) + draw(st.sampled_from(["\n", "\r\n"])))
    return dialect, rows, "".join(lines).encode()


def split(text: bytes, rows: int, width: int, dialect: Dialect | None = None) -> list[list[str]] | None:
    """Row by row, as the other readers have it."""
    columns = native.split(text, rows, [True] * width, Grammar(dialect or Dialect()))
    if columns is None:
        return None
    return [list(row) for row in zip(*(column.strings() for column in columns if column is not None), strict=True)]


@settings(max_examples=400, deadline=None)
@given(table=tables(), data=st.data())
def test_well_formed_records_are_split_as_the_strict_reader_splits_them(
    table: tuple[Dialect, list[list[str]], bytes], data: st.DataObject
) -> None:
    dialect, rows, text = table
    width = len(rows[0]) if rows else data.draw(st.integers(1, 4))
    wanted = data.draw(st.lists(st.booleans(), min_size=width, max_size=width))

    columns = native.split(text, len(rows), wanted, Grammar(dialect))

    assert columns is not None
    assert [column is not None for column in columns] == wanted
    for index, column in enumerate(columns):
        if column is not None:
            assert column.strings() == [row[index] for row in rows]
    assert [[cell.encode() for cell in row] for row in rows] == [
        read.cells for read in read_all(text, marks_of(dialect))
    ]


@pytest.mark.parametrize(
    "cell",
    [
        '"a,b"',
        '"a""b"',
        '"""a"',
        '"a"""',
        '""',
        '""""',
        '"a\nb"',
        '"a\r\nb"',
        "",
        "a",
        "é",
        "\U0001f600",
        '","',
        '"\n"',
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_cell_is_the_same_wherever_chunks_end(cell: str, line_end: str) -> None:
    plain = cell[1:-1].replace('""', '"') if cell.startswith('"') else cell
    for size in range(2 * CHUNK + 10):
        text = f"{'x' * size},{cell},{cell}{line_end}{cell},,{'y' * size}{line_end}".encode()

        assert split(text, 2, 3) == [["x" * size, plain, plain], [plain, "", "y" * size]]


@pytest.mark.parametrize("size", range(1, 201))
def test_a_text_of_any_size_is_split_to_its_last_byte(size: int) -> None:
    plain, quoted = "x" * (size - 1), f'"{"x" * (size - 3)}"'

    assert split(f"{plain}\n".encode(), 1, 1) == [[plain]]
    if size >= 3:
        assert split(f"{quoted}\n".encode(), 1, 1) == [[quoted[1:-1]]]
    assert split(b"\n" * size, size, 1) == [[""]] * size
    assert split(b"," * (size - 1) + b"\n", 1, size) == [[""] * size]


def test_no_records_are_split_into_empty_columns() -> None:
    columns = native.split(b"", 0, [True, False], Grammar(Dialect()))

    assert columns is not None
    assert columns[0] is not None
    assert columns[0].strings() == []
    assert columns[1] is None


@pytest.mark.parametrize(
    ("text", "rows", "width"),
    [
        (b"a,b\nc\n", 2, 2),
        (b"a,b\nc,d,e\n", 2, 2),
        (b"a\nb,c,d\n", 2, 2),  # too short and too long by the same
        (b"a,b,c\nd\n", 2, 2),
        (b"a,b\n\n", 2, 2),
        (b"\na,b,c\n", 2, 2),
        (b"a,b\nc,d\n", 1, 2),
        (b"a,b\nc,d\n", 3, 2),
        (b"a,b\n", 0, 2),
        (b"", 1, 1),
        (b"a,b\nc,d", 2, 2),
        (b"a,b\nc,", 2, 2),
        (b"a,b\nc,d\ne", 2, 2),
        (b'a,"b\n', 1, 2),
        (b"a\nb\nc,d\n", 2, 2),
        (b"a,b,c,d\n", 2, 2),
    ],
)
def test_records_of_another_width_or_number_are_not_split(text: bytes, rows: int, width: int) -> None:
    assert split(text, rows, width) is None
    before = b"x" * 70 + b"," * (width - 1) + b"\n"
    assert split(before + text, rows + 1, width) is None


@settings(max_examples=300, deadline=None)
@given(table=tables(), data=st.data())
def test_one_delimiter_or_line_end_too_many_is_always_seen(
    table: tuple[Dialect, list[list[str]], bytes], data: st.DataObject
) -> None:
    dialect, rows, text = table
    width = len(rows[0]) if rows else 2
    ends = [0, *(read.offset + len(read.raw) for read in read_all(text, marks_of(dialect)))]
    at = data.draw(st.sampled_from(ends))
    inserted = data.draw(st.sampled_from([b"\n", b"\r\n", b"x\n", dialect.delimiter.encode()]))
    changed = text[:at] + inserted + text[at:]
    found = [read.cells for read in read_all(changed, marks_of(dialect))]

    cells = split(changed, len(rows), width, dialect)

    right = len(found) == len(rows) and all(cells is not None and len(cells) == width for cells in found)
    if not right or not changed.endswith(b"\n"):
        assert cells is None


def test_a_block_too_large_for_the_views_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_MAX_SIZE", 4)

    assert split(b"ab\n", 1, 1) == [["ab"]]
    with pytest.raises(ValueError, match="a block of 4 bytes: there may be 3"):
        split(b"abc\n", 1, 1)


def is_split(cell: bytes) -> bool:
    return split(cell + b"\n", 1, 1, Dialect(quote=None)) is not None


def is_plain_text(cell: bytes) -> bool:
    try:
        return "\0" not in cell.decode()
    except UnicodeDecodeError:
        return False


@pytest.mark.parametrize(
    ("cell", "split"),
    [
        (
            b"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf",
            True,
        ),
        (b"\x01\x7f", True),
        (b"\0", False),
        (b"\x80", False),
        (b"\xc0\x80", False),
        (b"\xc1\xbf", False),
        (b"\xe0\x9f\xbf", False),
        (b"\xf0\x8f\xbf\xbf", False),
        (b"\xed\xa0\x80", False),
        (b"\xed\xbf\xbf", False),
        (b"\xf4\x90\x80\x80", False),
        (b"\xf5\x80\x80\x80", False),
        (b"\xff", False),
        (b"\xc3", False),
        (b"\xe2\x82", False),
        (b"\xf0\x9f\x98", False),
        (b"\xc3\xa9\xa9", False),
    ],
)
def test_only_utf_8_without_nul_is_split(cell: bytes, split: bool) -> None:
    assert is_plain_text(cell) is split
    for before in range(20):
        for after in range(10):
            assert is_split(b"x" * before + cell + b"y" * after) is split


def test_text_is_utf_8_to_the_loop_where_it_is_to_python() -> None:
    seconds = b"\x00\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xff"
    tails = [b"", b"\x80", b"\xbf\x80", b"\x80A", b"\xc0"]
    for lead in set(range(256)) - set(b"\r\n,"):
        for second in seconds:
            for tail in tails:
                cell = bytes([lead, second]) + tail
                assert is_split(cell) is is_plain_text(cell), cell


@settings(max_examples=500, deadline=None)
@given(
    cell=st.lists(
        st.text(max_size=6).map(str.encode)
        | st.binary(max_size=2)
        | st.sampled_from([b"x" * 7, b"x" * 8, b"\xe2\x82"]),
        max_size=8,
    ).map(b"".join)
)
def test_any_bytes_are_utf_8_to_the_loop_where_they_are_to_python(cell: bytes) -> None:
    cell = cell.translate(None, b"\r\n,")

    assert is_split(cell) is is_plain_text(cell)


@settings(max_examples=500, deadline=None)
@given(
    text=st.lists(PIECES | st.sampled_from(["\r", "x" * 13, "x" * 64]), max_size=40).map("".join)
    | st.text(max_size=40),
    tail=st.sampled_from(["\n", ""]),
    width=st.integers(1, 4),
    name=st.sampled_from(sorted(DIALECTS)),
)
def test_whatever_is_split_its_cells_lie_within_the_text(text: str, tail: str, width: int, name: str) -> None:
    dialect = DIALECTS[name]
    data = (text + tail).encode()
    for rows in {data.count(b"\n"), 1, len(read_all(data, marks_of(dialect)))}:
        columns = native.split(data, rows, [True] * width, Grammar(dialect))
        for column in columns or []:
            assert column is not None
            check_views(column)


def check_views(texts: Texts) -> None:
    """Each view is within its buffer, and has its first bytes; polars and the loops trust in that."""
    for view, (low, high) in zip(texts.views, texts.views.tolist(), strict=True):
        length = low & 0xFFFFFFFF
        if length <= 12:
            assert not any(view.tobytes()[4 + length :])
        else:
            number, start = high & 0xFFFFFFFF, high >> 32
            assert number in (0, 1)
            assert start + length <= len(texts.buffers[number])
            assert view.tobytes()[4:8] == texts.buffers[number][start : start + 4].tobytes()


MALFORMED = st.lists(
    st.sampled_from(
        ["a", ",", '"', '""', "\n", "\r\n", ',"', '",', '"\n', '"\r\n', "x" * 7, "x" * 61, '"' + "y" * 62 + '"']
    )
    | PIECES,
    max_size=40,
).map(lambda pieces: cutting.newlines_only("".join(pieces).encode()))


@settings(max_examples=600, deadline=None)
@given(text=MALFORMED, name=st.sampled_from(sorted(DIALECTS)))
def test_a_text_is_proved_where_no_line_of_it_need_be_cut_out(text: bytes, name: str) -> None:
    grammar = Grammar(DIALECTS[name])
    whole, part = (native.walk(text, grammar, at_end=at_end, longest=1 << 20) for at_end in (True, False))

    proof = native.prove(text, grammar)

    assert (proof is None or proof.open) is bool(len(whole.cuts))
    if proof is not None:
        ends = {read.offset + len(read.raw) for read in read_all(text, marks_of(DIALECTS[name]))}
        assert not len(part.cuts)
        assert part.end == (int(proof.breaks[-1]) + 1 if len(proof.breaks) else 0)
        assert part.breaks.tolist() == proof.breaks.tolist()
        assert part.lines.tolist() == [line for line in proof.lines.tolist() if line < part.end]
        assert proof.lines.tolist() == [at for at, byte in enumerate(text) if byte == ord("\n")]
        if not proof.open:
            assert whole.breaks.tolist() == proof.breaks.tolist()
            assert {end + 1 for end in proof.breaks.tolist()} | {len(text)} == ends | {len(text)}


@settings(max_examples=200, deadline=None)
@given(table=tables())
def test_what_is_well_formed_is_proved(table: tuple[Dialect, list[list[str]], bytes]) -> None:
    dialect, _, text = table

    grammar, text = Grammar(dialect), cutting.newlines_only(text)

    proof = native.prove(text, grammar)
    walked = native.walk(text, grammar, at_end=True, longest=1 << 20)

    assert proof is not None
    assert not proof.open
    assert (proof.breaks + 1).tolist() == [read.offset + len(read.raw) for read in read_all(text, marks_of(dialect))]
    assert (proof.breaks.tolist(), proof.lines.tolist()) == (walked.breaks.tolist(), walked.lines.tolist())
    assert (len(walked.cuts), walked.end) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        (b'"a"\n', True), (b'"a"', True), (b'"a""b"\n', True), (b'"a",', True), (b'"a"\r\n', True), (b'""', True),
        (b',""\n', True), (b'\n"a"', True), (b'"\n,\n"', True), (b'"a', True), (b'"""', True),
        (b'a"\n', False), (b'"a"b\n', False), (b'"a" ,\n', False), (b' "a"\n', False), (b'a""\n', False), (b'""a\n', False),
    ],
)  # fmt: skip
def test_a_quote_is_judged_by_its_neighbours_wherever_chunks_end(text: bytes, sound: bool) -> None:
    for size in range(2 * CHUNK + 10):
        for before in (b"x" * size + b",", b"x" * size + b"\n", b'"' + b"x" * size + b'"\n'):
            assert (native.prove(before + text, Grammar(Dialect())) is not None) is sound
            assert (native.prove(before + text + b"\n" + b"y" * CHUNK, Grammar(Dialect())) is not None) is sound


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(
        st.lists(PIECES | st.sampled_from(["\0", "x" * 70, "\udcff"]), max_size=8).map("".join), min_size=1, max_size=8
    ),
    name=st.sampled_from(sorted(DIALECTS)),
)
def test_records_are_inspected_one_by_one(rows: list[str], name: str) -> None:
    dialect = DIALECTS[name]
    texts = [row.encode(errors="surrogateescape") + b"\n" for row in rows]
    ends = np.cumsum([len(text) for text in texts])

    counts, flags = native.inspect(b"".join(texts), ends, Grammar(dialect))

    for text, count, flag in zip(texts, counts.tolist(), flags.tolist(), strict=True):
        assert bool(flag & native.HAS_NUL) is (b"\0" in text)
        assert bool(flag & native.NOT_UTF8) is (text.decode(errors="replace").encode() != text)
        reads = read_all(text, marks_of(dialect))
        if len(reads) == 1 and reads[0].cells is not None:
            assert count == len(reads[0].cells)
            assert bool(flag & native.ENDS_EMPTY) is (reads[0].cells[-1] == b"")


@pytest.mark.parametrize("text", [b"", b"\n", b"a\n" * 1000, bytes(range(256)) * 3])
def test_bytes_are_counted(text: bytes) -> None:
    for byte in (0, 10, 255):
        assert native.count(text, byte) == text.count(byte)


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.binary(max_size=30), max_size=8), gap=st.binary(max_size=3))
def test_pieces_and_texts_are_copied_as_they_are(pieces: list[bytes], gap: bytes) -> None:
    text = gap + b"".join(piece + gap for piece in pieces)
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    ends = np.cumsum(lengths + len(gap), dtype=np.int64)
    starts = ends - lengths

    found = native.gather(text, starts, ends)
    again = native.copy_texts(found.take(np.arange(len(pieces))[::-1]))

    assert found.series("", kind=BINARY).to_list() == pieces
    assert again.series("", kind=BINARY).to_list() == pieces[::-1]
    assert len(again.buffers[0]) == sum(len(piece) for piece in pieces if len(piece) > 12)


@settings(max_examples=200, deadline=None)
@given(text=st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n"])).map(b"".join), number=st.integers(1, 6))
def test_lines_are_counted_to_a_place(text: bytes, number: int) -> None:
    # Of a CR at the end nobody can tell yet whether LF follows.
    ends = [match.end() for match in re.finditer(rb"\r\n|\n|\r(?!\Z)", text)]

    assert native.behind_lines(text, number) == (ends[number - 1] if len(ends) >= number else 0)
