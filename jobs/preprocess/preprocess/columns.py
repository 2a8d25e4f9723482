"""The contract's rules on whole columns: quick, and only believed where they are certain.

A `Reader` reads one field of a block at once: values, and the cells that it has doubts about. Where it has none, the value is what
`spotline.contracts.cells.judge` would come to, and no rule is broken; the doubtful cells go to the law itself (`exact`). So a reader may
be as cheap as it likes, as long as it never claims too much. Which one is the cheapest is learned from the first rows; it never changes
an outcome.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from preprocess.moments import layout_of, read_moments, written
from preprocess.spellings import FEW, SELDOM, Coded, Spellings
from preprocess.texts import SHORT, texts_of
from spotline.contracts import Case, Field, FieldType, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from preprocess.cutting import Positions
    from preprocess.exact import Judge

_DATETIME_FORMATS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S")

# Where the regular expressions of Python and of Rust mean the same on ASCII text: no look-around, back-references, flags, set
# operations, nor classes that differ.
_PORTABLE_PATTERN = re.compile(
    r"(?:[A-Za-z0-9 _,:;@#%&=<>!'\"/~`|*+?.^$)\]{}-]|\((?:\?:)?(?!\?)|\[(?!\[)|\\[dw.\-/()\[\]{}+*?|^$\\])*"
)
_DIFFERENT = re.compile(r"&&|--|~~|\{,|\[\]|\[\^\]|\[[^\]]*\[|[*+?}]\+")
_VALID, _MISSING = "\0valid", "\0missing"  # no field is called so


class Reading(NamedTuple):
    """A column of values, and the cells that are doubtful: their values mean nothing."""

    values: pl.Series | Coded
    doubtful: Positions


@dataclass(frozen=True)
class Reader:
    """How one field is read from a block.

    Attributes
    ----------
    asks
        What polars is to make of the raw cells, together with what the readers of other fields ask.
    read
        Reads the raw cells, given the answers.
    """

    field: Field
    asks: tuple[pl.Expr, ...]
    read: Callable[[pl.Series, Sequence[pl.Series]], Reading]


def read_columns(readers: Sequence[Reader], frame: pl.DataFrame) -> dict[str, Reading]:
    """Read all fields from a block's raw cells."""
    asked = [ask.alias(f"{number}") for number, ask in enumerate(ask for reader in readers for ask in reader.asks)]
    # Lazily, so that what several expressions have in common is done once.
    answers = iter(frame.lazy().select(asked).collect().get_columns() if asked else ())
    return {
        reader.field.name: reader.read(frame[reader.field.name], [next(answers) for _ in reader.asks])
        for reader in readers
    }


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
    few = distinct <= FEW and distinct * 4 <= len(sample)
    numeric = field.type in (FieldType.INTEGER, FieldType.NUMBER, FieldType.YEAR)
    enumerated = field.type is FieldType.BOOLEAN or field.constraints.enum is not None
    if not numeric and (few or enumerated):
        return _spelling_reader(field, judge, sample)
    padded = field.trim and _share(sample, sample.str.strip_chars() != sample) > SELDOM
    if numeric:
        return _number_reader(field, sample, padded=padded)
    if field.type is FieldType.STRING:
        return _short_text_reader(field) if _is_plain(field, sample) else _text_reader(field)
    return _moment_reader(field, sample, padded=padded)


def _share(sample: pl.Series, true: pl.Series) -> float:
    return int(true.sum()) / len(sample) if len(sample) else 0.0


def _spelling_reader(field: Field, judge: Judge, sample: pl.Series) -> Reader:
    spellings = Spellings(judge, dtype(field), sample)
    return Reader(field, (), lambda raw, _: Reading(*spellings.read(raw)))


def _number_reader(field: Field, sample: pl.Series, *, padded: bool) -> Reader:
    raw = pl.col(field.name)
    text = raw.str.strip_chars() if padded else raw
    digits, same = _plain_digits(field, text)
    values = digits.cast(dtype(field), strict=False)
    certain = _within(field, values)
    if same is not None:
        certain &= same
    if _often_missing(field, sample):
        return _expression_reader(field, *_without_missing(field, text, values, certain))
    return _expression_reader(field, values, certain)


def _expression_reader(field: Field, values: pl.Expr, certain: pl.Expr) -> Reader:
    return Reader(field, (values, certain), lambda _, answers: Reading(answers[0], _places(~answers[1])))


def _places(true: pl.Series) -> Positions:
    return true.arg_true().to_numpy().astype(np.int64)


def _plain_digits(field: Field, text: pl.Expr) -> tuple[pl.Expr, pl.Expr | None]:
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


def _is_plain(field: Field, sample: pl.Series) -> bool:
    """Whether a text is its own value, if it is short and white space is not around it, and nearly all are."""
    rules = field.constraints
    changed = field.case is not None or field.unicode_form is not None
    ruled = rules.pattern is not None or rules.min_length is not None or rules.max_length is not None
    if changed or ruled or any(len(text.encode()) > SHORT for text in field.missing_values):
        return False
    return bool(np.count_nonzero(~texts_of(sample).have_plain_edges()) <= SELDOM * len(sample))


def _short_text_reader(field: Field) -> Reader:
    missing_values = texts_of(pl.Series(field.missing_values, dtype=pl.String))

    def read(raw: pl.Series, _answers: Sequence[pl.Series]) -> Reading:
        texts = texts_of(raw)
        certain = texts.have_plain_edges()
        missing = np.zeros(len(raw), bool)
        for number in range(len(field.missing_values)):
            missing |= texts.are(missing_values, number)
        if field.constraints.required:
            certain &= ~missing
        elif missing.any():
            raw = raw.zip_with(pl.Series(~missing), pl.Series([None], dtype=pl.String).new_from_index(0, len(raw)))
        return Reading(raw, np.flatnonzero(~certain))

    return Reader(field, (), read)


def _text_reader(field: Field) -> Reader:
    raw, rules = pl.col(field.name), field.constraints
    text = raw.str.strip_chars() if field.trim else raw
    values = text
    tests = []
    if field.unicode_form is not None or field.case is not None or rules.pattern is not None:
        tests.append(text.str.len_bytes() == text.str.len_chars())  # ASCII: there all agree
    if field.case is not None:
        values = text.str.to_lowercase() if field.case is Case.LOWER else text.str.to_uppercase()
    if rules.min_length is not None:
        tests.append(text.str.len_chars() >= rules.min_length)
    if rules.max_length is not None:
        tests.append(text.str.len_chars() <= rules.max_length)
    if rules.pattern is not None:
        tests.append(values.str.contains(rf"^(?:{rules.pattern})$") if is_portable(rules.pattern) else raw.is_null())
    certain = pl.all_horizontal(tests) if tests else text.is_not_null()
    return _expression_reader(field, *_without_missing(field, text, values, certain))


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
    raw = pl.col(field.name)
    text = raw.str.strip_chars() if padded else raw
    if layout is None:  # only the law reads such a pattern
        nothing = pl.when(raw.is_null()).then(pl.lit(None, dtype(field)))
        return _expression_reader(field, *_without_missing(field, text, nothing, raw.is_null()))
    zone = None if pattern.endswith("Z") else field.zone
    limited = zone is not None or field.constraints.minimum is not None or field.constraints.maximum is not None
    skips = _often_missing(field, sample)

    def read(_raw: pl.Series, answers: Sequence[pl.Series]) -> Reading:
        values, valid = read_moments(field.type, layout, answers[0])
        if field.type is FieldType.DATETIME and cells.is_utc(field):
            values = _in_utc(values, zone)
        if limited or skips:
            found = pl.DataFrame([values.alias(field.name), pl.Series(_VALID, valid), answers[-1].alias(_MISSING)])
            certain = pl.col(_VALID) & _within(field, raw)
            if skips:
                values, kept = found.select(*_take_out(field, pl.col(_MISSING), raw, certain)).get_columns()
            else:
                (kept,) = found.select(certain)
            valid = kept.to_numpy()
        return Reading(values, np.flatnonzero(~valid))

    asks = (written(layout, text), _is_missing(field, text)) if skips else (written(layout, text),)
    return Reader(field, asks, read)


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


def _often_missing(field: Field, sample: pl.Series) -> bool:
    """Whether missing values must be looked for: they come often, or look like values."""
    share = _share(sample, sample.str.strip_chars().is_in(list(field.missing_values)))
    return share > SELDOM or any(_reads(field, text) for text in field.missing_values)


def _is_missing(field: Field, text: pl.Expr) -> pl.Expr:
    return text.str.len_bytes() == 0 if field.missing_values == ("",) else text.is_in(list(field.missing_values))


def _without_missing(field: Field, text: pl.Expr, values: pl.Expr, certain: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Values with the missing ones taken out, and where they are certain then."""
    if not field.missing_values:
        return values, certain
    return _take_out(field, _is_missing(field, text), values, certain)


def _take_out(field: Field, missing: pl.Expr, values: pl.Expr, certain: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Missing values are certain, unless the field is required."""
    if field.constraints.required:
        return values, ~missing & certain
    return pl.when(~missing).then(values), missing | certain


def _within(field: Field, values: pl.Expr) -> pl.Expr:
    """Where there is a value and it keeps the limits."""
    rules = field.constraints
    tests = [values.is_not_null()]
    if field.type is FieldType.NUMBER:
        tests.append(values.is_finite())
    if rules.minimum is not None:
        tests.append(values >= pl.lit(rules.minimum, dtype(field)))
    if rules.maximum is not None:
        tests.append(values <= pl.lit(rules.maximum, dtype(field)))
    if rules.enum is not None:
        tests.append(values.is_in(list(rules.enum)))
    return pl.all_horizontal(test.fill_null(value=False) for test in tests)
