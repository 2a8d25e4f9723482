"""The quick readers never claim more than the law says, whatever they are given."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.columns import Reader, choose_reader, dtype, is_portable, read_columns
from preprocess.exact import Judge
from preprocess.spellings import Coded
from spotline.contracts.cells import judge
from tests.unit.preprocess.rehearsal import contract_of, plain

FIELDS: dict[str, dict[str, Any]] = {
    "text": {},
    "required text": {"constraints": {"required": True}},
    "lower": {"spotline": {"case": "lower"}},
    "upper NFC": {"spotline": {"case": "upper", "unicode": "NFC"}},
    "untrimmed": {"spotline": {"trim": False}},
    "lengths": {"constraints": {"minLength": 2, "maxLength": 3}},
    "pattern": {"constraints": {"pattern": r"[A-Z]{2}\d+|x.y"}},
    "pattern with look-ahead": {"constraints": {"pattern": "(?=a)[a-z]+"}},
    "enum": {"constraints": {"enum": ["a", "é", "xy"]}, "spotline": {"case": "lower"}},
    "integer": {"type": "integer"},
    "required integer": {"type": "integer", "constraints": {"required": True, "minimum": -5, "maximum": 100}},
    "untrimmed integer": {"type": "integer", "spotline": {"trim": False}},
    "grouped integer": {"type": "integer", "groupChar": ","},
    "integer enum": {"type": "integer", "constraints": {"enum": [1, 7]}},
    "number": {"type": "number"},
    "required number": {"type": "number", "constraints": {"required": True, "minimum": 0}},
    "European number": {"type": "number", "decimalChar": ",", "groupChar": "."},
    "decimal comma": {"type": "number", "decimalChar": ","},
    "boolean": {"type": "boolean"},
    "date": {"type": "date", "constraints": {"minimum": "1900-01-01"}},
    "European date": {"type": "date", "format": "%d.%m.%Y"},
    "short date": {"type": "date", "format": "%d/%m/%y"},
    "time": {"type": "time"},
    "datetime": {"type": "datetime"},
    "datetime with Z": {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%SZ"},
    "local datetime": {"type": "datetime", "format": "%Y-%m-%d %H:%M"},
    "datetime in Paris": {"type": "datetime", "format": "%Y-%m-%d %H:%M", "spotline": {"zone": "Europe/Paris"}},
    "datetime with offset": {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"},
    "year": {"type": "year"},
    "yearmonth": {"type": "yearmonth"},
}
NUMBERS = st.from_regex(r"\A[+-]?([0-9]{1,20}|[0-9]{0,5}[.,][0-9]{0,5})([eE][+-]?[0-9]{1,3})?\Z") | st.floats().map(
    repr
)
MOMENTS = st.from_regex(
    r"\A[ 0-9]{0,1}[0-9]{3}[-./]?[0-9]{1,2}[-./]?[0-9]{1,4}([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?(\.[0-9]{1,7})?(Z|[+-][0-9]{2}:?[0-9]{2})?)?\Z"
)
TIMES = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M"))
WORDS = st.sampled_from(
    ["", "NA", "a", "A", "é", "É", "ab", "XY", "AB12", "x\ny", "true", "TRUE", "1", "0", "7", "inf", "nan"]
)
CELLS = st.tuples(
    st.sampled_from(["", "", "", " ", "\t", "\u2003", "\x1c"]), NUMBERS | MOMENTS | TIMES | WORDS | st.text(max_size=4)
).map("".join)
TYPICAL = {
    "numbers": ["1", "2.5", "-3"] * 30 + ["x"],
    "moments": ["2024-05-06 07:08"] * 90,
    "padded": [" 1 ", "2024-05-06", " a "] * 30,
    "nothing": [""] * 50,
    "none": [],
}


def read(reader: Reader, cells: list[str]) -> tuple[pl.Series, list[int]]:
    frame = pl.DataFrame({"x": cells}, schema={"x": pl.String})
    values, doubtful = read_columns([reader], frame)["x"]
    return values.series() if isinstance(values, Coded) else values, doubtful.tolist()


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(FIELDS)),
    cells=st.lists(CELLS, min_size=1, max_size=12),
    sample=st.sampled_from(sorted(TYPICAL)),
    known=st.booleans(),
)
def test_where_a_reader_is_certain_the_law_says_the_same(name: str, cells: list[str], sample: str, known: bool) -> None:
    field = contract_of({"name": "x", **FIELDS[name]}).fields[0]
    memory = Judge(field)
    if known:
        memory.judge(cells)
    reader = choose_reader(field, memory, pl.Series("x", TYPICAL[sample] + cells[:3], dtype=pl.String))

    values, doubtful = read(reader, cells)

    assert values.dtype == dtype(field)
    assert len(values) == len(cells)
    for index, (cell, value) in enumerate(zip(cells, values.to_list(), strict=True)):
        if index not in doubtful:
            verdict = judge(field, cell)
            assert not verdict.broken, cell
            assert plain([(value,)]) == plain([(verdict.value,)]), cell


CERTAIN: list[tuple[str, str]] = [
    ("text", "plain"),
    ("lower", "Plain"),
    ("pattern", "AB12"),
    ("integer", "17"),
    ("grouped integer", "1,234"),
    ("European number", "1.234,5"),
    ("date", "2024-02-29"),
    ("European date", "29.02.2024"),
    ("datetime with Z", "2024-02-29T10:11:12Z"),
    ("datetime in Paris", "2024-02-29 10:11"),
    ("yearmonth", "2024-02"),
]


@pytest.mark.parametrize(("name", "cell"), CERTAIN)
def test_a_reader_is_certain_of_what_is_usual(name: str, cell: str) -> None:
    field = contract_of({"name": "x", **FIELDS[name]}).fields[0]
    sample = pl.Series("x", [cell] * 8 + [str(index) for index in range(100)])
    _, doubtful = read(choose_reader(field, Judge(field), sample), [cell])

    assert doubtful == []


@pytest.mark.parametrize(
    ("pattern", "portable"),
    [
        ("[A-Z]{3}", True),
        (r"N[1-9]\d*", True),
        ("a|b(?:c|d)", True),
        (r"\s+", False),
        (r"(?=x)y", False),
        (r"(a)\1", False),
        ("[a-z&&[b]]", False),
        ("a++", False),
        (r"\bx", False),
        ("é", False),
        ("a{x}", False),
    ],
)
def test_only_patterns_that_mean_the_same_to_both_engines_are_quick(pattern: str, portable: bool) -> None:
    assert is_portable(pattern) is portable
