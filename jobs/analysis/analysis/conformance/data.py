"""Small clean data for the checks, as preprocess leaves it: numbers, text, booleans, dates, and missing values everywhere."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spotline.manifests import CleanManifest, Shard, digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLOURS = ("red", "green", "blue", "grey")
CATEGORIES = {"colour": sorted(COLOURS)}
FEATURES = ("size", "colour", "fresh", "seen")


def build_table(rows: int, seed: int = 1) -> pa.Table:
    """Rows whose `price` follows from size, colour and freshness; one in fifty has none."""
    random = np.random.default_rng(seed)
    size = random.normal(10, 3, rows)
    colour = random.integers(0, len(COLOURS), rows)
    fresh = random.random(rows) < 0.5
    price = 3 * size + 5 * (colour == 2) + 4 * fresh + random.normal(0, 0.5, rows)
    return pa.table(
        {
            "id": pa.array([f"r{row:06d}" for row in range(rows)]),
            "size": pa.array(size, mask=random.random(rows) < 0.05),
            "colour": pa.array([COLOURS[index] for index in colour]),
            "fresh": pa.array(fresh),
            "seen": pa.array(random.integers(0, 20_000, rows), pa.int32()).cast(pa.date32()),
            "price": pa.array(price, mask=random.random(rows) < 0.02),
            "dear": pa.array(price > 35),
        }
    )


def build_contract(**analysis: Any) -> dict[str, Any]:
    """The contract of `build_table`; keywords go to its analysis."""
    types = {
        "id": "string",
        "size": "number",
        "colour": "string",
        "fresh": "boolean",
        "seen": "date",
        "price": "number",
        "dear": "boolean",
    }
    defaults = {"target": "price", "features": list(FEATURES), "rounds": 20, "segment": 5}
    return {
        "fields": [{"name": name, "type": type_} for name, type_ in types.items()],
        "primaryKey": ["id"],
        "spotline": {"analysis": {**defaults, **analysis}},
    }


def write_clean_data(
    folder: Path,
    rows: pa.Table,
    contract: dict[str, Any],
    shards: int = 3,
    row_group: int = 100,
    categories: Mapping[str, Sequence[str]] = CATEGORIES,
) -> CleanManifest:
    """Write `rows` as a run's clean data; shards are of unequal sizes, to be awkward."""
    (folder / "clean").mkdir(parents=True)
    cuts = [0, *sorted({rows.num_rows * number**2 // shards**2 for number in range(1, shards)}), rows.num_rows]
    named = []
    for index, (start, stop) in enumerate(itertools.pairwise(cuts)):
        path = folder / f"clean/shard-{index:04d}.parquet"
        pq.write_table(rows.slice(start, stop - start), path, row_group_size=row_group, write_page_checksum=True)
        body = path.read_bytes()
        named.append(Shard(path.relative_to(folder).as_posix(), stop - start, len(body), digest(body)))
    manifest = CleanManifest(
        source={"path": "rows.csv"},
        rows_read=rows.num_rows,
        rows_clean=rows.num_rows,
        rows_rejected=0,
        shards=tuple(named),
        rejected=(),
        categories={name: list(values) for name, values in categories.items()},
        contract="contract.json",
        quality="quality.json",
        analyse=True,
    )
    (folder / "contract.json").write_text(json.dumps(contract))
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return manifest
