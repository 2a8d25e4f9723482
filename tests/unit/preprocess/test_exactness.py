"""Every record is accounted for: each case that CSV engines get wrong without a word, against the strict reader and the law."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.preprocess.rehearsal import contract_of, expect, run

if TYPE_CHECKING:
    from spotline.contracts import Contract

FIELDS = (
    {"name": "id", "constraints": {"required": True}},
    {"name": "at", "type": "datetime"},
    {"name": "qty", "type": "integer", "constraints": {"minimum": 0, "maximum": 1000}},
    {"name": "price", "type": "number", "constraints": {"minimum": -5}},
    {"name": "status", "constraints": {"enum": ["active", "idle"]}, "spotline": {"case": "lower"}},
    {"name": "ok", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "note", "constraints": {"maxLength": 12, "pattern": "[a-z0-9 ]*"}},
)
HEADER = b"id,at,qty,price,status,ok,day,note\n"
GOOD = b"U1,2026-01-02T03:04:05Z,5,7.5,active,true,2020-02-29,note"
PLAIN = contract_of(*FIELDS)
NARROW = contract_of(*FIELDS[:2], *FIELDS[3:-1])  # the file has a column more in the middle, and one at the end


def note(cell: bytes) -> bytes:
    return GOOD.replace(b"note", cell)


CASES: dict[str, bytes] = {
    "nothing": b"",
    "short row": b"a,b,c\n",
    "long row": GOOD + b",x\n",
    "short and long, so that totals agree": GOOD[:-5] + b"\n" + GOOD + b",x\n",
    "an empty cell too many": GOOD + b",\n" + GOOD + b"\n",
    "an empty cell too many, no line end": GOOD + b",",
    "a short row, and an empty cell too many at the end": GOOD[:-5] + b"\n" + GOOD + b",",
    "bad UTF-8": note(b"\xff\xfe") + b"\n",
    "bad UTF-8 in a number": GOOD.replace(b"5,7", b"\xff,7") + b"\n",
    "surrogate in UTF-8": note(b"\xed\xa0\x80") + b"\n",
    "NUL": note(b"a\0b") + b"\n",
    "quoted newline": note(b'"a\nb\n\nc"') + b"\n",
    "quoted newline, CRLF": note(b'"a\r\nb"') + b"\r\n",
    "quoted CR": note(b'"a\rb"') + b"\r",
    "CR only": GOOD + b"\r" + GOOD + b"\r",
    "bare CR in a cell": note(b"a\rb") + b"\n",
    "CR CR LF": GOOD + b"\r\r\n",
    "mixed line ends": GOOD + b"\r\n" + GOOD + b"\n" + GOOD + b"\r" + GOOD + b"\n",
    "two stray quotes": note(b'no"te') + b"\n" + GOOD + b"\n" + note(b'x"y') + b"\n",
    "unclosed quote": note(b'"note') + b"\n",
    "unclosed quote, then quoted cells": note(b'"note') + b"\n" + GOOD + b"\n" + note(b'"a b"') + b"\n",
    "unclosed quote at the end": note(b'"x'),
    "text after a closing quote": note(b'"no"te') + b"\n",
    "text after a closing quote, later line": note(b'"a\nb"x') + b"\n",
    "CR and text after a closing quote": GOOD.replace(b"true", b'"true"\rx') + b"\n",
    "lone quote": b'"\n',
    "blank lines": b"\n\r\n\n",
    "white line": b"   \n",
    "no line end at the end": GOOD,
    "no line end after a short row": b"a,b",
    "quoted at the end": GOOD.replace(b"note", b'"note"'),
    "doubled quotes": note(b'"a ""b"" c"') + b"\n" + note(b'""') + b"\n" + note(b'""""') + b"\n",
    "quoted cells of every type": b",".join(b'"' + cell + b'"' for cell in GOOD.split(b",")) + b"\n",
    "padded cells": b" , ".join(GOOD.split(b",")) + b"\t\n" + note(b"  hi \xc2\xa0") + b"\n" + note(b"\x1cx") + b"\n",
    "missing values": b" NA ," + b",".join([b""] * 7) + b"\n" + b"U1," + b" NA ," * 6 + b"\n",
    "other case": GOOD.replace(b"active", b" AcTive ") + b"\n",
    "numbers": b"".join(
        GOOD.replace(b"7.5", cell) + b"\n" + GOOD.replace(b",5,", b"," + cell + b",") + b"\n"
        for cell in b"inf nan 1e400 1e2 +5 1_0 -0 99999999999999999999 .5 5. 0x1 007 - + 1e-400 1d5 --1 1.5.1 -6 1001".split()
    ),
    "moments": b"".join(
        GOOD.replace(b"2026-01-02T03:04:05Z", cell) + b"\n"
        for cell in (
            b"2026-01-02T03:04:05",
            b"2026-01-02T03:04:05.25Z",
            b"2026-01-02T03:04:05+02:00",
            b"2026-01-02T24:04:05Z",
            b"2026-01-02T03:04:60Z",
            b"2026-02-30T03:04:05Z",
            b" 026-01-02T03:04:05Z",
            b"+026-01-02T03:04:05Z",
            b"0000-01-02T03:04:05Z",
            b"0001-01-01T00:00:00+02:00",
            b"9999-12-31T23:59:59Z",
            b"2026-01-02 03:04:05Z",
        )
    ),
    "dates": b"".join(
        GOOD.replace(b"2020-02-29", cell) + b"\n"
        for cell in (
            b"2020-2-29",
            b"2021-02-29",
            b"20200229",
            b"0000-01-01",
            b"9999-12-31",
            b"2020-02-29x",
            b"+020-02-29",
        )
    ),
    "every row bad": b"a\nb\n\n",
    "accents": note("né".encode()) + b"\n" + GOOD.replace(b"U1", "Ünïcødé".encode()) + b"\n",
}
AROUND = (b"", (GOOD + b"\n") * 5)


@pytest.mark.parametrize("block_bytes", [1, 64, 1 << 20])
@pytest.mark.parametrize("name", CASES)
def test_each_case_is_read_as_the_strict_reader_reads_it(tmp_path: Path, name: str, block_bytes: int) -> None:
    for index, around in enumerate(AROUND):
        data = HEADER + around + CASES[name] + (around if CASES[name].endswith((b"\n", b"\r")) else b"")
        (tmp_path / str(index)).mkdir()

        found = run(tmp_path / str(index), data, PLAIN, block_bytes=block_bytes)

        check(found, data, PLAIN)


@pytest.mark.parametrize("name", CASES)
def test_columns_that_the_contract_does_not_know_are_held_to_the_grammar_too(tmp_path: Path, name: str) -> None:
    data = HEADER + AROUND[1] + CASES[name]

    found = run(tmp_path, data, NARROW)

    check(found, data, NARROW)


def check(found, data: bytes, contract: Contract, header: int = len(HEADER), offset: int = 0) -> None:  # type: ignore[no-untyped-def]
    wanted = expect(data, contract, header, offset)
    assert found.rejected == wanted.rejected
    assert found.clean == wanted.clean
    assert found.manifest.rows_read == len(wanted.clean) + len(wanted.rejected)
    assert found.manifest.rows_clean == len(found.clean)
    assert found.manifest.rows_rejected == len(found.rejected)
    assert found.quality["comments"] == wanted.comments


def test_a_stray_quote_costs_its_own_line_and_nothing_else(tmp_path: Path) -> None:
    data = HEADER + (GOOD + b"\n") * 3 + note(b'"note') + b"\n" + (GOOD + b"\n") * 3

    found = run(tmp_path, data, PLAIN)

    assert len(found.clean) == 6
    (row,) = found.rejected
    assert (row.record, row.line, row.raw) == (4, 5, note(b'"note') + b"\n")
    assert data[row.offset :].startswith(row.raw)
    assert row.reasons == [("unclosedQuote", None, None)]


def test_a_cell_of_20_megabytes_is_a_cell(tmp_path: Path) -> None:
    text = b"x,\n" * 7_000_000
    data = b'a,b\n1,2\n3,"' + text + b'"\n5,6\n'

    found = run(
        tmp_path,
        data,
        contract_of({"name": "a", "type": "integer"}, {"name": "b"}, spotline={"trim": False}),
        block_bytes=1 << 20,
    )

    assert [len(row[1]) for row in found.clean] == [1, len(text), 1]


def test_a_record_breaks_several_rules_and_each_is_named(tmp_path: Path) -> None:
    data = HEADER + b",nonsense,2000,x,lost,perhaps,never,TOO LONG A NOTE\n"

    found = run(tmp_path, data, PLAIN)

    assert [(code, field) for code, field, _ in found.rejected[0].reasons] == [
        ("required", "id"),
        ("type", "at"),
        ("maximum", "qty"),
        ("type", "price"),
        ("enum", "status"),
        ("type", "ok"),
        ("type", "day"),
        ("maxLength", "note"),
        ("pattern", "note"),
    ]


CONTRACTS = {
    "plain": PLAIN,
    "untrimmed": contract_of(*FIELDS, spotline={"trim": False}),
    "escapes": contract_of(*FIELDS, dialect={"escapeChar": "\\"}),
    "a database's export": contract_of(*FIELDS, dialect={"escapeChar": "\\"}, missingValues=["\\N", "N"]),
    "comments": contract_of(*FIELDS, dialect={"commentChar": "#"}),
    "escapes for quotes, and comments": contract_of(
        *FIELDS, dialect={"escapeChar": "\\", "doubleQuote": False, "commentChar": "#"}
    ),
    "no quotes": contract_of(*FIELDS, dialect={"quoteChar": ""}),
    "no doubled quotes": contract_of(*FIELDS, dialect={"doubleQuote": False}),
    "numbers that are missing": contract_of(*FIELDS, missingValues=["", "5", "7.5"]),
    "nothing is missing": contract_of(*FIELDS, missingValues=[]),
    "columns besides": NARROW,
    "spaces before cells": contract_of(*FIELDS, dialect={"skipInitialSpace": True}, spotline={"trim": False}),
    "lenient quotes": contract_of(*FIELDS, dialect={"spotline": {"lenientQuote": True}}),
    "blank rows are skipped": contract_of(*FIELDS, dialect={"spotline": {"blankRows": "skip"}}),
    "each row ends in a delimiter": contract_of(*FIELDS, dialect={"spotline": {"trailingDelimiter": True}}),
    "all of it": contract_of(
        *FIELDS,
        dialect={
            "skipInitialSpace": True,
            "escapeChar": "\\",
            "commentChar": "#",
            "spotline": {"lenientQuote": True, "blankRows": "skip", "trailingDelimiter": True},
        },
    ),
    "apostrophes": contract_of(*FIELDS, dialect={"quoteChar": "'"}),
}
PIECES = [
    GOOD + b"\n",
    *(piece if piece.endswith((b"\n", b"\r")) else piece + b"\n" for piece in CASES.values()),
    b'#c,om"ment\n',
    b"# plain\r\n",
    note(b"a\\,b") + b"\n",
    note(b'"a\\"b"') + b"\n",
    note(b"a\\\nb") + b"\n",
    note(b"\\N") + b"\n" + note(b"N") + b"\n" + note(b"\\\\N") + b"\n" + note(b'" \\N"') + b"\n",
    b"\\U1," + b"\\N," * 6 + b" \\N\n",
    note(b"'a,b'") + b"\n",
    note(b' "a, b"') + b"\n" + note(b'  a"b') + b"\n" + note(b' "a" ') + b"\n",
    note(b'"a" "b"') + b"\n",
    GOOD + b",\n" + note(b'"a, b"') + b",\r\n\n" + note(b'a"b') + b",\n" + GOOD + b",x\n" + GOOD + b",,\n",
    b"\n\r\n\n",
]
SPLINTERS = [b'"', b"\n", b",", b"\r", b"\0", b"\xff", b'""', b'"\n', b',"', b" ", b"\\", b"\n#", b"'", b"\xe2\x80\x83"]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Lines of every kind, some of them with a byte put in or replaced anywhere."""
    body = bytearray(b"".join(draw(st.lists(st.sampled_from(PIECES), max_size=6))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 1))] = draw(st.sampled_from(SPLINTERS))
    return bytes(body)


@settings(max_examples=120, deadline=None)
@given(
    body=files(),
    name=st.sampled_from(sorted(CONTRACTS)),
    block_bytes=st.sampled_from([1, 7, 33, 200, 1000, 1 << 20]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_any_file_is_read_as_the_strict_reader_reads_it(body: bytes, name: str, block_bytes: int, mark: bytes) -> None:
    contract = CONTRACTS[name]
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), mark + HEADER + body, contract, block_bytes=block_bytes)

    check(found, mark + HEADER + body, contract, len(mark + HEADER))
