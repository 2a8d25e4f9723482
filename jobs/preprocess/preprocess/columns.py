"""The contract's rules on whole columns: quick, and only believed where they are certain.

A `Reader` reads one field of a block at once: values, and the cells that it has doubts about. Where it has none, the value is what
`spotline.contracts.cells.judge` would come to, and no rule is broken; the doubtful cells go to the law itself (`exact`). So a reader may
be as cheap as it likes, as long as it never claims too much. Which one is the cheapest is learned from the first rows; it never changes
an outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from preprocess.arrow import FLOAT64, INT32, INT64, lend
from preprocess.moments import column_of, layout_of, to_utc
from preprocess.native import DOUBTFUL, VALUE, CellReader
from preprocess.spellings import FEW, Coded, Spellings
from spotline.contracts import Case, Field, FieldType
from spotline.contracts.cells import is_utc
from spotline.contracts.patterns import anchored

if TYPE_CHECKING:
    from collections.abc import Callable

    from preprocess.cutting import Positions
    from preprocess.exact import Judge
    from preprocess.native import States
    from preprocess.texts import Texts

_DATETIME_FORMATS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S")


class Reading(NamedTuple):
    """A column of values, and the cells that are doubtful: these are null, and mean nothing in a `Coded` column."""

    values: pl.Series | Coded
    doubtful: Positions


class Reader(NamedTuple):
    """How one field is read from a block's raw cells; several threads may."""

    field: Field
    read: Callable[[Texts], Reading]


def dtype(field: Field) -> pl.DataType:
    """The type of a field's values in a shard."""
    if field.type is FieldType.STRING:
        return pl.Enum([str(value) for value in field.constraints.enum]) if field.constraints.enum else pl.String()
    if field.type is FieldType.DATETIME:
        return pl.Datetime("us", "UTC" if is_utc(field) else None)
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
    if field.type in (FieldType.INTEGER, FieldType.NUMBER, FieldType.YEAR):
        return Reader(field, _number_reader(field))
    distinct = sample.n_unique()
    few = distinct <= FEW and distinct * 4 <= len(sample)
    if few or field.type is FieldType.BOOLEAN or field.constraints.enum is not None:
        spellings = Spellings(judge, dtype(field), sample)
        return Reader(field, lambda cells: Reading(*spellings.read(cells)))
    if field.type is FieldType.STRING:
        return Reader(field, _plain_text_reader(field) if _is_plain(field) else _text_reader(field))
    return Reader(field, _moment_reader(field, sample))


def _number_reader(field: Field) -> Callable[[Texts], Reading]:
    reader, rules = CellReader(field), field.constraints
    allowed = None if rules.enum is None else np.array(rules.enum)
    kind = {FieldType.INTEGER: INT64, FieldType.YEAR: INT32, FieldType.NUMBER: FLOAT64}[field.type]

    def read(cells: Texts) -> Reading:
        values, states = reader.numbers(cells) if field.type is FieldType.NUMBER else reader.integers(cells)
        if allowed is not None:
            states[(states == VALUE) & ~np.isin(values, allowed)] = DOUBTFUL
        kept = values.astype(np.int32) if field.type is FieldType.YEAR else values
        return Reading(lend(field.name, kind, [kept], states == VALUE), _doubtful(states))

    return read


def _doubtful(states: States) -> Positions:
    return np.flatnonzero(states == DOUBTFUL)


def _is_plain(field: Field) -> bool:
    """Whether a text is its own value, but for the white space around it."""
    rules = field.constraints
    changed = field.case is not None or field.unicode_form is not None
    return not changed and rules.pattern is None and rules.min_length is None and rules.max_length is None


def _plain_text_reader(field: Field) -> Callable[[Texts], Reading]:
    reader = CellReader(field)

    def read(cells: Texts) -> Reading:
        texts, states = reader.texts(cells)
        return Reading(texts.series(field.name, states == VALUE), _doubtful(states))

    return read


def _text_reader(field: Field) -> Callable[[Texts], Reading]:
    """Texts that are changed or have rules of their own, by polars' expressions."""
    reader, rules = CellReader(field), field.constraints
    text = pl.col(field.name)
    values = text
    tests = [text.is_not_null()]
    if field.unicode_form is not None or field.case is not None:
        tests.append(text.str.len_bytes() == text.str.len_chars())  # ASCII: there all agree
    if field.case is not None:
        values = text.str.to_lowercase() if field.case is Case.LOWER else text.str.to_uppercase()
    if rules.min_length is not None:
        tests.append(text.str.len_chars() >= rules.min_length)
    if rules.max_length is not None:
        tests.append(text.str.len_chars() <= rules.max_length)
    if rules.pattern is not None:
        tests.append(values.str.contains(anchored(rules.pattern)))
    certain = pl.all_horizontal(test.fill_null(value=False) for test in tests)

    def read(cells: Texts) -> Reading:
        texts, states = reader.texts(cells)
        column = texts.series(field.name, states == VALUE).to_frame().select(pl.when(certain).then(values)).to_series()
        states[(states == VALUE) & column.is_null().to_numpy()] = DOUBTFUL
        return Reading(column, _doubtful(states))

    return read


def _moment_reader(field: Field, sample: pl.Series) -> Callable[[Texts], Reading]:
    pattern = _usual_format(field, sample)
    layout = layout_of(pattern)
    if layout is None:  # only the law reads such a pattern
        return lambda cells: Reading(
            pl.Series(field.name, [None], dtype(field)).new_from_index(0, len(cells)), np.arange(len(cells))
        )
    reader, rules = CellReader(field), field.constraints
    zone = None if pattern.endswith("Z") else field.zone
    tests = []
    if rules.minimum is not None:
        tests.append(pl.col(field.name) >= pl.lit(rules.minimum, dtype(field)))
    if rules.maximum is not None:
        tests.append(pl.col(field.name) <= pl.lit(rules.maximum, dtype(field)))

    def read(cells: Texts) -> Reading:
        seconds, states = reader.moments(cells, layout)
        column = column_of(field.type, field.name, seconds, states == VALUE)
        if is_utc(field) and field.type is FieldType.DATETIME:
            column = to_utc(column, zone)
        if tests:
            column = column.to_frame().select(pl.when(*tests).then(field.name)).to_series()
        if tests or zone is not None:
            states[(states == VALUE) & column.is_null().to_numpy()] = DOUBTFUL
        return Reading(column, _doubtful(states))

    return read


def _usual_format(field: Field, sample: pl.Series) -> str:
    if field.format != "default":
        return field.format
    if field.type is FieldType.DATETIME:
        with_zone = int(sample.str.ends_with("Z").sum())
        return _DATETIME_FORMATS[0 if 2 * with_zone > len(sample) else 1]
    return {FieldType.DATE: "%Y-%m-%d", FieldType.TIME: "%H:%M:%S", FieldType.YEARMONTH: "%Y-%m"}[field.type]
