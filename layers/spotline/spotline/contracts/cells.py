"""The law for one cell: raw text, normalised text, value, broken rules.

Whatever reads a file faster than cell by cell must come to the same values and the same broken rules as `judge`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from spotline.contracts.model import Case, Field, FieldType, Value
from spotline.contracts.patterns import match_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Moment = TypeVar("Moment", date, time, datetime)

# Unicode's White_Space property. `str.strip()` also takes U+001C to U+001F, which is no white space to Unicode.
WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

INT64 = range(-(2**63), 2**63)
MAX_DIGITS = 4000  # Python refuses to convert longer ones

# The names of the rules, in the order in which a cell's broken ones are named.
RULES = ("required", "type", "minLength", "maxLength", "minimum", "maximum", "pattern", "enum")

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})")
_DATETIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_HOURS = re.compile(r".*[+-][0-9]{2}", re.DOTALL)
_YEAR = re.compile(r"[0-9]{4}")
_YEARMONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


class Unreadable(ValueError):
    """The text is not of the field's type."""


@dataclass(frozen=True)
class Judgement:
    """What became of one cell: its value (None when missing or broken), and the rules that it breaks, by their names."""

    value: Value | None
    broken: tuple[str, ...] = ()


def judge(field: Field, raw: str, written: str | None = None, *, matched: bool | None = None) -> Judgement:
    """Judge one cell by every rule that needs no other row.

    `written` is the cell as it stands in the file, within its quotes, when it holds escapes; `raw` has them undone. `matched` says
    whether the normalised text matches the field's pattern, for whoever has asked that of many texts at once. The rules are named as Table Schema names them: `required`, `type` (which stands alone), `minimum`, `maximum`, `minLength`,
    `maxLength`, `enum`, `pattern`.
    """
    text = normalise(field, raw, written)
    if text is None:
        return Judgement(None, ("required",) if field.constraints.required else ())
    try:
        value = read(field, text)
    except Unreadable:
        return Judgement(None, ("type",))
    broken = breaches(field, value, matched=matched)
    return Judgement(None, broken) if broken else Judgement(value)


def normalise(field: Field, raw: str, written: str | None = None) -> str | None:
    r"""Bring a cell's text to its normal form, or None when it means "no value".

    The order is the design's: trim, missing values, then case; the Unicode form comes with the case. Of a cell with escapes, what is
    compared with the missing values is what is written: a database writes `\\N` for no value, and `N` or `\\\\N` for text.
    """
    text = raw.strip(WHITE_SPACE) if field.trim else raw
    compared = text if written is None else written.strip(WHITE_SPACE) if field.trim else written
    if compared in field.missing_values:
        return None
    if field.unicode_form is not None:
        text = unicodedata.normalize(field.unicode_form, text)  # type: ignore[arg-type]
    if field.case is Case.LOWER:
        return text.lower()
    if field.case is Case.UPPER:
        return text.upper()
    return text


def read(field: Field, text: str) -> Value:
    """Read normalised text as a value of the field's type.

    Raises
    ------
    Unreadable
        When the text is not of that type, or its value cannot be kept exactly (an integer beyond 64 bits) or at all (a number
        that is not finite).
    """
    return _READERS[field.type](field, text)


def breaches(field: Field, value: Value, *, matched: bool | None = None) -> tuple[str, ...]:
    """The names of the constraints that a value breaks, in Table Schema's order; uniqueness is not among them.

    `matched` is what the pattern says of it; None when nobody has asked yet.
    """
    rules = field.constraints
    broken = []
    if rules.min_length is not None and len(value) < rules.min_length:  # type: ignore[arg-type]
        broken.append("minLength")
    if rules.max_length is not None and len(value) > rules.max_length:  # type: ignore[arg-type]
        broken.append("maxLength")
    if rules.minimum is not None and value < rules.minimum:  # type: ignore[operator]
        broken.append("minimum")
    if rules.maximum is not None and value > rules.maximum:  # type: ignore[operator]
        broken.append("maximum")
    if rules.pattern is not None:
        if matched is None:
            (matched,) = match_texts(rules.pattern, [str(value)])
        if not matched:
            broken.append("pattern")
    if rules.enum is not None and value not in rules.enum:
        broken.append("enum")
    return tuple(broken)


def is_utc(field: Field) -> bool:
    """Whether a datetime field's values are moments in UTC, as against local times of an unknown zone.

    They are when the format tells the zone (`%z`, or a literal `Z` at its end), when the field names one, and by default: Table
    Schema's default format is UTC.
    """
    return field.format == "default" or field.zone is not None or "%z" in field.format or field.format.endswith("Z")


def _string(_field: Field, text: str) -> str:
    return text


def _integer(field: Field, text: str) -> int:
    digits = _ungrouped(text, field.group_char)
    if not _INTEGER.fullmatch(digits) or len(digits) > MAX_DIGITS:
        raise Unreadable(text)
    value = int(digits)
    if value not in INT64:
        raise Unreadable(text)
    return value


def _number(field: Field, text: str) -> float:
    whole, point, rest = text.partition(field.decimal_char)
    if field.decimal_char != "." and "." in whole.replace(field.group_char or "", "") + rest:
        raise Unreadable(text)
    plain = _ungrouped(whole, field.group_char) + ("." if point else "") + rest
    if not _NUMBER.fullmatch(plain):
        raise Unreadable(text)
    value = float(plain)
    if value in (float("inf"), float("-inf")):
        raise Unreadable(text)
    return value


def _ungrouped(text: str, group: str | None) -> str:
    """Take the group characters out; each must stand between two digits."""
    if group is None or group not in text:
        return text
    if not re.fullmatch(rf"[+-]?[0-9]+(?:{re.escape(group)}[0-9]+)*(?:[eE][+-]?[0-9]+)?", text):
        raise Unreadable(text)
    return text.replace(group, "")


def _boolean(field: Field, text: str) -> bool:
    if text in field.true_values:
        return True
    if text in field.false_values:
        return False
    raise Unreadable(text)


def _date(field: Field, text: str) -> date:
    if field.format != "default":
        return _parsed(field.format, text).date()
    match = _DATE.fullmatch(text)
    if not match:
        raise Unreadable(text)
    return _calendar(date, match.groups())


def _time(field: Field, text: str) -> time:
    if field.format != "default":
        return _parsed(field.format, text).time()
    match = _TIME.fullmatch(text)
    if not match:
        raise Unreadable(text)
    return _calendar(time, match.groups())


def _datetime(field: Field, text: str) -> datetime:
    if field.format != "default":
        moment = _parsed(field.format, text)
    else:
        match = _DATETIME.fullmatch(text)
        if not match:
            raise Unreadable(text)
        *parts, fraction, offset = match.groups()
        moment = _calendar(datetime, parts)
        moment = moment.replace(microsecond=int((fraction or "0").ljust(6, "0")), tzinfo=_offset(offset, text))
    if not is_utc(field):
        return moment
    try:
        if moment.tzinfo is None and field.zone is not None and not field.format.endswith("Z"):
            return _in_zone(moment, field.zone, text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as cause:  # before year 1 or after year 9999 in UTC
        raise Unreadable(text) from cause


def _year(_field: Field, text: str) -> int:
    if not _YEAR.fullmatch(text):
        raise Unreadable(text)
    return int(text)


def _yearmonth(_field: Field, text: str) -> date:
    match = _YEARMONTH.fullmatch(text)
    if not match:
        raise Unreadable(text)
    return _calendar(date, (*match.groups(), "1"))


def _calendar(kind: Callable[..., Moment], parts: Sequence[str]) -> Moment:
    try:
        return kind(*map(int, parts))
    except ValueError as cause:
        raise Unreadable("-".join(parts)) from cause


def _parsed(pattern: str, text: str) -> datetime:
    """`strptime`, without its liberties: any script's digits, any white space for any other, offsets with seconds.

    An offset at the end may be hours alone (`+00`), as ISO 8601 allows and PostgreSQL writes.
    """
    if not text.isascii() or [mark for mark in text if mark.isspace()] != [mark for mark in pattern if mark.isspace()]:
        raise Unreadable(text)
    marks = _marks_of(pattern)
    if marks is not None and not marks.fullmatch(text):
        raise Unreadable(text)  # strptime takes ten times as long to say no
    whole = f"{text}00" if pattern.endswith("%z") and _HOURS.fullmatch(text) else text
    try:
        moment = datetime.strptime(whole, pattern)  # noqa: DTZ007  whether there is a zone is the pattern's business
    except (ValueError, OverflowError) as cause:
        raise Unreadable(text) from cause
    offset = moment.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):
        raise Unreadable(text)
    return moment


@lru_cache(maxsize=256)
def _marks_of(pattern: str) -> re.Pattern[str] | None:
    """Texts of the marks that a moment so written can hold; None where its directives write words."""
    if not set(re.findall("%(.)", pattern)) <= set("YmdHMSfjyzuVGUWw"):
        return None
    literal = re.sub("%.", "", pattern)
    marks = f"0123456789{literal}{literal.swapcase()}{'+-:.Z' if '%z' in pattern else ''}"
    return re.compile(f"[{re.escape(marks)}]*")


def _offset(text: str | None, whole: str) -> timezone | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise Unreadable(whole)
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if text[0] == "-" else span)


def _in_zone(moment: datetime, zone: str, text: str) -> datetime:
    """Local time to UTC; a local time that a clock change skips or repeats is no certain moment."""
    local = ZoneInfo(zone)
    earlier, later = (moment.replace(tzinfo=local, fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier != later or earlier.astimezone(local).replace(tzinfo=None) != moment:
        raise Unreadable(text)
    return earlier


_READERS: dict[FieldType, Callable[[Field, str], Value]] = {
    FieldType.STRING: _string,
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _date,
    FieldType.TIME: _time,
    FieldType.DATETIME: _datetime,
    FieldType.YEAR: _year,
    FieldType.YEARMONTH: _yearmonth,
}
