"""Polars: one lazy scan, two sinks, the streaming engine."""

import json
import sys
from pathlib import Path

import polars as pl
from polars import col

MISSING = ["", "NA", "N/A", "null", "-"]
STATUS = pl.Enum(["active", "inactive", "pending"])
COUNTRY = pl.Enum(["FR", "DE", "US", "GB", "CN", "IN"])
FLAGS = {"true": True, "1": True, "false": False, "0": False}
COLUMNS = ["id", "ts", "sensor", "status", "country", "qty", "count", "price", "temp", "lat", "note", "flag"]
TS_SHAPE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]Z$"


def cleaned(scan: pl.LazyFrame) -> pl.LazyFrame:
    """Normalise, type and judge: typed columns, and `reasons`, empty where a row is clean."""
    trimmed = {name: col(name).str.strip_chars() for name in COLUMNS}
    present = {name: pl.when(~cell.is_in(MISSING)).then(cell) for name, cell in trimmed.items()}
    typed = {
        "id": present["id"],
        "ts": pl.when(trimmed["ts"].str.contains(TS_SHAPE)).then(
            trimmed["ts"].str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", strict=False, cache=False)
        ),
        "sensor": present["sensor"],
        "status": present["status"].str.to_lowercase().cast(STATUS, strict=False),
        "country": present["country"].str.to_uppercase().cast(COUNTRY, strict=False),
        "qty": trimmed["qty"].cast(pl.Int64, strict=False),
        "count": trimmed["count"].cast(pl.Int64, strict=False),
        "price": trimmed["price"].cast(pl.Float64, strict=False),
        "temp": trimmed["temp"].cast(pl.Float64, strict=False),
        "lat": trimmed["lat"].cast(pl.Float64, strict=False),
        "note": present["note"],
        "flag": present["flag"].str.to_lowercase().replace_strict(FLAGS, default=None, return_dtype=pl.Boolean),
    }
    broken = [(f"{name}:required or type", col(name).is_null()) for name in COLUMNS if name != "note"]
    broken += [
        ("qty:range", ~col("qty").is_between(0, 1000)),
        ("price:range", ~(col("price").is_finite() & (col("price") >= 0))),
        ("temp:range", ~col("temp").is_finite()),
        ("lat:range", ~col("lat").is_between(-90, 90)),
    ]
    bits = [test.fill_null(value=False).cast(pl.UInt32) * (1 << bit) for bit, (_, test) in enumerate(broken)]
    marked = scan.select(cell.alias(name) for name, cell in typed.items()).with_columns(
        pl.sum_horizontal(bits).alias("bits")
    )
    reasons = [
        pl.when(col("bits") // (1 << bit) % 2 == 1).then(pl.lit(f"{name};")).otherwise(pl.lit(""))
        for bit, (name, _) in enumerate(broken)
    ]
    return marked.with_columns(
        pl.when(col("bits") > 0).then(pl.concat_str(reasons)).otherwise(pl.lit("")).alias("reasons")
    )


def main(source: str, output: Path) -> None:
    """Clean `source` into two Parquet files."""
    scan = pl.scan_csv(source, schema=dict.fromkeys(COLUMNS, pl.String), empty_string_is_null=False)
    frame = cleaned(scan)
    clean = frame.filter(col("bits") == 0).select(COLUMNS)
    rejected = frame.filter(col("bits") > 0).drop("bits")
    sinks = [
        clean.sink_parquet(output / "clean.parquet", compression="zstd", compression_level=1, lazy=True),
        rejected.sink_parquet(output / "rejected.parquet", compression="zstd", compression_level=1, lazy=True),
    ]
    pl.collect_all(sinks, engine="streaming")
    counts = {
        kind: pl.scan_parquet(output / f"{kind}.parquet").select(pl.len()).collect().item()
        for kind in ("clean", "rejected")
    }
    print(json.dumps({"rows_clean": counts["clean"], "rows_rejected": counts["rejected"]}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
