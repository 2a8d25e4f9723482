"""From the bytes of a file to UTF-8 text: compression and encoding, each recognised by the file's first bytes."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Literal, TypeVar

from preprocess.refusals import DataRefused

if TYPE_CHECKING:
    from preprocess.sources import Source, Stream

_COMPRESSIONS: dict[bytes, Literal["gzip", "zstd"]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_ENCODINGS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_STRANGERS = {
    b"PK\x03\x04": ("a zip archive or a spreadsheet", "unpack or export it"),
    b"BZh": ("compressed with bzip2", "compress it with gzip or zstd"),
    b"\xfd7zXZ\x00": ("compressed with xz", "compress it with gzip or zstd"),
    b"PAR1": ("a Parquet file", "send the CSV it was made from"),
    b"%PDF": ("a PDF document", "send the table as CSV"),
    b"\x89PNG": ("an image", "send the table as CSV"),
    codecs.BOM_UTF32_LE: ("UTF-32", "save it as UTF-8"),
    codecs.BOM_UTF32_BE: ("UTF-32", "save it as UTF-8"),
}
_LONGEST_MARK = 8

Meaning = TypeVar("Meaning")


class Text:
    """A file as a stream of UTF-8 text.

    Offsets count bytes of the decompressed file, its byte-order mark included, in the file's own encoding. Text in any other than UTF-8
    is transcoded so that every file goes the same way; what is no text in it (a lone surrogate, a byte without a character) becomes
    what is no UTF-8 either, and is told from it record by record.

    Parameters
    ----------
    encoding
        That of a file without a byte-order mark.

    Attributes
    ----------
    compression
        `gzip`, `zstd` or None.
    encoding
        Python's name of it.
    start
        Offset of the first character, after a byte-order mark.
    """

    def __init__(self, source: Source, encoding: str = "utf-8") -> None:
        self._name = source.name
        self._raw = _Counted(source.open())
        head = self._raw.peek(_LONGEST_MARK)
        self.compression = _marked(head, _COMPRESSIONS)
        self._plain: Stream = self._raw
        if self.compression is not None:
            self._plain = _Decompressed(self._raw, self.compression, source)
            head = self._peek_plain()
            if _marked(head, _COMPRESSIONS) is not None:
                raise DataRefused(f"{source.name}: compressed twice; unpack it once")
        stranger = _marked(head, _STRANGERS)
        if stranger is not None:
            what, way_out = stranger
            raise DataRefused(f"{source.name}: {what}, not a CSV file; {way_out}")
        mark = next((mark for mark in _ENCODINGS if head.startswith(mark)), b"")
        self.encoding = _ENCODINGS.get(mark, encoding)
        self.start = len(mark)
        self._plain.read(len(mark))
        self._decoder = None
        if self.encoding != "utf-8":
            self._decoder = codecs.getincrementaldecoder(self.encoding)(_errors(self.encoding))
        self._ready = b""

    @property
    def bytes_read(self) -> int:
        """Bytes of the file taken so far, compressed as it is."""
        return self._raw.count

    def read(self, size: int) -> bytes:
        """See `Stream.read`: UTF-8 text, which may end within a character."""
        if self._decoder is None:
            return self._plain.read(size)
        while len(self._ready) < size:
            chunk = self._plain.read(max(size, 1 << 16))
            try:
                text = self._decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as cause:
                raise DataRefused(
                    f"{self._name}: ends within a character of {self.encoding}; it was cut off, send it again"
                ) from cause
            self._ready += text.encode("utf-8", "surrogatepass")
            if not chunk:
                break
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken

    def close(self) -> None:
        """See `Stream.close`."""
        self._plain.close()

    def _peek_plain(self) -> bytes:
        """The first decompressed bytes, which a fresh beginning will read again."""
        stream = self._plain
        head = stream.read(_LONGEST_MARK)
        self._plain = _Pushed(head, stream)
        return head


def original(text: bytes, encoding: str) -> bytes:
    """UTF-8 text as it stood in the file."""
    if encoding == "utf-8":
        return text
    return text.decode("utf-8", "surrogatepass").encode(encoding, _errors(encoding))


def _errors(encoding: str) -> str:
    """How Python's codec keeps what is no text, so that it can be written again as it was."""
    return "surrogatepass" if encoding.startswith("utf-") else "surrogateescape"


def _marked(head: bytes, marks: dict[bytes, Meaning]) -> Meaning | None:
    return next((meaning for mark, meaning in marks.items() if head.startswith(mark)), None)


class _Pushed:
    """A stream with some bytes put back before it."""

    def __init__(self, head: bytes, stream: Stream) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head + self._stream.read(size - len(head)) if len(head) < size else head

    def close(self) -> None:
        self._stream.close()


class _Counted:
    """A stream that knows how far it is, and shows its beginning without taking it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = _Pushed(b"", stream)
        self.count = 0

    def peek(self, size: int) -> bytes:
        head = self._stream.read(size)
        self._stream = _Pushed(head, self._stream)
        return head

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self.count += len(chunk)
        return chunk

    def close(self) -> None:
        self._stream.close()


class _Decompressed:
    """The text in a gzip or zstd stream, of one or several members."""

    def __init__(self, stream: _Counted, compression: Literal["gzip", "zstd"], source: Source) -> None:
        self._stream = stream
        self._source = source
        self._compression = compression
        import pyarrow as pa  # noqa: PLC0415  takes a quarter of a second, for compressed files only

        self._arrow = pa.CompressedInputStream(pa.PythonFile(_Readable(stream), mode="r"), compression)
        self._count = 0

    def read(self, size: int) -> bytes:
        chunks = []
        while size:
            try:
                chunk = self._arrow.read(min(size, 1 << 22))
            except OSError as cause:
                raise DataRefused(
                    f"{self._source.name}: the {self._compression} stream is cut off or damaged near byte {self._stream.count} of"
                    f" {self._source.size} ({self._count} bytes of text came out before): {cause}; send the file again"
                ) from cause
            if not chunk:
                break
            chunks.append(chunk)
            size -= len(chunk)
            self._count += len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def close(self) -> None:
        self._stream.close()


class _Readable(io.RawIOBase):
    """A stream as pyarrow asks for it."""

    def __init__(self, stream: _Counted) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)
