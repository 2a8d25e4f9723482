"""The contract's rules on whole columns: quick, and only believed where they are certain.

A `Reader` reads one field of a block at once: values, and where they are certain. Where they are, the value is what
`spotline.contracts.cells.judge` would come to, and no rule is broken; every other cell goes to the law itself (`exact`). So a reader may
be as cheap as it likes, as long as it never claims too much. Which one is the cheapest is learned from the first rows; it never changes
an outcome.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from preprocess.moments import layout_of, read_moments
from spotline.contracts import Case, Field, FieldType, cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from preprocess.exact import Judge

_DATETIME_FORMATS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S")

# Where the regular expressions of Python and of Rust mean the same on ASCII text: no look-around, back-references, flags, set
# operations, nor classes that differ.
_PORTABLE_PATTERN = re.compile(
    r"(?:[A-Za-z0-9 _,:;@#%&=<>!'\"/~`|*+?.^$)\]{}-]|\((?:\?:)?(?!\?)|\[(?!\[)|\\[dw.\-/()\[\]{}+*?|^$\\])*"
)
_DIFFERENT = re.compile(r"&&|--|~~|\{,|\[\]|\[\^\]|\[[^\]]*\[|[*+?}]\+")

_FEW = 250  # spellings
_SELDOM = 0.01  # a share of the rows that the law can take in its stride


class Reading(NamedTuple):
    """A column of values, and where they are certain; values that are not certain mean nothing."""

    values: pl.Series
    certain: pl.Series


@dataclass(frozen=True)
class Reader:
    """How one field is read from a block: the type that the CSV parser reads at once, and what is made of that.

    The type is another for each block where it holds what the parser met in it.
    """

    field: Field
    read_as: Callable[[], pl.DataType]
    read: Callable[[pl.Series], Reading]


def dtype(field: Field) -> pl.DataType:
    """The type of a field's values in a shard."""
    if field.type is FieldType.STRING:
        return pl.Enum([str(value) for value in field.constraints.enum]) if field.constraints.enum else pl.String()
    if field.type is FieldType.DATETIME:
        return pl.Datetime("us", "UTC" if cells.is_utc(field) else None)
    return {
        FieldType.INTEGER: pl.Int64(),
        FieldType.NUMBER: pl.Float64(),
        FieldType.BOOLEAN: pl.Boolean(),
        FieldType.DATE: pl.Date(),
        FieldType.TIME: pl.Time(),
        FieldType.YEAR: pl.Int32(),
        FieldType.YEARMONTH: pl.Date(),
    }[field.type]


def choose_reader(field: Field, judge: Judge, sample: pl.Series) -> Reader:
    """Choose how to read a field.

    Parameters
    ----------
    field
        The field.
    judge
        The law, for the columns that are judged spelling by spelling.
    sample
        Raw cells from the beginning of the file.
    """
    distinct = sample.n_unique()
    few = distinct <= _FEW and distinct * 4 <= len(sample)
    numeric = field.type in (FieldType.INTEGER, FieldType.NUMBER, FieldType.YEAR)
    enumerated = field.type is FieldType.BOOLEAN or field.constraints.enum is not None
    if not numeric and (few or enumerated):
        return _spelling_reader(field, judge)
    padded = field.trim and _share(sample, sample.str.strip_chars() != sample) > _SELDOM
    if numeric:
        missing = _share(sample, sample.str.strip_chars().is_in(list(field.missing_values)))
        return _number_reader(field, padded=padded, often_missing=missing > _SELDOM)
    if field.type is FieldType.STRING:
        return _string_reader(field)
    return _moment_reader(field, sample, padded=padded)


def _share(sample: pl.Series, true: pl.Series) -> float:
    return int(true.sum()) / len(sample) if len(sample) else 0.0


def _spelling_reader(field: Field, judge: Judge) -> Reader:
    """Has the CSV parser number the spellings, and the law judge each of them once."""
    kind = dtype(field)

    def read(cells: pl.Series) -> Reading:
        kinds: pl.Categorical = cells.dtype  # type: ignore[assignment]
        spellings = [*kinds.categories.to_series().to_list(), ""]  # an empty cell has no number
        verdicts = judge.judge(spellings)
        numbers = cells.to_physical().fill_null(len(spellings) - 1)
        values = pl.Series(cells.name, [verdict.value for verdict in verdicts], dtype=kind)
        certain = pl.Series(cells.name, [not verdict.broken for verdict in verdicts])
        return Reading(values.gather(numbers), certain.gather(numbers))

    # Categories of each block's own: those of a file might grow without end.
    return Reader(field, lambda: pl.Categorical(pl.Categories.random()), read)


def _number_reader(field: Field, *, padded: bool, often_missing: bool) -> Reader:
    kind = dtype(field)
    plain = field.decimal_char == "." and field.group_char is None and field.type is not FieldType.YEAR
    # The CSV parser passes over leading white space, and knows no missing values.
    if plain and field.trim and not often_missing and not any(_reads(field, text) for text in field.missing_values):
        return Reader(field, lambda: kind, lambda values: Reading(values, _within(field, values)))

    def read(cells: pl.Series) -> Reading:
        text = cells.str.strip_chars() if padded else cells
        digits, certain = _plain_digits(field, text)
        values = digits.cast(kind, strict=False)
        kept = _within(field, values)
        return _without_missing(field, text, values, kept if certain is None else kept & certain)

    return Reader(field, pl.String, read)


def _plain_digits(field: Field, text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Numbers as polars reads them, and where that says the same (None: everywhere)."""
    if field.type is FieldType.YEAR:
        return text, text.str.contains("^[0-9]{4}$")
    if field.group_char is not None:
        group, point = re.escape(field.group_char), re.escape(field.decimal_char)
        certain = text.str.contains(rf"^[+-]?[0-9]+(?:{group}[0-9]+)*(?:{point}[0-9]*)?$")
        text = text.str.replace_all(field.group_char, "", literal=True)
    elif field.decimal_char != ".":
        certain = ~text.str.contains(".", literal=True)
    else:
        return text, None
    if field.decimal_char != ".":
        text = text.str.replace(field.decimal_char, ".", literal=True)
    return text, certain


def _reads(field: Field, text: str) -> bool:
    try:
        cells.read(field, text)
    except cells.Unreadable:
        return False
    return True


def _string_reader(field: Field) -> Reader:
    rules = field.constraints
    portable = rules.pattern is None or is_portable(rules.pattern)

    def read(cells: pl.Series) -> Reading:
        text = cells.str.strip_chars() if field.trim else cells
        values = text
        certain: pl.Series | None = None
        if field.unicode_form is not None or field.case is not None or rules.pattern is not None:
            certain = text.str.len_bytes() == text.str.len_chars()  # ASCII: there all agree
        if field.case is not None:
            values = text.str.to_lowercase() if field.case is Case.LOWER else text.str.to_uppercase()
        tests = []
        if rules.min_length is not None:
            tests.append(text.str.len_chars() >= rules.min_length)
        if rules.max_length is not None:
            tests.append(text.str.len_chars() <= rules.max_length)
        if rules.pattern is not None and portable:
            tests.append(values.str.contains(rf"^(?:{rules.pattern})$"))
        if not portable:
            tests.append(text.is_null())  # nowhere
        for test in tests:
            certain = test if certain is None else certain & test
        return _without_missing(field, text, values, certain)

    return Reader(field, pl.String, read)


def is_portable(pattern: str) -> bool:
    """Whether polars and Python agree on which ASCII texts a pattern matches as a whole."""
    if _PORTABLE_PATTERN.fullmatch(pattern) is None or _DIFFERENT.search(pattern) is not None:
        return False
    try:
        pl.Series([""]).str.contains(f"^(?:{pattern})$")
    except pl.exceptions.ComputeError:
        return False
    return True


def _moment_reader(field: Field, sample: pl.Series, *, padded: bool) -> Reader:
    pattern = _usual_format(field, sample)
    layout = layout_of(pattern)
    is_utc = cells.is_utc(field)
    zone = None if pattern.endswith("Z") else field.zone

    def read(cells: pl.Series) -> Reading:
        text = cells.str.strip_chars() if padded else cells
        if layout is None:  # only the law reads such a pattern
            values = pl.Series([None], dtype=dtype(field)).new_from_index(0, len(text))
            return _without_missing(field, text, values, pl.repeat(False, len(text), eager=True))
        values, certain = read_moments(field.type, layout, text)
        if field.type is FieldType.DATETIME and is_utc:
            values = _in_utc(values, zone)
        return _without_missing(field, text, values, _within(field, values) & certain)

    return Reader(field, pl.String, read)


def _usual_format(field: Field, sample: pl.Series) -> str:
    if field.format != "default":
        return field.format
    if field.type is FieldType.DATETIME:
        with_zone = _share(sample, sample.str.ends_with("Z"))
        return _DATETIME_FORMATS[0 if with_zone > 0.5 else 1]
    return {FieldType.DATE: "%Y-%m-%d", FieldType.TIME: "%H:%M:%S", FieldType.YEARMONTH: "%Y-%m"}[field.type]


def _in_utc(values: pl.Series, zone: str | None) -> pl.Series:
    """Local times of a zone (None: UTC) as moments, null where that is not certain."""
    if zone is None:
        return values.dt.replace_time_zone("UTC")
    # Polars tells no daylight saving time after 2099, and histories of zones before 1970 differ.
    known = values.is_between(datetime(1970, 1, 2), datetime(2037, 12, 31))  # noqa: DTZ001
    values = values.set(~known, None)
    return values.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.convert_time_zone("UTC")


def _without_missing(field: Field, text: pl.Series, values: pl.Series, certain: pl.Series | None) -> Reading:
    """Take the missing values out: certain, unless the field is required. `certain` None means everywhere."""
    if not field.missing_values:
        return Reading(values, text.is_not_null() if certain is None else certain)
    missing = text.str.len_bytes() == 0 if field.missing_values == ("",) else text.is_in(list(field.missing_values))
    if field.constraints.required:
        return Reading(values, ~missing if certain is None else ~missing & certain)
    everywhere = text.is_not_null() if certain is None else missing | certain
    if missing.any():
        values = values.zip_with(~missing, pl.Series([None], dtype=values.dtype).new_from_index(0, len(values)))
    return Reading(values, everywhere)


def _within(field: Field, values: pl.Series) -> pl.Series:
    """Where there is a value and it keeps the limits."""
    rules = field.constraints
    kept = values.is_not_null()
    tests = []
    if field.type is FieldType.NUMBER:
        tests.append(values.is_finite())
    if rules.minimum is not None:
        tests.append(values >= pl.Series([rules.minimum], dtype=values.dtype))
    if rules.maximum is not None:
        tests.append(values <= pl.Series([rules.maximum], dtype=values.dtype))
    if rules.enum is not None:
        tests.append(values.is_in(list(rules.enum)))
    for test in tests:
        kept = kept & test.fill_null(value=False)
    return kept
