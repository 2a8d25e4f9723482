"""Text that others chose, such as the keys of objects, made fit for a line that people or terminals read."""

from __future__ import annotations


def make_printable(text: str, most: int = 200) -> str:
    r"""Escape what no reader can see, or what changes what others see: control characters, marks of direction, half surrogate pairs.

    The result is one line, can be encoded in UTF-8, and has about `most` characters: of a longer text its middle is left out, because
    a key's beginning says which dataset it is of and its end which kind of file.

    Examples
    --------
    >>> make_printable("data/20130209/a\nb\u202evsc.csv")
    'data/20130209/a\\nb\\u202evsc.csv'
    >>> make_printable("x" * 90 + ".csv", 20)
    'xxxxxxxxxx...xxxxxx.csv'
    """
    if len(text) > most:
        text = f"{text[: most // 2]}...{text[-(most // 2) :]}"
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in text
    )
