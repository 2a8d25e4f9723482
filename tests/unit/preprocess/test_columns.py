"""The quick readers never claim more than the law says, whatever they are given."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.columns import Reader, choose_reader, dtype
from preprocess.exact import Judge
from preprocess.spellings import Coded
from preprocess.texts import texts_of
from spotline.contracts.cells import WHITE_SPACE, judge
from tests.unit.preprocess.rehearsal import contract_of, plain

FIELDS: dict[str, dict[str, Any]] = {
    "text": {},
    "required text": {"constraints": {"required": True}},
    "lower": {"spotline": {"case": "lower"}},
    "upper NFC": {"spotline": {"case": "upper", "unicode": "NFC"}},
    "untrimmed": {"spotline": {"trim": False}},
    "lengths": {"constraints": {"minLength": 2, "maxLength": 3}},
    "pattern": {"constraints": {"pattern": r"[A-Z]{2}\d+|x.y"}},
    "pattern of Unicode": {"constraints": {"pattern": r"(?i)[\p{L}&&[^x]]+\s?\w*"}},
    "enum": {"constraints": {"enum": ["a", "é", "xy"]}, "spotline": {"case": "lower"}},
    "long missing text": {"missingValues": ["", "no value at all", "-999"]},
    "integer": {"type": "integer"},
    "required integer": {"type": "integer", "constraints": {"required": True, "minimum": -5, "maximum": 100}},
    "untrimmed integer": {"type": "integer", "spotline": {"trim": False}},
    "grouped integer": {"type": "integer", "groupChar": ","},
    "integer enum": {"type": "integer", "constraints": {"enum": [1, 7]}},
    "integer with -999 for none": {"type": "integer", "missingValues": ["", "-999", "not measured"]},
    "number": {"type": "number"},
    "number with -999 for none": {"type": "number", "missingValues": ["-999", "1e400", "not measured"]},
    "number enum": {"type": "number", "constraints": {"enum": [0, 0.1, 2.5]}},
    "grouped number": {"type": "number", "groupChar": ","},
    "required number": {"type": "number", "constraints": {"required": True, "minimum": 0}},
    "European number": {"type": "number", "decimalChar": ",", "groupChar": "."},
    "decimal comma": {"type": "number", "decimalChar": ","},
    "French number": {"type": "number", "decimalChar": ",", "groupChar": "\u202f"},
    "old French number": {"type": "number", "decimalChar": ",", "groupChar": "\u00a0"},
    "Arabic number": {"type": "number", "decimalChar": "\u066b", "groupChar": "\u066c"},
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
    "late year": {"type": "year", "constraints": {"minimum": 1900, "enum": [1999, 2024]}},
    "yearmonth": {"type": "yearmonth"},
}
NUMERIC = [name for name, given in FIELDS.items() if given.get("type") in ("integer", "number", "year")]
SIGNS = st.sampled_from(["", "", "-", "+"])
DIGITS = st.text("0123456789", max_size=25) | st.sampled_from(
    ["0", "00", "1" * 15, "9" * 19, "0" * 30 + "1", "7" * 120]
)
MARKS = st.sampled_from(["", "", ".", ",", "\u066b"])
EXPONENTS = st.just("") | st.tuples(st.sampled_from("eE"), SIGNS, st.integers(0, 400).map(str) | DIGITS).map("".join)
GROUPS = st.sampled_from([",", ".", " ", "\u00a0", "\u202f", "\u066c"])
NUMBERS = (
    st.tuples(SIGNS, DIGITS, MARKS, DIGITS, EXPONENTS).map("".join)
    | st.floats().map(repr)
    | st.integers(-(2**64), 2**64).map(str)
    | st.tuples(GROUPS, st.lists(st.text("0123456789", max_size=4), max_size=6), MARKS, EXPONENTS).map(
        lambda parts: parts[0].join(parts[1]) + parts[2] + "5" + parts[3]
    )
)
ODD_NUMBERS = [
        # digits: as many as a double surely keeps, as a machine word does, and more than either
        "123456789012345", "9007199254740993", "1234567890123456789", "12345678901234567890", "99999999999999999999",
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1" * 400, "0." + "3" * 200,
        # digits that a double does not hold: to round twice would be once too often
    "10069315697783869e-16", "13401419353108109e-1", "9090111628771871e-13", "14792472623615157e4", "15700867650069745e11",
    # exponents up to the range, and past it
        "1e22", "1e23", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1e309", "1e400", "-1e400",
        "5e-324", "2.4703282292062327e-324", "2.2250738585072011e-308", "1e-400", "0e99999", "1e-9999", "1e00000000001",
        # parts of numbers
        "-0", "-0.0", "+0", ".5", "5.", "-.5", "+", "-", ".", "-.", "1e", "1e+", "e5", ".e5", "1.5.2", "--1", "+-1",
        # groups
        "1,234", "1,2,3", "1,,2", ",1", "1,", "1,234.5e3", "1,234e5", "1,.5", "1.2,3", "-1,234", "1e1,0",
        "1\u202f234,56", "1\u202f\u202f2", "\u202f1", "1\u202f,5", "1\u202e234", "1\u00a0234,5", "1\u00c2\u00a02",
        "1\u066c234\u066b5", "1\u066b5", "\u0661", "0x10", "1_000", "infinity", "-inf",
        "-999", "-999.0", "not measured", "no value at all", "no value at al", "no value at all.",
        "+999", "+2024", "-2024", "0000", "0001", "999", "19999", "2024", "1999", "1899", "\u06602024",
]  # fmt: skip
MOMENTS = st.from_regex(
    r"\A[ 0-9]{0,1}[0-9]{3}[-./]?[0-9]{1,2}[-./]?[0-9]{1,4}([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?(\.[0-9]{1,7})?(Z|[+-][0-9]{2}:?[0-9]{2})?)?\Z"
)
TIMES = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M"))
WORDS = st.sampled_from(
    ["", "NA", "a", "A", "é", "É", "ab", "XY", "AB12", "x\ny", "true", "TRUE", "1", "0", "7", "inf", "nan"]
)
SPACES = st.sampled_from(["", "", "", " ", "\t", "\u2003", "\x1c", "\x1f ", "\x7f", *WHITE_SPACE]) | st.text(
    WHITE_SPACE, max_size=5
)
CELLS = st.tuples(
    SPACES, NUMBERS | st.sampled_from(ODD_NUMBERS) | MOMENTS | TIMES | WORDS | st.text(max_size=14), SPACES
).map("".join)
TYPICAL = {
    "numbers": ["1", "2.5", "-3"] * 30 + ["x"],
    "moments": ["2024-05-06 07:08"] * 90,
    "padded": [" 1 ", "2024-05-06", " a "] * 30,
    "nothing": [""] * 50,
    "none": [],
}


def read(reader: Reader, cells: list[str]) -> tuple[pl.Series, list[int]]:
    values, doubtful = reader.read(texts_of(cells))
    if isinstance(values, Coded):
        return values.series(), doubtful.tolist()
    assert not values.is_not_null().to_numpy()[doubtful].any()  # or the law's "no value" would not be heard
    return values, doubtful.tolist()


def check(reader: Reader, cells: list[str]) -> None:
    field = reader.field
    values, doubtful = read(reader, cells)

    assert values.dtype == dtype(field)
    assert len(values) == len(cells)
    for index, (cell, value) in enumerate(zip(cells, values.to_list(), strict=True)):
        if index not in doubtful:
            verdict = judge(field, cell)
            assert not verdict.broken, cell
            assert plain([(value,)]) == plain([(verdict.value,)]), cell


@settings(max_examples=600, deadline=None)
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
    check(choose_reader(field, memory, pl.Series("x", TYPICAL[sample] + cells[:3], dtype=pl.String)), cells)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_of_odd_numbers_a_reader_says_the_same_as_the_law_or_nothing(name: str) -> None:
    field = contract_of({"name": "x", **FIELDS[name]}).fields[0]
    reader = choose_reader(field, Judge(field), pl.Series("x", TYPICAL["numbers"]))

    check(reader, ODD_NUMBERS + [f"\u2003{cell}\u00a0 " for cell in ODD_NUMBERS])


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(sorted(NUMERIC)), cells=st.lists(NUMBERS, min_size=1, max_size=50))
def test_of_any_number_a_reader_says_the_same_as_the_law_or_nothing(name: str, cells: list[str]) -> None:
    field = contract_of({"name": "x", **FIELDS[name]}).fields[0]

    check(choose_reader(field, Judge(field), pl.Series("x", cells)), cells)


@settings(max_examples=300, deadline=None)
@given(cells=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_every_double_is_read_back_from_its_digits(cells: list[float]) -> None:
    field = contract_of({"name": "x", **FIELDS["number"]}).fields[0]
    reader = choose_reader(field, Judge(field), pl.Series("x", dtype=pl.String))

    for written in (
        [repr(cell) for cell in cells],
        [f"{cell:.17e}" for cell in cells],
        [f"{cell:.17g}" for cell in cells],
    ):
        values, doubtful = read(reader, written)

        assert doubtful == []
        assert [repr(value) for value in values] == [repr(cell) for cell in cells]


CERTAIN: list[tuple[str, str, Any]] = [
    ("text", "plain", "plain"),
    ("text", "\u3000a padded text that is long\u2003", "a padded text that is long"),
    ("text", "padded to be long     ", "padded to be long"),
    ("text", "    short    ", "short"),
    ("text", " NA ", None),
    ("required text", " there ", "there"),
    ("untrimmed", " plain ", " plain "),
    ("long missing text", "no value at all", None),
    ("long missing text", "no value at all.", "no value at all."),
    ("long missing text", "-999", None),
    ("lower", "Plain", "plain"),
    ("lower", " Padded and long enough ", "padded and long enough"),
    ("lengths", " abc ", "abc"),
    ("pattern", "AB12", "AB12"),
    ("pattern", "NA", None),
    ("integer", "17", 17),
    ("integer", "\t-17 ", -17),
    ("integer", "+999999999999999999", 999999999999999999),
    ("integer", "", None),
    ("grouped integer", "1,234", 1234),
    ("integer enum", "7", 7),
    ("integer with -999 for none", "-999", None),
    ("integer with -999 for none", " not measured", None),
    ("number", " 2.5\u00a0", 2.5),
    ("number", "0.30000000000000004", 0.30000000000000004),
    ("number", "1234567890.1234567", 1234567890.1234567),
    ("number", "1.7976931348623157e308", 1.7976931348623157e308),
    ("number", "5e-324", 5e-324),
    ("number", "-0", -0.0),
    ("number", ".5", 0.5),
    ("number", "5.", 5.0),
    ("number", "NA", None),
    ("number with -999 for none", "-999", None),
    ("number with -999 for none", "1e400", None),
    ("number with -999 for none", "-999.0", -999.0),
    ("number enum", "2.50", 2.5),
    ("European number", "1.234,5", 1234.5),
    ("French number", "1\u202f234,56", 1234.56),
    ("French number", " 1\u202f234\u202f567,891 ", 1234567.891),
    ("old French number", "-1\u00a0234,56", -1234.56),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("date", " 2024-02-29 ", date(2024, 2, 29)),
    ("date", "", None),
    ("European date", "29.02.2024", date(2024, 2, 29)),
    ("time", "23:59:59", time(23, 59, 59)),
    ("datetime", "2024-02-29T10:11:12", datetime(2024, 2, 29, 10, 11, 12, tzinfo=UTC)),
    ("datetime with Z", "2024-02-29T10:11:12Z", datetime(2024, 2, 29, 10, 11, 12, tzinfo=UTC)),
    ("datetime with Z", "NA", None),
    ("datetime in Paris", "2024-02-29 10:11", datetime(2024, 2, 29, 9, 11, tzinfo=UTC)),
    ("year", "2024", 2024),
    ("year", "0000", 0),
    ("late year", " 1999", 1999),
    ("yearmonth", "2024-02", date(2024, 2, 1)),
]


@pytest.mark.parametrize(("name", "cell", "value"), CERTAIN)
def test_a_reader_is_certain_of_what_is_usual(name: str, cell: str, value: Any) -> None:
    field = contract_of({"name": "x", **FIELDS[name]}).fields[0]
    sample = pl.Series("x", [cell] * 8 + [str(index) for index in range(100)])
    values, doubtful = read(choose_reader(field, Judge(field), sample), [cell])

    assert doubtful == []
    assert plain([tuple(values)]) == plain([(value,)])


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("required text", ""),
        ("required integer", "NA"),
        ("required number", "-0.5"),
        ("required integer", "101"),
        ("lengths", "abcd"),
        ("integer enum", "2"),
        ("number enum", "0.2"),
        ("number", "1e400"),
        ("integer", "9223372036854775808"),
        ("untrimmed integer", " 1"),
        ("date", "1899-12-31"),
        ("datetime in Paris", "2024-03-31 02:30"),
        ("datetime in Paris", "2024-10-27 02:30"),
        ("datetime with offset", "2024-03-31T02:30:00+02:00"),
        ("year", "+999"),
        ("year", "+2024"),
        ("late year", "1899"),
        ("late year", "2000"),
    ],
)
def test_a_doubtful_cell_has_no_value(name: str, cell: str) -> None:
    field = contract_of({"name": "x", **FIELDS[name]}).fields[0]
    sample = pl.Series("x", [str(index) for index in range(100)])

    values, doubtful = read(choose_reader(field, Judge(field), sample), [cell])

    assert doubtful == [0]
    assert values.to_list() == [None]
