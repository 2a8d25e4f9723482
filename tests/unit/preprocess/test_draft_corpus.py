"""Drafts over a corpus of files: each right, or with a remark; none refuses its own file, none changes a value in silence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from preprocess.infer import draft
from preprocess.sources import LocalSource
from spotline.contracts import Contract
from tests.unit.preprocess.draft_corpus import FILES, Sample
from tests.unit.preprocess.rehearsal import run

if TYPE_CHECKING:
    from pathlib import Path


def find_field(contract: dict[str, Any], name: str, position: int) -> dict[str, Any]:
    """The drafted field of a column, by its name, or by its place where the file gives it none."""
    fields: list[dict[str, Any]] = contract["fields"]
    return next((field for field in fields if field["name"] == name), fields[position])


@pytest.mark.parametrize("name", FILES)
def test_a_draft_has_the_right_types_and_reads_every_row(name: str, tmp_path: Path) -> None:
    sample: Sample = FILES[name]
    (tmp_path / "x.csv").write_bytes(sample.body)

    body, _ = draft(LocalSource(tmp_path / "x.csv"))

    contract = json.loads(body)
    types = {column: find_field(contract, column, position)["type"] for position, column in enumerate(sample.columns)}
    assert all(types[column] in right for column, right in sample.columns.items()), types
    found = run(tmp_path, sample.body, Contract.from_json(body))
    assert found.manifest.rows_read == sample.rows
    if name != "one-strange-cell":
        assert found.rejected == []
    if sample.first:
        shard = pl.read_parquet(tmp_path / "output" / found.manifest.shards[0].path)
        first = tuple(None if cell is None else _as_text(cell) for cell in shard.rows()[0])
        assert first == sample.first


def _as_text(cell: Any) -> str:
    return f"{cell:.12g}" if isinstance(cell, int | float) else str(cell)


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("windows-1252", "line 2 has 'Müller'"),
        ("latin-1-late", "line 200002 has 'Ås'"),
        ("utf-16-le-without-mark", "UTF-16-LE without a byte-order mark"),
        ("inch-marks", "line 2 has a quote inside a cell that does not begin with one"),
        ("thousands-comma", "each ',' stands before three digits"),
        ("postcodes", "begin with a zero"),
        ("phones", "begin with a plus sign"),
        ("long-ids", "are beyond 64 bits"),
        ("codes-with-exponent", "codes or like powers of ten"),
        ("ambiguous-dates", "both read every cell, as different days"),
        ("namibia", "stay text"),
        ("none-as-name", "stay text"),
        ("missing-numbers", "mean no value"),
        ("versions", "become one number"),
        ("headerless", "looks like data"),
        ("header-only-text", "nothing in the columns proves it"),
        ("preamble", "stand before the table"),
        ("comments", "begin with # and are comments"),
        ("padded", "white space around them"),
        ("blank-header-name", "columns without a name"),
        ("doubled-header-name", "with the name of another"),
        ("row-names-of-r", "the first column has no name"),
        ("one-strange-cell", "cells that are no integer and would be rejected: 1 of 100"),
    ],
)
def test_what_the_file_leaves_open_is_said(name: str, remark: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(FILES[name].body)

    _, remarks = draft(LocalSource(tmp_path / "x.csv"))

    assert any(remark in said for said in remarks), remarks
