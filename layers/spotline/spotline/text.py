"""Text that others chose, such as the keys of objects, made fit for a line that people or terminals read."""

from __future__ import annotations

import unicodedata

# Controls, half surrogate pairs, and the separators that end a line for some readers ("General_Category", Unicode Standard Annex 44).
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
# What changes the order in which other characters are shown ("Bidi_Control", Unicode's PropList.txt).
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What XML 1.0 cannot say besides controls and surrogates (section 2.2, Char): S3 lists keys in XML.
_NOT_IN_XML = frozenset("\ufffe\uffff")


def find_unprintable(text: str) -> str | None:
    r"""The first character that nobody can see, that changes what others see, or that S3 cannot list; None when there is none.

    >>> find_unprintable("a b.csv"), find_unprintable("a\u202evsc.b")
    (None, '\u202e')
    """
    return next((one for one in text if _is_unprintable(one)), None)


def make_printable(text: str, most: int = 200) -> str:
    r"""Escape what no reader can see, or what changes what others see, in one line of about `most` characters.

    Of a longer text the middle is left out: a key's beginning says which dataset it is of, and its end which kind of file. The result
    can be encoded in UTF-8.

    Examples
    --------
    >>> make_printable("data/20130209/a\nb\u202evsc.csv")
    'data/20130209/a\\nb\\u202evsc.csv'
    >>> make_printable("x" * 90 + ".csv", 20)
    'xxxxxxxxxx...xxxxxx.csv'
    """
    if len(text) > most:
        text = f"{text[: most // 2]}...{text[-(most // 2) :]}"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def make_lines_printable(text: str) -> str:
    r"""The same for text of any length that keeps its line ends and its spaces.

    >>> make_lines_printable("one\ntwo\x1b[31m")
    'one\ntwo\\x1b[31m'
    """
    return "".join(_escape(one) if one != "\n" and _is_unprintable(one) else one for one in text)


def _is_unprintable(one: str) -> bool:
    return unicodedata.category(one) in _UNSEEN or one in _DIRECTIONS or one in _NOT_IN_XML


def _escape(one: str) -> str:
    return one.encode("unicode_escape").decode()
