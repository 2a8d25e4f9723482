"""Find the encoding of a file that does not name its own: UTF-8, UTF-16 without a byte-order mark, or one byte for each character.

The whole file counts, not its beginning: a name with an accent may stand on the last line only. Which of the encodings with one byte
for each character it is cannot be seen from the bytes, so windows-1252, the most usual one, is a proposal for a person to check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.decoding import Text
from preprocess.header import HEAD_BYTES

if TYPE_CHECKING:
    from preprocess.sources import Source

_BLOCK_BYTES = 1 << 20
_SINGLE_BYTE = "windows-1252"
_NO_ASCII = re.compile(rb"[\x80-\xff]+")
_NO_ASCII_AT_END = re.compile(rb"[\x80-\xff]{1,3}\Z")
# RFC 3629, section 4, less its rules for a few overlong forms and surrogates: whether text is meant as UTF-8 does not depend on them.
_UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_ALMOST_ALL = 0.99


@dataclass(frozen=True)
class FoundEncoding:
    """An encoding by Python's name, and a remark where a person must check it."""

    name: str
    remark: str | None = None


def find_encoding(source: Source) -> FoundEncoding:
    """Find the encoding of a file; a byte-order mark is believed.

    Raises
    ------
    DataRefused
        When the file is compressed twice, or begins as no CSV file does.
    """
    text = Text(source)
    try:
        head = text.read(HEAD_BYTES)
        if text.encoding != "utf-8" or text.start:
            return FoundEncoding(text.encoding)
        wide = _find_utf_16(head)
        if wide is not None:
            return FoundEncoding(
                wide, f"the file is {wide.upper()} without a byte-order mark (dialect.spotline.encoding)"
            )
        return _count_characters(text, head)
    finally:
        text.close()


def _find_utf_16(head: bytes) -> str | None:
    """UTF-16 puts a NUL byte beside each character of ASCII, line ends included: the second byte, or the first in big-endian order."""
    zeros, line_ends = head.count(0), head.count(b"\n") + head.count(b"\r")
    if zeros * 10 < len(head):
        return None
    for encoding, offset in (("utf-16-le", 1), ("utf-16-be", 0)):
        text = head.decode(encoding, "replace")
        found = text.count("\n") + text.count("\r")
        if head[offset::2].count(0) >= zeros * _ALMOST_ALL and found and found >= line_ends * _ALMOST_ALL:
            return encoding
    return None


def _count_characters(text: Text, head: bytes) -> FoundEncoding:
    """UTF-8 where most of what is no ASCII forms its sequences; otherwise one byte for each character."""
    sequences, strays, line, first = 0, 0, 1, (0, b"")
    block = head
    while block:
        following = text.read(_BLOCK_BYTES)
        cut = _NO_ASCII_AT_END.search(block) if following else None
        if cut is not None:  # a sequence may go on in the next block
            block, following = block[: cut.start()], cut.group() + following
        if not block.isascii():
            for run in _NO_ASCII.finditer(block):
                stray = len(_UTF_8.sub(b"", run.group()))
                sequences += len(_UTF_8.findall(run.group()))
                strays += stray
                if stray and not first[0]:
                    first = (line + block.count(b"\n", 0, run.start()), _read_around(block, run.start()))
        line += block.count(b"\n")
        block = following
    if strays <= sequences:  # bytes that are no UTF-8 are rejected row by row, and counted
        return FoundEncoding("utf-8")
    shown = first[1].decode(_SINGLE_BYTE, "replace")
    return FoundEncoding(
        _SINGLE_BYTE,
        f"the file is no UTF-8 and is read as {_SINGLE_BYTE} (dialect.spotline.encoding): line {first[0]} has {shown!r};"
        " if these are not the letters that were written, name the encoding that the file was exported with",
    )


def _read_around(block: bytes, at: int) -> bytes:
    """The word that a byte stands in, for a person to recognise."""
    begin = max(block.rfind(mark, max(0, at - 20), at) for mark in (b",", b";", b"\t", b"|", b"\n", b'"', b" ")) + 1
    return re.split(rb"[,;\t|\r\n\" ]", block[max(begin, at - 20) : at + 20], maxsplit=1)[0]
