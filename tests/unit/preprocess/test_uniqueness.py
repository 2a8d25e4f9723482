"""Unique fields and primary keys are exact, across blocks and partitions, in memory or on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preprocess import uniqueness
from preprocess.job import Job
from preprocess.refusals import Misconfigured
from preprocess.uniqueness import RECORD
from tests.unit.preprocess.rehearsal import contract_of, run

FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "a", "constraints": {"unique": True}, "spotline": {"case": "lower"}},
    {"name": "b", "type": "number"},
    {"name": "c", "type": "integer"},
)


def rejected(folder: Path, data: bytes, block_bytes: int = 1 << 20, **document: Any) -> list[tuple[int, list[Any]]]:
    found = run(folder, data, contract_of(*FIELDS, **document), block_bytes=block_bytes)
    assert found.manifest.rows_read == len(found.clean) + len(found.rejected)
    return [(row.record, row.reasons) for row in found.rejected]


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_the_first_record_with_a_value_keeps_it(tmp_path: Path, block_bytes: int) -> None:
    data = b"a,b,c\nx,1,1\ny,2,2\nX ,3,3\n,4,4\n,5,5\ny,6,6\nx,7,7\n"

    assert rejected(tmp_path, data, block_bytes) == [
        (3, [("unique", "a", "X ")]),
        (6, [("unique", "a", "y")]),
        (7, [("unique", "a", "x")]),
    ]


def test_a_row_that_breaks_another_rule_counts_all_the_same(tmp_path: Path) -> None:
    data = b"a,b,c\nx,bad,1\nx,1,1\nx,1,bad\n"

    assert rejected(tmp_path, data) == [
        (1, [("type", "b", "bad")]),
        (2, [("unique", "a", "x")]),
        (3, [("type", "c", "bad"), ("unique", "a", "x")]),
    ]


def test_a_primary_key_is_compared_by_value_and_must_be_there(tmp_path: Path) -> None:
    data = b"a,b,c\nk,1.0,1\nl,1,01\nm,,1\nn,1,x\no,2,1\n"

    assert rejected(tmp_path, data, primaryKey=["b", "c"]) == [
        (2, [("primaryKey", "b, c", "1, 01")]),
        (3, [("required", "b", "")]),
        (4, [("type", "c", "x")]),
    ]


def test_malformed_records_have_no_key(tmp_path: Path) -> None:
    assert rejected(tmp_path, b'a,b,c\nx,1\nx"y,1,1\nx,1,1\n') == [
        (1, [("fieldCount", None, "2")]),
        (2, [("quoting", None, None)]),
    ]


def test_records_with_escapes_and_comments_between_are_counted_right(tmp_path: Path) -> None:
    data = b'a,b,c\n#no\nx\\,y,1,1\n#no\nz,1,1\n"x,y",1,1\n'

    assert rejected(tmp_path, data, dialect={"escapeChar": "\\", "commentChar": "#"}) == [(3, [("unique", "a", "x,y")])]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(st.sampled_from("abcdefgh"), max_size=30), block_bytes=st.sampled_from([1, 20, 1 << 20]))
def test_any_repetition_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str], block_bytes: int
) -> None:
    monkeypatch.setattr(uniqueness, "_FLUSH_BYTES", 10)  # everything goes to disk
    monkeypatch.setattr(uniqueness, "_PARTITION_BYTES", 10)  # in many partitions
    data = b"a,b,c\n" + b"".join(f"{key},1,1\n".encode() for key in keys)

    found = rejected(tmp_path, data, block_bytes)

    assert [record for record, _ in found] == [index + 1 for index, key in enumerate(keys) if key in keys[:index]]


def test_a_file_without_repetition_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = Job._read

    def counted(job: Job, *arguments: Any) -> None:
        reads.append(1)
        read(job, *arguments)

    monkeypatch.setattr(Job, "_read", counted)

    rejected(tmp_path, b"a,b,c\nx,1,1\ny,1,1\n")
    assert len(reads) == 1
    rejected(tmp_path, b"a,b,c\nx,1,1\nx,1,1\n")
    assert len(reads) == 3


def test_a_full_disk_is_told_when_keys_are_set_aside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(uniqueness, "_FLUSH_BYTES", 0)
    monkeypatch.setattr(uniqueness.Spill, "_path", lambda _spill, _partition: Path("/dev/full"))
    keys = pl.DataFrame({"key-0": ["a" * 100] * 1000, RECORD: range(1000)}, schema_overrides={RECORD: pl.UInt32})

    with pytest.raises(Misconfigured, match="no room is left there; make room, or name another folder in TMPDIR"):
        uniqueness.Spill(tmp_path, "keys", 1).add(0, keys)


def test_a_contract_without_keys_needs_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")

    with uniqueness.Keys([], 1) as keys:
        keys.add(0, [])

        assert keys.duplicates() is None
