"""pandas: chunks of Arrow-backed strings, vectorised operations, two Parquet writers."""

import json
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ["id", "ts", "sensor", "status", "country", "qty", "count", "price", "temp", "lat", "note", "flag"]
MISSING = ["", "NA", "N/A", "null", "-"]
STATUS = ["active", "inactive", "pending"]
COUNTRY = ["FR", "DE", "US", "GB", "CN", "IN"]
FLAGS = {"true": True, "1": True, "false": False, "0": False}
TS_SHAPE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]Z"


def judged(chunk: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Typed columns, and for each rule where it is broken."""
    cell = {name: chunk[name].str.strip() for name in COLUMNS}
    present = {name: cells.mask(cells.isin(MISSING)) for name, cells in cell.items()}
    typed = pd.DataFrame(
        {
            "id": present["id"],
            "ts": pd.to_datetime(
                cell["ts"].where(cell["ts"].str.fullmatch(TS_SHAPE)), format="%Y-%m-%dT%H:%M:%SZ", errors="coerce"
            ).astype("datetime64[us]"),
            "sensor": present["sensor"],
            "status": _chosen(present["status"].str.lower(), STATUS),
            "country": _chosen(present["country"].str.upper(), COUNTRY),
            "qty": _integer(cell["qty"]),
            "count": _integer(cell["count"]),
            "price": pd.to_numeric(cell["price"], errors="coerce"),
            "temp": pd.to_numeric(cell["temp"], errors="coerce"),
            "lat": pd.to_numeric(cell["lat"], errors="coerce"),
            "note": present["note"],
            "flag": present["flag"].str.lower().map(FLAGS).astype("boolean"),
        }
    )
    broken = {f"{name}:required or type;": typed[name].isna() for name in COLUMNS if name != "note"}
    broken["qty:range;"] = ~typed["qty"].between(0, 1000)
    broken["price:range;"] = ~typed["price"].between(0, float("inf"), inclusive="left")
    broken["temp:range;"] = typed["temp"].abs() == float("inf")
    broken["lat:range;"] = ~typed["lat"].between(-90, 90)
    return typed, {name: test.fillna(value=False).astype(bool) for name, test in broken.items()}


def _chosen(cells: pd.Series, choices: list[str]) -> pd.Categorical:
    return pd.Categorical(cells.where(cells.isin(choices)), categories=choices)


def _integer(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells.where(cells.str.fullmatch(r"[+-]?[0-9]{1,18}")), errors="coerce").astype("Int64")


def main(source: str, output: Path) -> None:
    """Clean `source` into two Parquet files."""
    counts = {"clean": 0, "rejected": 0}
    writers: dict[str, pq.ParquetWriter] = {}
    chunks = pd.read_csv(source, dtype="string[pyarrow]", keep_default_na=False, chunksize=200_000)
    for chunk in chunks:
        typed, broken = judged(chunk)
        bad = pd.concat(broken.values(), axis=1).any(axis=1)
        rejected = typed[bad].copy()
        reasons = pd.Series("", index=rejected.index)
        for name, test in broken.items():
            reasons = reasons.where(~test[bad], reasons + name)
        rejected["reasons"] = reasons
        for kind, part in (("clean", typed[~bad]), ("rejected", rejected)):
            table = pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata()
            if kind not in writers:
                writers[kind] = pq.ParquetWriter(
                    output / f"{kind}.parquet", table.schema, compression="zstd", compression_level=1
                )
            writers[kind].write_table(table)
            counts[kind] += table.num_rows
    for writer in writers.values():
        writer.close()
    print(json.dumps({"rows_clean": counts["clean"], "rows_rejected": counts["rejected"]}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
