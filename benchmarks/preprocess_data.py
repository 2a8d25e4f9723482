"""Dirty data for the benchmark of preprocess: 12 columns of sensor readings, about 2% bad rows, the same bytes for the same size.

    python benchmarks/preprocess_data.py OUTPUT.csv --megabytes 1000 [--variant quoted|crlf|broken|...]

Cells are padded with white space here and there, missing in several spellings, in mixed case; notes are quoted and hold commas, doubled
quotes and newlines. The bad rows break a type, a limit or an enumeration, or lack a required cell, so that every engine can reject them.
The variants: every cell quoted; CRLF line ends; 1% of lines broken in their quoting or their number of cells. In the dirty ones, which no
tolerance refuses, every second row is rejected, for its quoting, a type, or its number of cells; or a blank line follows each row; or a
quote that is never closed stands in the first row.
"""

import argparse
import json
from pathlib import Path

import numpy as np

COLUMNS = ("id", "ts", "sensor", "status", "country", "qty", "count", "price", "temp", "lat", "note", "flag")
STATUS = ("active", "inactive", "pending")
COUNTRY = ("FR", "DE", "US", "GB", "CN", "IN")
MISSING = ("", "NA", "N/A", "null", "-")

CONTRACT = {
    "fields": [
        {"name": "id", "type": "string", "constraints": {"required": True}},
        {
            "name": "ts",
            "type": "datetime",
            "format": "%Y-%m-%dT%H:%M:%SZ",
            "constraints": {"required": True},
        },
        {"name": "sensor", "type": "string", "constraints": {"required": True}},
        {
            "name": "status",
            "type": "string",
            "constraints": {"required": True, "enum": list(STATUS)},
            "spotline": {"case": "lower"},
        },
        {
            "name": "country",
            "type": "string",
            "constraints": {"required": True, "enum": list(COUNTRY)},
            "spotline": {"case": "upper"},
        },
        {"name": "qty", "type": "integer", "constraints": {"required": True, "minimum": 0, "maximum": 1000}},
        {"name": "count", "type": "integer", "constraints": {"required": True}},
        {"name": "price", "type": "number", "constraints": {"required": True, "minimum": 0}},
        {"name": "temp", "type": "number", "constraints": {"required": True}},
        {"name": "lat", "type": "number", "constraints": {"required": True, "minimum": -90, "maximum": 90}},
        {"name": "note", "type": "string"},
        {
            "name": "flag",
            "type": "boolean",
            "trueValues": ["true", "1"],
            "falseValues": ["false", "0"],
            "constraints": {"required": True},
            "spotline": {"case": "lower"},
        },
    ],
    "missingValues": list(MISSING),
    "spotline": {"trim": True, "tolerance": {"maxRejectedShare": 0.05}},
}

# Every second row of each is rejected, or the first one.
DIRTY = ("half-quoting", "half-type", "half-count", "half-blank", "unclosed")

_ROWS = 100_000  # at a time
_WORDS = (
    "ok",
    "needs service",
    "replaced battery",
    "checked, fine",
    'said "fine"',
    "two\nlines",
    "été",
    "over the limit",
)
_BAD = (
    (0, ""),
    (1, "2026-02-30T00:00:00Z"),
    (1, "yesterday"),
    (2, "N/A"),
    (3, "broken"),
    (4, "XX"),
    (5, "1001"),
    (5, "many"),
    (6, "1.5"),
    (7, "-0.01"),
    (7, "12,50"),
    (8, "warm"),
    (9, "90.5"),
    (11, "maybe"),
)


def main() -> None:
    """Write the file, and the contract beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--variant", choices=("plain", "quoted", "crlf", "broken", *DIRTY), default="plain")
    options = parser.parse_args()
    spotline = {"trim": True, "tolerance": {"maxRejectedShare": 1.0 if options.variant in DIRTY else 0.05}}
    document = {**CONTRACT, "spotline": spotline}
    options.output.with_suffix(".contract.json").write_text(json.dumps(document, indent=1))
    with options.output.open("wb") as file:
        file.write(_line(list(COLUMNS), options.variant))
        part = 0
        while file.tell() < options.megabytes * 1_000_000:
            file.write(make_rows(part, _ROWS, options.variant))
            part += 1


def make_rows(part: int, rows: int, variant: str = "plain") -> bytes:
    """The lines of one part of the file."""
    random = np.random.default_rng([20260701, part])
    ids = [f"R{part * rows + row:09d}" for row in range(rows)]
    seconds = np.datetime64("2026-01-01T00:00:00") + random.integers(0, 180 * 86_400, rows).astype("timedelta64[s]")
    sensors = np.char.add("S-", random.integers(0, 5000, rows).astype(str))
    cells = [
        ids,
        np.char.add(np.datetime_as_string(seconds, unit="s"), "Z").tolist(),
        sensors.tolist(),
        _choose(random, (*STATUS, "Active", "PENDING"), rows, (0.5, 0.3, 0.15, 0.03, 0.02)),
        _choose(random, (*COUNTRY, "fr", "us"), rows, (0.25, 0.2, 0.2, 0.1, 0.1, 0.1, 0.03, 0.02)),
        random.integers(0, 1001, rows).astype(str).tolist(),
        random.integers(0, 10**9, rows).astype(str).tolist(),
        [f"{value:.2f}" for value in random.gamma(2.0, 50.0, rows).tolist()],
        [f"{value:.3f}" for value in random.normal(15.0, 10.0, rows).tolist()],
        [f"{value:.5f}" for value in random.uniform(-90, 90, rows).tolist()],
        _choose(random, (*_WORDS, *MISSING), rows, None),
        _choose(random, ("true", "false", "1", "0", "True"), rows, (0.4, 0.4, 0.09, 0.09, 0.02)),
    ]
    for row in np.flatnonzero(random.random(rows) < 0.02).tolist():
        column, cell = _BAD[row % len(_BAD)]
        cells[column][row] = cell
    for row in np.flatnonzero(random.random(rows) < 0.01).tolist():
        column = row % len(COLUMNS)
        cells[column][row] = f" {cells[column][row]} "
    lines = [_line(list(row), variant) for row in zip(*cells, strict=True)]
    if variant == "broken":
        for row in np.flatnonzero(random.random(rows) < 0.01).tolist():
            lines[row] = (lines[row].replace(b",", b',x"y', 1), b"a,b,c\n", lines[row][:-1] + b",more\n")[row % 3]
    if variant in DIRTY:
        _soil(lines, variant, first=part == 0)
    return b"".join(lines)


def _soil(lines: list[bytes], variant: str, *, first: bool) -> None:
    """Make every second line a dirty one, or the file's first one."""
    if variant == "unclosed":
        if first:
            lines[0] = lines[0].replace(b",", b',"', 1)
        return
    for row in range(1, len(lines), 2):
        one, _, rest = lines[row].partition(b",")
        lines[row] = {
            "half-quoting": one + b',x"' + rest,
            "half-type": one + b",x" + rest,  # the moment
            "half-count": rest,
            "half-blank": b"\n",
        }[variant]


def _choose(
    random: np.random.Generator, choices: tuple[str, ...], rows: int, shares: tuple[float, ...] | None
) -> list[str]:
    picked: list[str] = np.array(choices, dtype=object)[random.choice(len(choices), rows, p=shares)].tolist()
    return picked


def _line(cells: list[str], variant: str) -> bytes:
    if variant == "quoted":
        written = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    else:
        written = [
            '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in ',"\n') else cell for cell in cells
        ]
    return (",".join(written) + ("\r\n" if variant == "crlf" else "\n")).encode()


if __name__ == "__main__":
    main()
