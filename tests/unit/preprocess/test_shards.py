"""A shard's types are those of the contract, whatever its columns were held in."""

from __future__ import annotations

import io

import polars as pl
import pyarrow.parquet as pq

from preprocess import shards
from preprocess.shards import Encoder

SCHEMA = pl.Schema({"id": pl.Int64(), "note": pl.String(), "status": pl.Enum(["off", "on"])})
ROWS = pl.DataFrame({"id": [1, 2, 3], "note": ["b", None, "a"], "status": ["on", "on", "off"]}, schema=SCHEMA)
PACKED = ROWS.with_columns(pl.col("note").cast(pl.Enum(["a", "b"])))


def test_packed_texts_are_read_as_texts() -> None:
    ((shard, body),) = Encoder(SCHEMA).encode(0, PACKED)

    assert shard.rows == 3
    assert pl.read_parquet_schema(io.BytesIO(body)) == SCHEMA
    assert pl.read_parquet(io.BytesIO(body)).equals(ROWS)
    assert str(pq.read_schema(io.BytesIO(body)).field("note").type) == "large_string"


def test_the_types_stand_in_a_shard_once() -> None:
    # Polars writes its own under the same key unless it is given; should it come to write both, this tells.
    ((_, body),) = Encoder(SCHEMA).encode(0, PACKED)

    assert body.count(b"ARROW:schema") == 1


def test_a_block_of_many_short_rows_is_several_shards(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(shards, "MAX_ROWS", 2)

    found = list(Encoder(SCHEMA).encode(7, PACKED))

    assert [shard.path for shard, _ in found] == ["clean/shard-0007.parquet", "clean/shard-0007-1.parquet"]
    assert pl.concat(pl.read_parquet(io.BytesIO(body)) for _, body in found).equals(ROWS)
