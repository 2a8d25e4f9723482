"""Clean rows become Parquet shards."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

from spotline.manifests import Shard, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ROWS = 1_000_000

# A member of a gang reads any range of rows by groups: about twelve megabytes of CSV each.
ROW_GROUP_ROWS = 1 << 17

_ARROW_SCHEMA = "ARROW:schema"  # where Arrow's Parquet readers look for the types that Parquet does not have


class Encoder:
    """Writes shards of one schema.

    Parameters
    ----------
    schema
        The types as readers of a shard see them. Columns of text may be given as `Enum`, whose dictionary is written as it is.
    """

    def __init__(self, schema: pl.Schema) -> None:
        empty = io.BytesIO()
        pl.DataFrame(schema=schema).write_parquet(empty)
        empty.seek(0)
        self._types = {_ARROW_SCHEMA: pl.read_parquet_metadata(empty)[_ARROW_SCHEMA]}

    def encode(self, number: int, rows: pl.DataFrame) -> Iterator[tuple[Shard, bytes]]:
        """The shards of one block's clean rows, and their bytes; the same rows give the same bytes.

        A block is one shard, unless its rows are so short that it holds more than a shard may.
        """
        for piece, part in enumerate(rows.iter_slices(MAX_ROWS) if rows.height else ()):
            buffer = io.BytesIO()
            part.write_parquet(
                buffer,
                compression="zstd",
                compression_level=1,
                row_group_size=ROW_GROUP_ROWS,
                metadata=self._types,
            )
            body = buffer.getvalue()
            name = f"clean/shard-{number:04d}{f'-{piece}' if piece else ''}.parquet"
            yield Shard(name, part.height, len(body), digest(body)), body
