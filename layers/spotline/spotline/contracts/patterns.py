"""The regular expressions of a contract: those of Rust's `regex` crate, whose time grows with the text alone.

An engine that goes back and tries again, as Python's does, takes for ever for some patterns (`(a+)+$`) on some texts. What only such an
engine can do is refused in the contract. https://docs.rs/regex/latest/regex/#syntax is the syntax. polars brings the engine; functions,
which never read a cell, do without it, and the job tells of what only the engine can know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spotline.contracts.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Sequence

_POSSESSIVE = r"(?:[*+?]|\{[0-9]+,?[0-9]*\})\+"
_TOKEN = re.compile(rf"\\k[<{{]|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:P=|[=!>(]|<[=!])|{_POSSESSIVE}|.", re.DOTALL)
_WAY_OUT = "write it without, or check the texts before the file is sent"


def check_pattern(where: str, pattern: str) -> None:
    """Refuse what is no pattern, or one that needs an engine that goes back."""
    for token in _TOKEN.findall(pattern):
        name = _name_backtracking(token)
        if name is not None:
            raise ContractError(where, f"{pattern!r} has {name}, which cannot be matched in bounded time; {_WAY_OUT}")
    try:
        match_texts(pattern, [""])
    except ValueError as cause:
        raise ContractError(where, f"{pattern!r} is no pattern of Rust's regex syntax: {cause}") from cause
    except ImportError:
        return


def match_texts(pattern: str, texts: Sequence[str]) -> list[bool]:
    """Which texts a pattern matches as a whole.

    Raises
    ------
    ValueError
        When it is no pattern.
    ImportError
        When there is no polars.
    """
    import polars as pl  # noqa: PLC0415  jobs have it, functions have not

    column = pl.Series(texts, dtype=pl.String)
    try:
        column.head(0).str.contains(pattern)  # by itself first: together with an anchor, `a)(b` might be one
        found: list[bool] = column.str.contains(anchored(pattern)).to_list()
    except pl.exceptions.ComputeError as cause:
        raise ValueError(_reason(str(cause))) from cause
    return found


def anchored(pattern: str) -> str:
    """The pattern that matches whole texts only."""
    return f"^(?:{pattern})$"


def _name_backtracking(token: str) -> str | None:
    if token in ("(?=", "(?!", "(?<=", "(?<!"):
        return f"the look-around {token!r}"
    if token in ("(?P=", "\\k<", "\\k{") or re.fullmatch(r"\\[1-9]", token):
        return f"the back-reference {token!r}"
    if token in ("(?>", "(?(") or re.fullmatch(_POSSESSIVE, token):
        return f"the construct {token!r}"
    return None


def _reason(message: str) -> str:
    """What the engine says is wrong, without the pattern that it shows and what polars says of its own expression."""
    lines = [line.strip() for line in message.splitlines()]
    found = next((line for line in lines if line.startswith("error: ")), lines[0])
    return found.removeprefix("error: ").removeprefix("regex error: ")
