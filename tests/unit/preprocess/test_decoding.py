"""Compression and encodings: recognised by content, read exactly, refused with the place when damaged."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from preprocess.refusals import DataRefused
from tests.unit.preprocess.rehearsal import contract_of, run
from tests.unit.preprocess.test_exactness import CASES, GOOD, HEADER, PLAIN, check

if TYPE_CHECKING:
    from pathlib import Path

TEXT = HEADER + b"".join(piece if piece.endswith((b"\n", b"\r")) else piece + b"\n" for piece in CASES.values())


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


COMPRESSED = {
    "gzip": gzip.compress(TEXT),
    "gzip, two members": gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:]),
    "zstd": zstd(TEXT),
    "zstd, two frames": zstd(TEXT[:500]) + zstd(TEXT[500:]),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_files_are_read_as_what_is_in_them(tmp_path: Path, name: str) -> None:
    found = run(tmp_path, COMPRESSED[name], PLAIN, block_bytes=300)

    check(found, TEXT, PLAIN)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut off", "overwritten", "trailed by rubbish"])
def test_damaged_compression_is_refused_with_the_place(tmp_path: Path, name: str, damage: str) -> None:
    whole = {"gzip": gzip.compress, "zstd": zstd}[name](HEADER + (GOOD + b"\n") * 5000)
    damaged = {
        "cut off": whole[:-7],
        "overwritten": whole[:100] + b"\xff" * 20 + whole[120:],
        "trailed by rubbish": whole + b"rubbish",
    }[damage]

    with pytest.raises(DataRefused, match=rf"the {name} stream is cut off or damaged near byte \d+ of {len(damaged)}"):
        run(tmp_path, damaged, PLAIN)

    assert not (tmp_path / "output" / "manifest.json").exists()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("block_bytes", [5, 1 << 20])
def test_utf_16_is_read_and_told_in_its_own_bytes(tmp_path: Path, encoding: str, block_bytes: int) -> None:
    rows = ["1,é", '2,"a\nb"', "x,𝄞", "3,𝄞", "4"]
    text = "n,note\r\n" + "".join(f"{row}\r\n" for row in rows)
    mark = "\ufeff".encode(encoding)
    contract = contract_of({"name": "n", "type": "integer"}, {"name": "note"})
    data = mark + text.encode(encoding)

    found = run(tmp_path, data, contract, block_bytes=block_bytes)

    assert [row[1] for row in found.clean] == ["é", "a\nb", "𝄞"]
    assert [row.reasons for row in found.rejected] == [[("type", "n", "x")], [("fieldCount", None, "1")]]
    for row in found.rejected:
        assert data[row.offset :].startswith(row.raw)
    assert [row.raw.decode(encoding) for row in found.rejected] == ["x,𝄞\r\n", "4\r\n"]
    assert found.quality["bytes"] == len(data)


def test_a_lone_surrogate_in_utf_16_costs_its_row_and_keeps_its_bytes(tmp_path: Path) -> None:
    data = "\ufeffn,note\n1,".encode("utf-16-le") + b"\x00\xd8" + "\n2,b\n".encode("utf-16-le")

    found = run(tmp_path, data, contract_of({"name": "n", "type": "integer"}, {"name": "note"}))

    assert [row[1] for row in found.clean] == ["b"]
    assert found.rejected[0].reasons == [("encoding", None, None)]
    assert found.rejected[0].raw == "1,".encode("utf-16-le") + b"\x00\xd8" + "\n".encode("utf-16-le")


def test_utf_16_cut_off_within_a_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="ends within a character of utf-16-le"):
        run(tmp_path, "\ufeffn\n1\n".encode("utf-16-le") + b"2", contract_of({"name": "n"}))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"PK\x03\x04", "a zip archive or a spreadsheet, not a CSV file; unpack or export it"),
        (b"BZh91AY", "compressed with bzip2"),
        (b"PAR1", "a Parquet file"),
        (b"\x89PNG\r\n", "an image"),
        ("\ufeffn".encode("utf-32-le"), "UTF-32, not a CSV file; save it as UTF-8"),
        (gzip.compress(b"PK\x03\x04", mtime=0), "a zip archive"),
    ],
)
def test_strangers_are_named(tmp_path: Path, head: bytes, message: str) -> None:
    with pytest.raises(DataRefused, match=message):
        run(tmp_path, head + b"\0" * 100 if not head.startswith(b"\x1f") else head, PLAIN)
