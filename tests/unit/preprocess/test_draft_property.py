"""Whatever a small file holds, its draft is refused in words, or reads the file without changing a value in silence."""

from __future__ import annotations

import json
import re
import tempfile
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from preprocess.infer import draft
from preprocess.refusals import DataRefused
from preprocess.sources import LocalSource
from spotline.contracts import Contract
from tests.unit.preprocess.rehearsal import run

CELLS = st.one_of(
    st.from_regex(r"\A[+-]?[0-9]{1,21}\Z"),
    st.from_regex(r"\A[+-]?[0-9]{1,4}[.,][0-9]{1,18}\Z"),
    st.from_regex(r"\A[0-9]{1,3}[,.' ][0-9]{3}\Z"),
    st.from_regex(r"\A[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4}\Z"),
    st.from_regex(r"\A[0-9]{1,3}[eE][+-]?[0-9]{1,3}\Z"),
    st.dates().map(str),
    st.sampled_from(
        [
            "",
            "NA",
            "null",
            "-",
            "true",
            "FALSE",
            "yes",
            "0",
            "1",
            " x",
            "A",
            "a",
            "Open",
            "OPEN",
            "\\N",
            "#",
            "0x1F",
            "1_000",
        ]
    ),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=6),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]], str]:
    width = draw(st.integers(1, 4))
    columns = [draw(st.lists(CELLS, min_size=1, max_size=3)) for _ in range(width)]
    rows = draw(st.lists(st.tuples(*(st.sampled_from(column) for column in columns)), min_size=1, max_size=25))
    return [f"c{index}" for index in range(width)], [list(row) for row in rows], draw(st.sampled_from(",;\t|"))


def _write(names: list[str], rows: list[list[str]], delimiter: str) -> bytes:
    def quote(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if re.search(r'[,;\t|"\r\n]', cell) else cell

    return "".join(delimiter.join(map(quote, row)) + "\n" for row in [names, *rows]).encode()


@given(tables())
def test_a_draft_reads_its_own_file_and_changes_nothing_in_silence(
    table: tuple[list[str], list[list[str]], str],
) -> None:
    names, rows, delimiter = table
    body = _write(names, rows, delimiter)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.csv").write_bytes(body)
        try:
            drafted, remarks = draft(LocalSource(Path(folder) / "x.csv"))
        except DataRefused:
            return
        contract = Contract.from_json(drafted)
        found = run(Path(folder), body, contract)
        document = json.loads(drafted)
        if tuple(field["name"] for field in document["fields"]) != tuple(names) or found.manifest.rows_rejected:
            assert remarks
            return
        shards = [pl.read_parquet(Path(folder) / "output" / shard.path) for shard in found.manifest.shards]
    clean = [row for shard in shards for row in shard.rows()]
    for index, name in enumerate(names):
        if not any(remark.startswith(f"{name} (") for remark in remarks):
            for row, value in zip(rows, clean, strict=True):
                _assert_kept(row[index], value[index], document["fields"][index], trim=document["spotline"]["trim"])


def _assert_kept(cell: str, value: Any, field: dict[str, Any], *, trim: bool) -> None:
    text = cell.strip() if trim else cell
    if text == "":
        assert value is None
    elif field["type"] == "string":
        assert value == text
    elif field["type"] in ("integer", "number"):
        plain = text.replace(field.get("groupChar") or "", "").replace(field.get("decimalChar", "."), ".")
        try:
            assert Decimal(repr(value)) == Decimal(plain)
        except InvalidOperation:  # pragma: no cover
            raise AssertionError(f"{cell!r} became {value!r}") from None
        assert not re.match(r"[+]|[+-]?0[0-9]", text)
    else:
        assert value is not None
