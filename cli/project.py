"""Where this checkout keeps what the commands need: the template, samples and contracts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from spotline.layout import DEFAULT_DATASET, MalformedKey, contract_key, parse_data_key

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "template.yaml"
CONTRACTS = ROOT / "contracts"
JOBS = ROOT / "jobs"
LAYER = ROOT / "layers" / "spotline"
SAMPLE_DATASET = "flights"
STACK_NAME = "spotline"


class UnusableInput(Exception):
    """What the command was asked to do cannot be done; the message is one clear line with a way out."""


@dataclass(frozen=True)
class Upload:
    """A file for the ingest bucket, and the contract that it follows."""

    file: Path
    contract: Path
    key: str
    contract_key: str


def find_sample(day: str) -> Upload:
    """The sample of a day; raises `UnusableInput` when there is none."""
    folder = ROOT / "samples" / "data" / SAMPLE_DATASET
    file = folder / day / "flights.csv"
    if not file.is_file():
        days = ", ".join(sorted(path.parent.name for path in folder.glob("*/flights.csv"))) or "none"
        raise UnusableInput(f"there is no sample for day {day!r}; the samples are: {days}")
    return Upload(
        file,
        CONTRACTS / f"{SAMPLE_DATASET}.json",
        f"data/{SAMPLE_DATASET}/{day}/{file.name}",
        contract_key(SAMPLE_DATASET),
    )


def check_own_file(file: Path, contract: Path, day: str | None) -> Upload:
    """A file and a contract of the user's own. The dataset is named after the contract's file, the day is today's if not given."""
    for path, option in ((file, "--input"), (contract, "--contract")):
        if not path.is_file():
            raise UnusableInput(f"{option}: there is no file {path}")
    day = day or datetime.now(UTC).strftime("%Y%m%d")
    for dataset in (contract.stem, DEFAULT_DATASET):
        key = f"data/{dataset}/{day}/{file.name}"
        try:
            parse_data_key(key)
        except MalformedKey as malformed:
            wrong = str(malformed)
        else:
            return Upload(file, contract, key, contract_key(dataset))
    raise UnusableInput(wrong)
