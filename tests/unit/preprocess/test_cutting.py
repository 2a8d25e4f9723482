"""Blocks are cut where the strict reader sees records end, wherever the buffers happen to end."""

from __future__ import annotations

import io
import re
import tracemalloc
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import cutting, grammar
from preprocess.cutting import Cutter, cut_records
from preprocess.grammar import CODES, Grammar
from preprocess.records import find_records
from preprocess.refusals import DataRefused
from preprocess.rejected import Blame
from spotline.contracts import Dialect
from tests.unit.preprocess.strict_reader import Marks, read_all

if TYPE_CHECKING:
    from preprocess.decoding import Text

ALPHABET = st.sampled_from(
    [b"a", b",", b'"', b'""', b"\n", b"\r", b"\r\n", b',"', b'",', b'"\n', b"\\", b"#", b"\n#", b" ", b' "']
)
DIALECTS = {
    "plain": (Dialect(), Marks()),
    "single quotes": (Dialect(double_quote=False), Marks(double=False)),
    "no quotes": (Dialect(quote=None), Marks(quote=None)),
    "escapes": (Dialect(escape="\\"), Marks(escape=b"\\")),
    "lenient quotes": (Dialect(lenient_quote=True), Marks(lenient=True)),
    "spaces": (Dialect(skip_initial_space=True), Marks(skip=True)),
    "spaces and lenient quotes": (
        Dialect(skip_initial_space=True, lenient_quote=True, escape="\\"),
        Marks(skip=True, lenient=True, escape=b"\\"),
    ),
    "comments": (Dialect(comment="#"), Marks(comment=b"#")),
}


def cutter(data: bytes, dialect: Dialect, block_bytes: int) -> Cutter:
    return Cutter("x.csv", cast("Text", io.BytesIO(data)), b"", 0, Grammar(dialect), block_bytes)


@settings(max_examples=400, deadline=None)
@given(
    text=st.lists(ALPHABET, max_size=40).map(b"".join),
    name=st.sampled_from(sorted(DIALECTS)),
    block_bytes=st.sampled_from([1, 2, 3, 5, 8, 13, 1000]),
)
def test_blocks_hold_the_strict_reader_s_records(text: bytes, name: str, block_bytes: int) -> None:
    dialect, marks = DIALECTS[name]

    found: list[tuple[int, bytes, str | None]] = []
    for block in cutter(text, dialect, block_bytes):
        held = find_records(block, Grammar(dialect), Blame())
        codes = {start: CODES.get(what) for start, _, what in block.marks.cuts.tolist()}
        found += [
            (block.offset + start, block.text[start:end], codes.get(start))
            for start, end in zip(held.starts.tolist(), held.ends.tolist(), strict=True)
        ]

    assert found == [(read.offset, read.raw, read.code) for read in read_all(text, marks)]


@settings(max_examples=300, deadline=None)
@given(text=st.lists(ALPHABET, max_size=40).map(b"".join), name=st.sampled_from(sorted(DIALECTS)))
def test_fields_are_split_as_the_strict_reader_splits_them(text: bytes, name: str) -> None:
    dialect, marks = DIALECTS[name]

    for read in read_all(text, marks):
        if read.cells is not None:
            assert Grammar(dialect).split(read.raw) == read.cells


@settings(max_examples=300, deadline=None)
@given(
    text=st.lists(ALPHABET, max_size=30).map(b"".join), cut=st.integers(0, 60), name=st.sampled_from(sorted(DIALECTS))
)
def test_what_a_part_of_the_text_proves_the_whole_does_not_take_back(text: bytes, cut: int, name: str) -> None:
    dialect, marks = DIALECTS[name]

    part = cut_records(text[:cut], False, Grammar(dialect))

    ends = {0} | {read.offset + len(read.raw) for read in read_all(text, marks)}
    assert part.end in ends
    bad = [(read.offset, read.offset + len(read.raw)) for read in read_all(text, marks) if read.code or read.comment]
    assert [(start, stop) for start, stop, _ in part.cuts.tolist()] == [span for span in bad if span[1] <= part.end]


def test_a_quote_that_stays_open_too_long_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "MAX_RECORD_BYTES", 100)
    monkeypatch.setattr(cutting, "MAX_RECORD_BYTES", 100)
    text = b'a,b\n"open,c\n' + b"d,e\n" * 100

    blocks = list(cutter(text, Dialect(), 16))

    assert [
        text[block.offset + start : block.offset + stop]
        for block in blocks
        for start, stop, _ in block.marks.cuts.tolist()
    ] == [b'"open,c\n']
    assert b"".join(block.text for block in blocks) == text


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "MAX_RECORD_BYTES", 1000)

    with pytest.raises(DataRefused, match="the record at byte 4 is longer than"):
        list(cutter(b"a,b\n" + b"x" * 10_000, Dialect(), 100))


@pytest.mark.parametrize("line", [b"d\n", b"\n", b"dddddddd\n"])
def test_a_record_of_many_short_lines_is_cut_all_the_same(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(grammar, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(cutting, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(cutting, "MAX_LINES", 5)
    fits, too_long = line * (900 // len(line)), line * (4000 // len(line))
    text = b'a,"' + fits + b'"\nb,"' + too_long + b'"\nc,d\n'

    blocks = list(cutter(text, Dialect(), 50))

    assert b"".join(block.text for block in blocks) == text
    assert blocks[0].text == b'a,"' + fits + b'"\n'
    assert blocks[1].text == b'b,"' + line
    assert max(len(block.text) for block in blocks[1:]) <= 50


def test_blank_lines_take_no_memory_until_a_record_follows() -> None:
    lines = 8 << 20
    text = b"a\n" + b"\n" * lines
    tracemalloc.start()
    try:
        found = sum(len(block.text) for block in cutter(text, Dialect(), 1 << 15))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == len(text)
    assert peak < lines // 2  # what one block takes; held as they are, they would take as much as the file


def test_what_follows_a_quote_that_was_never_closed_comes_in_blocks_of_the_usual_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grammar, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(cutting, "MAX_RECORD_BYTES", 1000)

    blocks = list(cutter(b'"open,c\n' + b"d,e\n" * 1000, Dialect(), 100))

    assert blocks[0].text == b'"open,c\n'
    assert max(len(block.text) for block in blocks) <= 100


@settings(max_examples=100, deadline=None)
@given(text=st.lists(ALPHABET, max_size=60).map(b"".join), most=st.integers(1, 5))
def test_a_block_holds_so_many_lines_at_most_and_all_of_them_are_there(text: bytes, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "MAX_LINES", most)
        blocks = list(cutter(text, Dialect(), 1000))

    assert b"".join(block.text for block in blocks) == text
    for block in blocks:
        records = find_records(block, Grammar(Dialect()), Blame())
        (first,) = records.lines_before(records.ends[:1])
        assert (
            len(block.marks.lines) <= most or len(block.marks.lines) < 2 * first
        )  # a record of many lines comes whole
    assert sum(len(block.marks.lines) for block in blocks) == len(re.findall(rb"\r\n|\r|\n", text))


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2500, 10_000, 123_457])
def test_blocks_are_about_equal_and_even_in_number(size: int) -> None:
    most = cutting.equal_blocks(size, 1000)

    blocks = list(cutter(b"a\n" * (size // 2), Dialect(), most))

    assert most <= 1000
    if size > 1000:
        assert len(blocks) % 2 == 0
        assert min(len(block.text) for block in blocks) > most // 2
