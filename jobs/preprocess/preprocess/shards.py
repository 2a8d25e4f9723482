"""Clean rows become Parquet shards."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from spotline.manifests import Shard, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

MAX_ROWS = 1_000_000

# A member of a gang reads any range of rows by groups: about twelve megabytes of CSV each.
ROW_GROUP_ROWS = 1 << 17


def encode(number: int, rows: pl.DataFrame) -> Iterator[tuple[Shard, bytes]]:
    """The shards of one block's clean rows, and their bytes; the same rows give the same bytes.

    A block is one shard, unless its rows are so short that it holds more than a shard may.
    """
    for piece, part in enumerate(rows.iter_slices(MAX_ROWS) if rows.height else ()):
        buffer = io.BytesIO()
        part.write_parquet(buffer, compression="zstd", compression_level=1, row_group_size=ROW_GROUP_ROWS)
        body = buffer.getvalue()
        name = f"clean/shard-{number:04d}{f'-{piece}' if piece else ''}.parquet"
        yield Shard(name, part.height, len(body), digest(body)), body
