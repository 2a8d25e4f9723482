"""Values at and beyond the limits of each type: none ends the job, none is changed, and all that reads them afterwards can."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from analysis.encoding import build_features, encode
from postprocess.drift import EarlierDay, compare_days, read_columns
from postprocess.report.sections import build_columns as report_columns
from preprocess.columns import dtype
from preprocess.spread import Spread, measure
from preprocess.statistics import Statistics
from spotline.contracts import Contract, ContractError
from tests.unit.preprocess.rehearsal import Result, contract_of, expect, run

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"key,x\n"

INTEGERS = [str(sign * (2**power + more)) for power in (53, 63) for more in (-1, 0, 1) for sign in (1, -1)]
INTEGERS += [str(10**400), "+0", "-0", "0" * 30 + "7", "1"]
NUMBERS = [
    *("1.7976931348623157e308", "-1.7976931348623157e308", "1.7976931348623159e308", "1e400", "-1e99999"),
    *("5e-324", "2.2250738585072014e-308", "1e-400", "-0", "1" + "0" * 400, "9" * 5000, "0." + "0" * 400 + "1"),
    *INTEGERS,
]
MOMENTS = [
    *("0000-12-31T23:59:59", "0001-01-01T00:00:00", "0001-01-01T00:00:00.000001", "1582-10-15T00:00:00"),
    *("1901-12-13T20:45:51", "1969-12-31T23:59:59.999999", "1970-01-01T00:00:00", "2024-02-29T12:00:00"),
    *("2038-01-19T03:14:08", "2262-04-11T23:47:16.854776", "9999-12-31T23:59:59", "9999-12-31T23:59:59.999999"),
    *("9999-12-31T24:00:00", "9999-12-31T23:59:60", "10000-01-01T00:00:00"),
]
OFFSETS = ["", "Z", "+00:00", "+00", "-0000", "+14:00", "-14:00", "+23:59", "-23:59", "+24:00", "-99:99", "+23:59:59.9"]
ZONES = [
    *("America/New_York", "Asia/Tokyo", "Europe/Paris", "Pacific/Kiritimati", "Pacific/Apia", "UTC"),
    *("Africa/Monrovia", "Etc/GMT+12", "Asia/Kathmandu"),
]
FORMATS = [
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%d.%m.%Y %H:%M", "%Y %j %H:%M:%S", "%d %b %Y %I:%M:%S %p"),
]
DAYS = ["0000-12-31", "0001-01-01", "1970-01-01", "2023-02-29", "9999-12-31", "9999-12-32", "10000-01-01"]
WEEKS = ["0000-W52-7", "0001-W01-1", "9999-W52-5", "9999-W52-7", "9999-W53-1", "10000-W01-1"]


@dataclass(frozen=True)
class Case:
    """A field, and cells to read as it says."""

    field: dict[str, Any]
    cells: list[str]

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.field.values() if part != {})


def written(moment: str, pattern: str) -> str:
    """A moment of `MOMENTS`, also one that does not exist, as strptime's directives write it."""
    day, _, clock = moment.partition("T")
    year, month, date = day.split("-")
    hour, minute, second = clock[:2], clock[3:5], clock[6:8]
    months = {"01": "Jan", "02": "Feb", "04": "Apr", "10": "Oct", "12": "Dec"}
    values = {
        "Y": year,
        "m": month,
        "d": date,
        "H": hour,
        "M": minute,
        "S": second,
        "f": clock[9:] or "0",
        "j": "001" if (month, date) == ("01", "01") else "365",
        "b": months[month],
        "I": f"{(int(hour) - 1) % 12 + 1:02}",
        "p": "AM" if int(hour) < 12 else "PM",
    }
    for directive, value in values.items():
        pattern = pattern.replace(f"%{directive}", value)
    return pattern


def cases() -> list[Case]:
    found = [
        Case({"type": "integer"}, INTEGERS),
        Case({"type": "number"}, NUMBERS),
        Case({"type": "year"}, ["0000", "0001", "9999", "10000", "-001"]),
        Case({"type": "yearmonth"}, ["0000-01", "0001-01", "9999-12", "9999-13", "10000-01"]),
        Case({"type": "date"}, DAYS),
        Case({"type": "date", "format": "%d/%m/%Y"}, ["/".join(reversed(day.split("-"))) for day in DAYS]),
        Case({"type": "date", "format": "%G-W%V-%u"}, WEEKS),
        Case({"type": "time"}, ["00:00:00", "23:59:59", "23:59:60", "24:00:00"]),
        Case({"type": "time", "format": "%H:%M:%S.%f"}, ["00:00:00.000000", "23:59:59.999999", "23:59:59.9999999"]),
    ]
    iso = [moment + offset for moment in MOMENTS for offset in OFFSETS]
    limits = {"minimum": "0001-01-01T00:00:00Z", "maximum": "9999-12-31T23:59:59.999999Z"}
    found += [Case({"type": "datetime"}, iso), Case({"type": "datetime", "constraints": limits}, iso)]
    found += [Case({"type": "datetime", "spotline": {"zone": zone}}, iso) for zone in ZONES]
    for pattern in FORMATS:
        local = [written(moment, pattern) for moment in MOMENTS if moment[5:7] != "13"]
        found.append(Case({"type": "datetime", "format": pattern}, local))
        found += [Case({"type": "datetime", "format": pattern, "spotline": {"zone": zone}}, local) for zone in ZONES]
        found.append(Case({"type": "datetime", "format": pattern + "Z"}, [f"{cell}Z" for cell in local]))
        offsets = [cell + offset for cell in local for offset in OFFSETS]
        found.append(Case({"type": "datetime", "format": pattern + "%z"}, offsets))
    return found


def body(cells: list[str], times: int) -> bytes:
    return HEADER + "".join(f"a,{cell}\n" for cell in cells).encode() * times


@pytest.mark.parametrize("case", cases(), ids=str)
@pytest.mark.parametrize(
    "times", [1, 40]
)  # 40 times the same: columns of few values are read and counted in other ways
def test_any_value_is_read_counted_analysed_and_shown(tmp_path: Path, case: Case, times: int) -> None:
    contract = contract_of({"name": "key"}, {"name": "x", **case.field}, spotline={"trim": False, "cleanedCsv": True})
    data = body(case.cells, times)

    found = run(tmp_path, data, contract)

    wanted = expect(data, contract, len(HEADER))
    assert found.clean == wanted.clean
    assert found.rejected == wanted.rejected
    assert found.clean
    assert found.rejected
    check_readers(tmp_path / "output", found)
    check_cleaned(tmp_path, found, contract)


def check_readers(folder: Path, found: Result) -> None:
    """What postprocess makes of the report, and analysis of the shards."""
    json.loads((folder / "quality.json").read_bytes(), parse_constant=pytest.fail)  # no Infinity and no NaN
    now = read_columns(found.quality, found.manifest.rows_clean)
    assert all(np.isfinite(drift.index) for drift in compare_days(now, [EarlierDay("20130209", {}, now)]))
    assert len(report_columns(found.quality, found.manifest.rows_clean, None)) == 2
    for shard in found.manifest.shards:
        table = pq.read_table(folder / shard.path)
        (feature,) = build_features(table.schema, ["x"], found.manifest.categories)
        assert np.isfinite(encode(table["x"].combine_chunks(), feature)).all()


def check_cleaned(folder: Path, found: Result, contract: Contract) -> None:
    """The cleaned CSV says the same once more."""
    (folder / "again").mkdir()
    again = run(folder / "again", (folder / "output" / "cleaned.csv").read_bytes(), contract)
    assert (again.clean, again.rejected) == (found.clean, [])


def exact(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation in whole numbers; the root of the square is that of numbers a thousand bits longer."""
    numbers = [Fraction(value) for value in values]
    mean = sum(numbers) / len(numbers)
    variance = sum((number - mean) ** 2 for number in numbers) / len(numbers)
    shift = 2400
    return float(mean), float(Fraction(isqrt(int(variance * 2 ** (2 * shift))), 2**shift))


LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
COLUMNS = {
    "largest": [LARGEST, -LARGEST, LARGEST, LARGEST],
    "all alike": [LARGEST] * 5,
    "smallest": [SMALLEST, 0.0, 2 * SMALLEST, 7 * SMALLEST],
    "large": [1e200, -3e200, 2e199],
    "small": [1e-200, 3e-200, -1e-201],
    "both": [LARGEST, SMALLEST, 1.0],
    "usual": [1.5, 2.5, 1e6, -3.25],
    "one": [4.25],
    "whole": [float(2**63 - 1024), -(2.0**63), 0.0],
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_mean_and_deviation_are_right_at_every_magnitude(name: str, size: int) -> None:
    values = COLUMNS[name]
    spread = Spread()
    for start in range(0, len(values), size):
        cells = pl.Series(values[start : start + size])
        spread = spread.merge(measure(cells, cells.mean(), cells.var(ddof=0)))  # type: ignore[arg-type]

    mean, deviation = exact(values)
    assert spread.count == len(values)
    assert spread.mean == pytest.approx(mean, rel=1e-9, abs=max(SMALLEST, deviation * 1e-9))
    assert spread.deviation == pytest.approx(deviation, rel=1e-9, abs=SMALLEST)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 100, 101, 1000])
def test_quantiles_are_the_nearest_values(count: int) -> None:
    generator = random.Random(count)
    values = [generator.gauss(0, 1) for _ in range(count)]
    fields = contract_of({"name": "x", "type": "number"}).fields
    gathered = Statistics(fields, 1)
    cells = pl.Series("x", values, dtype(fields[0]))
    gathered.add(gathered.summarise(cells.to_frame(), {}))

    found = gathered.report()["x"]["quantiles"]

    assert found == {share: cells.quantile(float(share), "nearest") for share in found}


def test_numbers_that_stand_for_several_integers_are_counted(tmp_path: Path) -> None:
    cells = ["9007199254740991", "9007199254740993", "-9007199254740993", "1e300", "3.5", ""]
    contract = contract_of({"name": "key"}, {"name": "x", "type": "number"}, {"name": "n", "type": "integer"})
    data = b"key,x,n\n" + b"".join(f"a,{cell},9007199254740993\n".encode() for cell in cells)

    found = run(tmp_path, data, contract, block_bytes=40).quality["columns"]

    assert found["x"]["inexact_integers"] == 3
    assert "inexact_integers" not in found["n"]


@pytest.mark.parametrize(("kind", "limit"), [("number", 10**400), ("number", -(10**400)), ("integer", 2**63)])
def test_a_limit_beyond_the_type_is_refused_as_such(kind: str, limit: int) -> None:
    with pytest.raises(ContractError, match=f"is no {kind} of this field|larger than any"):
        contract_of({"name": "x", "type": kind, "constraints": {"maximum": limit}})
