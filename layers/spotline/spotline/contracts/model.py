"""The contract as a typed model. Instances are made by `Contract.from_json`, which has checked them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a cell is once it has been read. A yearmonth is the first day of its month.
Value = str | int | float | bool | date | time | datetime

MAX_ROUNDS = 100_000


class FieldType(StrEnum):
    """The Table Schema types that a contract may use."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    YEAR = "year"
    YEARMONTH = "yearmonth"


class Case(StrEnum):
    """How a field's text is brought to one case."""

    LOWER = "lower"
    UPPER = "upper"


@dataclass(frozen=True)
class Constraints:
    """What a value must satisfy besides its type; limits and enumerations are values of the field's type."""

    required: bool = False
    unique: bool = False
    minimum: Value | None = None
    maximum: Value | None = None
    min_length: int | None = None
    max_length: int | None = None
    enum: tuple[Value, ...] | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class Field:
    """One column: how its text is normalised, what type it has, and what its values must satisfy.

    `format` is `default` or a strptime pattern. `zone` is the IANA name of the zone that a `datetime` without one of its own is
    told in. `missing_values` are the texts that mean "no value".
    """

    name: str
    type: FieldType = FieldType.STRING
    format: str = "default"
    constraints: Constraints = field(default_factory=Constraints)
    missing_values: tuple[str, ...] = ("",)
    trim: bool = False
    case: Case | None = None
    unicode_form: str | None = None
    true_values: tuple[str, ...] = ("true", "True", "TRUE", "1")
    false_values: tuple[str, ...] = ("false", "False", "FALSE", "0")
    decimal_char: str = "."
    group_char: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class Dialect:
    """How the file is written: the part of the Frictionless CSV Dialect that changes what a record is.

    Line ends are never configured: LF, CRLF and CR all end a record. `quote` None means that quotes are ordinary characters.
    `comment_rows` are rows before the data, counted from 1, that are no data; `comment` is what a line of comment begins with.
    `header_rows` are the rows of a header of several, whose names are joined by `header_join`; none: the header is the first row that
    is no comment. `encoding` is that of files without a byte-order mark.
    """

    delimiter: str = ","
    quote: str | None = '"'
    double_quote: bool = True
    escape: str | None = None
    header: bool = True
    comment: str | None = None
    comment_rows: frozenset[int] = frozenset()
    header_rows: tuple[int, ...] = ()
    header_join: str = " "
    skip_initial_space: bool = False
    lenient_quote: bool = False
    trailing_delimiter: bool = False
    skip_blank_rows: bool = False
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Tolerance:
    """How bad a file may be: the largest share of rejected rows (0 to 1), and the fewest clean rows."""

    max_rejected_share: float = 0.0
    min_rows: int = 1


@dataclass(frozen=True)
class Analysis:
    """What to analyse.

    `features` are concrete names, in the contract's order of fields when they were left out there. `rounds` of boosting are
    trained in segments of `segment` rounds, each ending in a checkpoint. `validation_share` of the rows with a target judge the
    model; training stops early when they have not improved for `early_stopping_rounds`. `parameters` go to the trainer as they
    are.
    """

    target: str
    features: tuple[str, ...]
    rounds: int = 100
    segment: int = 10
    validation_share: float = 0.2
    early_stopping_rounds: int | None = None
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """When a day's file is expected: at `expected_by`, a time of day in the IANA zone `zone`, `days_after` days after its day.

    `weekdays` are the days that have a file at all: 0 is Monday, 6 is Sunday.
    """

    expected_by: time
    zone: str = "UTC"
    days_after: int = 0
    weekdays: frozenset[int] = frozenset(range(7))


@dataclass(frozen=True)
class Contract:
    """What a clean row is, how many bad ones are borne, and what to analyse (None: cleaning, metrics and report only).

    `delivery` is None for a dataset whose files nobody waits for. `cleaned_csv` asks for the clean rows as CSV besides.
    `share` is the team's share of the queues that the dataset's jobs count for; None takes the dataset's own.
    """

    fields: tuple[Field, ...]
    primary_key: tuple[str, ...] = ()
    dialect: Dialect = field(default_factory=Dialect)
    tolerance: Tolerance = field(default_factory=Tolerance)
    analysis: Analysis | None = None
    trim: bool = False
    delivery: Delivery | None = None
    cleaned_csv: bool = False
    share: str | None = None

    @classmethod
    def from_json(cls, body: bytes) -> Contract:
        """Read a contract.

        Raises
        ------
        ContractError
            When it is not JSON, or anything in it is wrong, contradictory or unknown; the message names the field and the way out.
        """
        from spotline.contracts.parsing import read_contract  # noqa: PLC0415  parsing builds this model

        return read_contract(body)

    def field(self, name: str) -> Field:
        """The field of this name, or KeyError."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields' names, in the contract's order: the columns of every shard."""
        return tuple(candidate.name for candidate in self.fields)
