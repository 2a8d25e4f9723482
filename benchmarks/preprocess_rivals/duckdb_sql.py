"""DuckDB: one scan, one COPY that partitions into clean and rejected rows."""

import json
import sys
from pathlib import Path

import duckdb

COLUMNS = ("id", "ts", "sensor", "status", "country", "qty", "count", "price", "temp", "lat", "note", "flag")
TYPED = """
    SELECT
        id, sensor, note,
        try_strptime(ts_text, '%Y-%m-%dT%H:%M:%SZ') AS ts,
        CASE WHEN status_text IN ('active', 'inactive', 'pending') THEN status_text END AS status,
        CASE WHEN country_text IN ('FR', 'DE', 'US', 'GB', 'CN', 'IN') THEN country_text END AS country,
        CASE WHEN NOT contains(qty_text, '.') THEN try_cast(qty_text AS BIGINT) END AS qty,
        CASE WHEN NOT contains(count_text, '.') THEN try_cast(count_text AS BIGINT) END AS "count",
        try_cast(price_text AS DOUBLE) AS price,
        try_cast(temp_text AS DOUBLE) AS temp,
        try_cast(lat_text AS DOUBLE) AS lat,
        CASE WHEN flag_text IN ('true', '1') THEN true WHEN flag_text IN ('false', '0') THEN false END AS flag
    FROM (
        SELECT {present},
            lower({status}) AS status_text, upper({country}) AS country_text, lower({flag}) AS flag_text,
            {ts} AS ts_text, {qty} AS qty_text, {count} AS count_text, {price} AS price_text, {temp} AS temp_text, {lat} AS lat_text
        FROM read_csv('{source}', header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', columns = {columns},
                      max_line_size = 33554432, nullstr = '\\0none')
    )
"""
JUDGED = """
    SELECT *,
        coalesce(
            id IS NOT NULL AND ts IS NOT NULL AND sensor IS NOT NULL AND status IS NOT NULL AND country IS NOT NULL
                AND qty BETWEEN 0 AND 1000 AND "count" IS NOT NULL AND price >= 0 AND isfinite(price) AND isfinite(temp)
                AND lat BETWEEN -90 AND 90 AND flag IS NOT NULL,
            false
        ) AS clean
    FROM typed
"""
REASONS = """
    CASE WHEN NOT clean THEN concat(
        CASE WHEN id IS NULL THEN 'id:required;' ELSE '' END,
        CASE WHEN ts IS NULL THEN 'ts:required or type;' ELSE '' END,
        CASE WHEN sensor IS NULL THEN 'sensor:required;' ELSE '' END,
        CASE WHEN status IS NULL THEN 'status:required or enum;' ELSE '' END,
        CASE WHEN country IS NULL THEN 'country:required or enum;' ELSE '' END,
        CASE WHEN qty IS NULL THEN 'qty:required or type;' WHEN qty NOT BETWEEN 0 AND 1000 THEN 'qty:range;' ELSE '' END,
        CASE WHEN "count" IS NULL THEN 'count:required or type;' ELSE '' END,
        CASE WHEN price IS NULL THEN 'price:required or type;' WHEN NOT isfinite(price) OR price < 0 THEN 'price:range;' ELSE '' END,
        CASE WHEN temp IS NULL THEN 'temp:required or type;' WHEN NOT isfinite(temp) THEN 'temp:range;' ELSE '' END,
        CASE WHEN lat IS NULL THEN 'lat:required or type;' WHEN NOT isfinite(lat) OR lat NOT BETWEEN -90 AND 90 THEN 'lat:range;' ELSE '' END,
        CASE WHEN flag IS NULL THEN 'flag:required or type;' ELSE '' END
    ) END AS reasons
"""


def main(source: str, output: Path) -> None:
    """Clean `source` into two folders of Parquet files."""
    # To ask for a space at either end takes half the time of trimming every cell.
    trimmed = {
        name: f'CASE WHEN "{name}" LIKE \' %\' OR "{name}" LIKE \'% \' THEN trim("{name}") ELSE "{name}" END'
        for name in COLUMNS
    }
    present = ", ".join(
        f"CASE WHEN {trimmed[name]} NOT IN ('', 'NA', 'N/A', 'null', '-') THEN {trimmed[name]} END AS {name}"
        for name in ("id", "sensor", "note")
    )
    columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS) + "}"
    typed = TYPED.format(
        present=present, source=source.replace("'", "''"), columns=columns, **{name: trimmed[name] for name in COLUMNS}
    )
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"SET temp_directory = '{output}/spill'")
    connection.execute(
        f"COPY (WITH typed AS ({typed}), judged AS ({JUDGED}) SELECT *, {REASONS} FROM judged)"
        f" TO '{output}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARTITION_BY (clean), OVERWRITE_OR_IGNORE)"
    )
    counts = {
        kind: connection.execute(f"SELECT count(*) FROM read_parquet('{output}/clean={kind}/*.parquet')").fetchall()[0][
            0
        ]
        for kind in ("true", "false")
    }
    print(json.dumps({"rows_clean": counts["true"], "rows_rejected": counts["false"]}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
