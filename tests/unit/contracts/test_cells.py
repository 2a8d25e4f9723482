"""The law for one cell: what a text means under a field, and which rules it breaks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pytest

from spotline.contracts import Contract
from spotline.contracts.cells import Judgement, judge

if TYPE_CHECKING:
    from spotline.contracts import Field


def field(kind: str, *, trim: bool = True, **more: Any) -> Field:
    import json

    document = {
        "fields": [{"name": "x", "type": kind, **more}],
        "missingValues": ["", "NA"],
        "spotline": {"trim": trim},
    }
    return Contract.from_json(json.dumps(document).encode()).fields[0]


READABLE: list[tuple[dict[str, Any], str, Any]] = [
    ({"kind": "string"}, " a b ", "a b"),
    ({"kind": "string", "trim": False}, " a b ", " a b "),
    ({"kind": "string"}, "\u2003x\u00a0", "x"),
    ({"kind": "string"}, "\x1cx", "\x1cx"),
    ({"kind": "string", "spotline": {"case": "upper"}}, "straße", "STRASSE"),
    ({"kind": "string", "spotline": {"unicode": "NFC"}}, "e\u0301", "é"),
    ({"kind": "integer"}, "+007", 7),
    ({"kind": "integer"}, "-9223372036854775808", -(2**63)),
    ({"kind": "integer", "groupChar": ","}, "1,234,567", 1234567),
    ({"kind": "number"}, ".5", 0.5),
    ({"kind": "number"}, "5.", 5.0),
    ({"kind": "number"}, "-1E+2", -100.0),
    ({"kind": "number", "decimalChar": ",", "groupChar": "."}, "1.234,5", 1234.5),
    ({"kind": "boolean"}, "TRUE", True),
    ({"kind": "boolean", "trueValues": ["yes"], "falseValues": ["no"], "spotline": {"case": "lower"}}, "NO", False),
    ({"kind": "date"}, "2024-02-29", date(2024, 2, 29)),
    ({"kind": "date", "format": "%d/%m/%Y"}, "09/02/2013", date(2013, 2, 9)),
    ({"kind": "time"}, "23:59:59", time(23, 59, 59)),
    ({"kind": "time", "format": "%I:%M %p"}, "11:30 PM", time(23, 30)),
    ({"kind": "datetime"}, "2013-02-09T10:00:00Z", datetime(2013, 2, 9, 10, tzinfo=UTC)),
    ({"kind": "datetime"}, "2013-02-09T10:00:00", datetime(2013, 2, 9, 10, tzinfo=UTC)),
    ({"kind": "datetime"}, "2013-02-09T10:00:00.25+02:00", datetime(2013, 2, 9, 8, 0, 0, 250000, tzinfo=UTC)),
    ({"kind": "datetime", "format": "%Y-%m-%d %H:%M"}, "2013-02-09 10:00", datetime(2013, 2, 9, 10)),  # noqa: DTZ001
    ({"kind": "datetime", "format": "%Y%m%dT%H%M%S%z"}, "20130209T100000-0500", datetime(2013, 2, 9, 15, tzinfo=UTC)),
    (
        {"kind": "datetime", "format": "%Y-%m-%d %H:%M", "spotline": {"zone": "America/New_York"}},
        "2013-02-09 10:00",
        datetime(2013, 2, 9, 15, tzinfo=UTC),
    ),
    ({"kind": "year"}, "2013", 2013),
    ({"kind": "yearmonth"}, "2013-02", date(2013, 2, 1)),
]


@pytest.mark.parametrize(("given", "text", "value"), READABLE)
def test_a_cell_is_read_as_its_field_says(given: dict[str, Any], text: str, value: Any) -> None:
    judgement = judge(field(**given), text)

    assert judgement == Judgement(value)
    assert type(judgement.value) is type(value)


UNREADABLE: list[tuple[dict[str, Any], str]] = [
    *(
        ({"kind": "integer"}, text)
        for text in ("1.0", "1_000", "0x1", "1e3", "9223372036854775808", "--1", "+", "\u0663", "1" * 5000)
    ),
    ({"kind": "integer", "trim": False}, " 1"),
    ({"kind": "integer"}, "1,234"),
    ({"kind": "integer", "groupChar": ","}, ",123"),
    *(({"kind": "number"}, text) for text in ("inf", "NaN", "1e400", "-1e999", "1_0", "1d5", ".", "1.2.3", "$5", "5%")),
    ({"kind": "number", "decimalChar": ","}, "1.5"),
    ({"kind": "boolean"}, "yes"),
    *(
        ({"kind": "date"}, text)
        for text in ("2023-02-29", "2023-2-9", "20230209", "0000-01-01", " 023-01-01", "2023-01-01T00:00:00")
    ),
    ({"kind": "date", "format": "%d/%m/%Y"}, "2013-02-09"),
    *(({"kind": "time"}, text) for text in ("24:00:00", "10:00", "10:00:60")),
    *(
        ({"kind": "datetime"}, text)
        for text in ("2013-02-09 10:00:00", "2013-02-09T10:00:60Z", "2013-02-09T10:00:00+24:00")
    ),
    ({"kind": "datetime"}, "0001-01-01T00:00:00+01:00"),
    ({"kind": "datetime", "format": "%Y-%m-%d %H:%M"}, "2013-02-09\t10:00"),
    ({"kind": "datetime", "format": "%Y-%m-%d %H:%M"}, "2013-02-09 10:0\u0663"),
    ({"kind": "year"}, "13"),
    ({"kind": "year"}, "02013"),
    ({"kind": "yearmonth"}, "2013-13"),
]


@pytest.mark.parametrize(("given", "text"), UNREADABLE)
def test_what_is_not_of_the_type_breaks_the_type_and_nothing_else(given: dict[str, Any], text: str) -> None:
    assert judge(field(**given), text) == Judgement(None, ("type",))


@pytest.mark.parametrize("local", ["2013-03-10 02:30", "2013-11-03 01:30"])
def test_a_local_time_that_a_clock_change_skips_or_repeats_is_no_moment(local: str) -> None:
    new_york = field("datetime", format="%Y-%m-%d %H:%M", spotline={"zone": "America/New_York"})

    assert judge(new_york, local).broken == ("type",)


BROKEN: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    ({"kind": "string", "constraints": {"required": True}}, " NA ", ("required",)),
    ({"kind": "string", "constraints": {"minLength": 3, "pattern": "[a-z]+"}}, "é", ("minLength", "pattern")),
    ({"kind": "string", "constraints": {"maxLength": 2}}, "éàü", ("maxLength",)),
    ({"kind": "string", "constraints": {"pattern": "a|ab"}}, "abc", ("pattern",)),
    ({"kind": "string", "constraints": {"enum": ["a", "b"]}}, "A", ("enum",)),
    ({"kind": "integer", "constraints": {"minimum": 3, "enum": [3, 4]}}, "2", ("minimum", "enum")),
    ({"kind": "number", "constraints": {"maximum": 0.5}}, "0.5000001", ("maximum",)),
    ({"kind": "date", "constraints": {"minimum": "2013-01-01"}}, "2012-12-31", ("minimum",)),
    (
        {"kind": "datetime", "constraints": {"maximum": "2013-01-01T00:00:00Z"}},
        "2013-01-01T00:00:00-01:00",
        ("maximum",),
    ),
]


@pytest.mark.parametrize(("given", "text", "broken"), BROKEN)
def test_every_broken_rule_is_named(given: dict[str, Any], text: str, broken: tuple[str, ...]) -> None:
    assert judge(field(**given), text) == Judgement(None, broken)


def test_normalisation_trims_then_finds_missing_values_then_changes_case() -> None:
    upper = field("string", spotline={"case": "upper"}, constraints={"enum": ["NO", "NAN"]})

    assert judge(upper, " NA ") == Judgement(None)
    assert judge(upper, " na ") == Judgement(None, ("enum",))  # "na" is no missing value, and becomes one too late
    assert judge(upper, " nan ") == Judgement("NAN")


def test_the_limits_themselves_are_kept() -> None:
    closed = field("integer", constraints={"minimum": 0, "maximum": 10})

    assert [judge(closed, text).broken for text in ("0", "10", "-1", "11")] == [(), (), ("minimum",), ("maximum",)]


@pytest.mark.parametrize(
    "pattern",
    [
        *("%Y-%m-%d %H:%M", "%d.%m.%y %H.%M.%S", "%Y%j%H", "%dT%m T%Y t%H", "[%Y] (%m) ^%d\\%H|%M", "%G-W%V-%u %H:%M"),
        *("%Y-%m-%d %H:%M:%S.%f%z", "%A %d %B %Y %I %p", "%a %d %b %Y %H", "%Y-%m-%d%%%H", "z%Y/%m/%d-%H]"),
    ],
)
def test_what_is_written_as_a_pattern_says_is_read_in_any_case_of_its_letters(pattern: str) -> None:
    given = field("datetime", format=pattern)
    for moment in (datetime(2024, 2, 29, 23, tzinfo=UTC), datetime(1999, 12, 31, 1, tzinfo=UTC)):
        text = moment.strftime(pattern)
        value = judge(given, text).value
        assert value is not None
        if "%z" not in pattern:
            assert judge(given, text.lower()).value == judge(given, text.upper()).value == value
