"""Run the job on bytes, and say what the strict reader and the contract's law make of the same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from preprocess.job import Job, Options
from preprocess.outputs import Folder
from preprocess.progress import Progress
from preprocess.sources import LocalSource
from spotline.contracts import Contract
from spotline.contracts.cells import judge
from tests.unit.preprocess.strict_reader import Marks, Read, read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from spotline.manifests import CleanManifest

Reason = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class Row:
    """A rejected row."""

    record: int
    line: int
    offset: int
    raw: bytes
    reasons: list[Reason]


@dataclass(frozen=True)
class Result:
    """What a run left behind."""

    clean: list[tuple[Any, ...]]
    rejected: list[Row]
    manifest: CleanManifest
    quality: dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """What a run must leave behind."""

    clean: list[tuple[Any, ...]]
    rejected: list[Row]
    comments: int


def contract_of(*fields: dict[str, Any], **document: Any) -> Contract:
    """A contract that bears any number of rejected rows, so that runs end."""
    spotline = {"trim": True, "tolerance": {"maxRejectedShare": 1, "minRows": 0}} | document.pop("spotline", {})
    body = {"fields": list(fields), "missingValues": ["", "NA"], **document, "spotline": spotline}
    return Contract.from_json(json.dumps(body).encode())


def run(
    folder: Path, data: bytes, contract: Contract, *, block_bytes: int = 16 << 20, workers: int = 2, name: str = "x.csv"
) -> Result:
    """Preprocess `data` in `folder`."""
    path = folder / name
    path.write_bytes(data)
    source = LocalSource(path)
    output = folder / "output"
    options = Options(block_bytes=block_bytes, workers=workers)
    job = Job(source, contract, Folder(output), Progress(source.size), contract_path="contract.json", options=options)
    manifest = job.run()
    clean = [row for shard in manifest.shards for row in pl.read_parquet(output / shard.path).rows()]
    rejected = [
        Row(
            row["record"],
            row["line"],
            row["offset"],
            row["raw"],
            [(reason["code"], reason["field"], reason["value"]) for reason in row["reasons"]],
        )
        for part in manifest.rejected
        for row in pl.read_parquet(output / part.path).to_dicts()
    ]
    return Result(plain(clean), rejected, manifest, json.loads((output / "quality.json").read_bytes()))


def expect(data: bytes, contract: Contract, header: int, offset: int = 0) -> Expected:
    """What the strict reader and the law say of UTF-8 text whose header takes the first `header` bytes, one line of plain names.

    `offset` is added to every offset: the bytes before the text.
    """
    dialect = contract.dialect
    names = data[:header].decode("utf-8-sig").strip().split(dialect.delimiter)
    marks = Marks(
        dialect.delimiter.encode(),
        dialect.quote.encode() if dialect.quote else None,
        dialect.escape.encode() if dialect.escape else None,
        dialect.double_quote,
        dialect.comment.encode() if dialect.comment else None,
        dialect.lenient_quote,
        dialect.skip_initial_space,
        dialect.skip_blank_rows,
    )
    clean: list[tuple[Any, ...]] = []
    rejected: list[Row] = []
    comments = 0
    for read in read_rows(data[header:], marks, line=2, offset=offset + header):
        if read.comment:
            comments += 1
            continue
        values, reasons = _judge(read, contract, names)
        if reasons:
            number = len(clean) + len(rejected) + 1
            rejected.append(Row(number, read.line, read.offset, read.raw, reasons))
        else:
            clean.append(tuple(values))
    return Expected(plain(clean), rejected, comments)


def _judge(read: Read, contract: Contract, names: list[str]) -> tuple[list[Any], list[Reason]]:
    if read.cells is None:
        return [], [(str(read.code), None, None)]
    reasons: list[Reason] = []
    if not read.raw.strip(b"\r\n"):
        reasons.append(("blankRow", None, None))
    elif (contract.dialect.trailing_delimiter and (len(read.cells) != len(names) + 1 or read.cells[-1])) or (
        not contract.dialect.trailing_delimiter and len(read.cells) != len(names)
    ):
        reasons.append(("fieldCount", None, str(len(read.cells))))
    if b"\0" in read.raw:
        reasons.append(("nul", None, None))
    if not _is_text(read.raw):
        reasons.append(("encoding", None, None))
    if reasons:
        return [], reasons
    values = []
    cells = dict(zip(names, zip(read.cells, read.written, strict=True), strict=False))  # but for one that trails
    for field in contract.fields:
        cell, written = cells[field.name]
        verdict = judge(field, cell.decode(), None if written is None else written.decode())
        values.append(verdict.value)
        reasons += [(code, field.name, cell.decode()) for code in verdict.broken]
    return values, reasons


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in which equal values are equal: one kind of UTC, and numbers that tell 0.0 from -0.0 and 1 from True."""
    return [tuple(_plain(value) for value in row) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return ("datetime", value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat())
    if isinstance(value, bool | int | float):
        return (type(value).__name__, repr(value))
    return value
