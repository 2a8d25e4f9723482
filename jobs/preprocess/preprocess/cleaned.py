"""`cleaned.csv`: the clean rows as CSV again, written so that the contract reads the same values from it."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING

import polars as pl

from preprocess.moments import to_local
from spotline.contracts import FieldType
from spotline.contracts.cells import is_utc

if TYPE_CHECKING:
    from spotline.contracts import Contract, Field

_DEFAULT_FORMATS = {
    FieldType.DATE: "%Y-%m-%d",
    FieldType.TIME: "%H:%M:%S",
    FieldType.DATETIME: "%Y-%m-%dT%H:%M:%S%.fZ",
    FieldType.YEARMONTH: "%Y-%m",
}


def header(contract: Contract) -> bytes:
    """What stands before the rows, as the contract has it: a line for each row that it skips, or takes for a part of the header.

    In another encoding than UTF-8, the text begins with UTF-8's mark.
    """
    dialect = contract.dialect
    names = _csv(pl.DataFrame(schema=dict.fromkeys(contract.names, pl.String)), contract, header=True)
    of_header = (len(dialect.header_rows) or 1) if dialect.header else 0
    numbers = range(1, len(dialect.comment_rows) + of_header + 1)
    lines = [b"\n" if number in dialect.comment_rows else names for number in numbers]
    return (b"" if dialect.encoding == "utf-8" else codecs.BOM_UTF8) + b"".join(lines)


def encode(rows: pl.DataFrame, contract: Contract) -> bytes:
    """Clean rows as lines of CSV."""
    return _csv(
        rows.select(_cell(field, contract).alias(field.name) for field in contract.fields), contract, header=False
    )


def _csv(rows: pl.DataFrame, contract: Contract, *, header: bool) -> bytes:
    dialect = contract.dialect
    buffer = io.BytesIO()
    rows.write_csv(
        buffer,
        include_header=header,
        separator=dialect.delimiter,
        quote_char=dialect.quote or '"',
        # Spaces before a text that is not quoted would be skipped.
        quote_style="always" if dialect.skip_initial_space and not header else "necessary",
        line_terminator=f"{dialect.delimiter}\n" if dialect.trailing_delimiter else "\n",
    )
    return buffer.getvalue()


def _cell(field: Field, contract: Contract) -> pl.Expr:
    """A value as it is written into a cell; a missing one as the field's first missing value."""
    text, escape = _text(field), contract.dialect.escape
    if escape is not None and field.type is FieldType.STRING:
        text = text.str.replace_all(escape, escape * 2, literal=True)
        # With an escape before it, a text is no missing value.
        text = pl.when(text.is_in(field.missing_values) & (text != "")).then(escape + text).otherwise(text)
    missing = "" if "" in field.missing_values or not field.missing_values else field.missing_values[0]
    return text.fill_null(missing)


def _text(field: Field) -> pl.Expr:
    """A value as the contract reads it."""
    cell = pl.col(field.name)
    text: pl.Expr
    if field.type is FieldType.BOOLEAN:
        text = pl.when(cell).then(pl.lit(field.true_values[0])).when(~cell).then(pl.lit(field.false_values[0]))
    elif field.type is FieldType.NUMBER and field.decimal_char != ".":
        text = cell.cast(pl.String).str.replace(".", field.decimal_char, literal=True)
    elif field.type is FieldType.YEAR:
        text = cell.cast(pl.String).str.zfill(4)
    elif field.type in _DEFAULT_FORMATS:
        text = _moment(field, cell)
    else:
        text = cell.cast(pl.String)
    return text


def _moment(field: Field, cell: pl.Expr) -> pl.Expr:
    if field.format == "default":
        return cell.dt.to_string(_DEFAULT_FORMATS[field.type])
    zone = field.zone
    if field.type is FieldType.DATETIME and zone is not None:
        cell = cell.map_batches(lambda moments: to_local(moments, zone), return_dtype=pl.Datetime("us"))
    elif field.type is FieldType.DATETIME and not is_utc(field):
        cell = cell.dt.replace_time_zone(None)
    # Python's %f is microseconds, which polars calls %6f.
    return cell.dt.to_string(field.format.replace("%f", "%6f"))
