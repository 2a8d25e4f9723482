"""How values are written for people."""

from typing import Any

from spotline.text import make_printable

_LONGEST = 300


def format_count(value: int) -> str:
    """A number of things.

    >>> format_count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def format_number(value: float | None) -> str:
    """A measurement, to four significant digits; a dash when there is none.

    >>> format_number(0.123456), format_number(12345.678)
    ('0.1235', '12,350')
    """
    if value is None:
        return "\N{EN DASH}"
    rounded = float(f"{value:.4g}")
    text = f"{rounded:,.10g}" if abs(rounded) < 1e9 else f"{rounded:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def format_signed(value: float) -> str:
    """A difference: its sign always shows.

    >>> format_signed(3.5)
    '+3.5'
    """
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return f"{sign}{format_number(abs(value))}"


def format_share(value: float) -> str:
    """A share of a whole; what is there is never written as 0%.

    >>> format_share(0.25), format_share(0.246), format_share(0.00001)
    ('25%', '24.6%', 'below 0.01%')
    """
    if 0 < value < 0.0001:
        return "below 0.01%"
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") + "%"


def format_day(text: str) -> str:
    """A day of a key as people read it.

    >>> format_day("20130209")
    '2013-02-09'
    """
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def choose_time_unit(seconds: float) -> tuple[float, str]:
    """The unit that suits a stretch of time: its length in seconds, and its name.

    >>> choose_time_unit(90), choose_time_unit(9000)
    ((1.0, 'seconds'), (60.0, 'minutes'))
    """
    if seconds < 300:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 5 * 3600 else (3600.0, "hours")


def format_duration(seconds: float) -> str:
    """A stretch of time.

    >>> format_duration(4.25), format_duration(9000)
    ('4.2 s', '150 min')
    """
    length, name = choose_time_unit(seconds)
    short = {"seconds": "s", "minutes": "min", "hours": "h"}[name]
    return f"{seconds / length:.{0 if name == 'minutes' else 1}f} {short}"


def format_value(value: Any) -> str:
    """A cell's value, as it would stand in the file: a whole number without a separator, it may be a code or a time.

    >>> format_value(1130.0), format_value(None), format_value("JFK")
    ('1130', 'missing', 'JFK')
    """
    if value is None:
        return "missing"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return str(value)


def make_readable(value: Any) -> Any:
    r"""A JSON value with all its texts, names of properties included, made printable and short: data may hold any character.

    >>> make_readable({"a\nb": ["\u202e", 1]})
    {'a\\nb': ['\\u202e', 1]}
    """
    if isinstance(value, str):
        return make_printable(value, _LONGEST)
    if isinstance(value, dict):
        return {make_printable(name, _LONGEST): make_readable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [make_readable(item) for item in value]
    return value
