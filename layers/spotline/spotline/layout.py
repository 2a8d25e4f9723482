"""Where everything lies: the keys of the ingest, intermediate and results buckets.

Every key of the project is made here and nowhere else, so that the template's permissions can be read against one file.
"""

import re
from dataclasses import dataclass
from datetime import date

DATA_PREFIX = "data/"
DEFAULT_DATASET = "default"
MANIFEST = "manifest.json"

# Relative to a run's analysis prefix: these belong to the run, not to one gang, so that Spot, On-Demand and a redrive share them.
CHECKPOINTS = "checkpoints/"
POINTER = "checkpoints/pointer.json"

_DATASET = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_DAY = re.compile(r"[0-9]{8}")
_FILE = re.compile(r".+\.csv(\.gz|\.zst)?", re.IGNORECASE | re.DOTALL)


class MalformedKey(ValueError):
    """A key under `data/` that does not follow the layout; the message says what is wrong and what would be right."""


@dataclass(frozen=True)
class DataKey:
    """What the key of a landed file says: whose contract it follows, which day it holds, and the file's own name."""

    dataset: str
    day: str
    file: str


def is_ours(key: str) -> bool:
    """Whether a key of the ingest bucket claims to be data; "folders" made by consoles are nobody's."""
    return key.startswith(DATA_PREFIX) and not key.endswith("/")


def parse_data_key(key: str) -> DataKey:
    """Read `data/<dataset>/YYYYMMDD/<file>` or `data/YYYYMMDD/<file>`; the key is literal, never URL-decoded.

    Raises
    ------
    MalformedKey
        When the key is under `data/` but breaks the layout.

    Examples
    --------
    >>> parse_data_key("data/flights/20130209/flights.csv")
    DataKey(dataset='flights', day='20130209', file='flights.csv')
    >>> parse_data_key("data/20130209/a+b%41.csv").dataset
    'default'
    """
    parts = key.removeprefix(DATA_PREFIX).split("/")
    if parts and _DAY.fullmatch(parts[0]):
        parts.insert(0, DEFAULT_DATASET)
    if not key.startswith(DATA_PREFIX) or len(parts) != 3:
        raise MalformedKey(f"{key!r} is not data/<dataset>/YYYYMMDD/<file> or data/YYYYMMDD/<file>")
    dataset, day, file = parts
    if not _DATASET.fullmatch(dataset):
        raise MalformedKey(
            f"{key!r}: the dataset {dataset!r} must begin with a lower-case letter and hold at most 31 of a-z, 0-9, '-' and '_'"
        )
    if not _is_day(day):
        raise MalformedKey(f"{key!r}: {day!r} is not a day, which is written YYYYMMDD")
    if not _FILE.fullmatch(file):
        raise MalformedKey(f"{key!r}: {file!r} is not a .csv, .csv.gz or .csv.zst file")
    return DataKey(dataset, day, file)


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def contract_key(dataset: str) -> str:
    """Where a dataset's contract lies in the ingest bucket."""
    return f"contracts/{dataset}.json"


def run_prefix(run_id: str) -> str:
    """Everything that a run leaves, in the intermediate bucket as in the results bucket."""
    return f"runs/{run_id}/"


def run_contract_key(run_id: str) -> str:
    """The run's own copy of its contract, in the intermediate bucket: the only one that later stages read."""
    return f"{run_prefix(run_id)}contract.json"


def preprocess_prefix(run_id: str) -> str:
    """What preprocess leaves, in the intermediate bucket."""
    return f"{run_prefix(run_id)}preprocess/"


def analysis_prefix(run_id: str) -> str:
    """What the gangs of a run leave, in the results bucket."""
    return f"{run_prefix(run_id)}analysis/"


def postprocess_prefix(run_id: str) -> str:
    """What postprocess leaves, in the results bucket."""
    return f"{run_prefix(run_id)}postprocess/"


def parent_job_id(batch_job_id: str) -> str:
    """The job that a member belongs to: Batch names array children `id:n` and nodes `id#n`."""
    return re.split(r"[:#]", batch_job_id, maxsplit=1)[0]


def notice_key(job_id: str, member: int) -> str:
    """Where a member that saw a Spot notice writes it, beside the checkpoint (relative to the analysis prefix)."""
    return f"{notice_prefix(job_id)}{member:04d}.json"


def notice_prefix(job_id: str) -> str:
    """All Spot notices that members of one gang wrote (relative to the analysis prefix)."""
    return f"{CHECKPOINTS}notice-{parent_job_id(job_id)}-"


def rendezvous_key(job_id: str) -> str:
    """Where a gang's leader announces its address and port (relative to the analysis prefix)."""
    return f"rendezvous/{parent_job_id(job_id)}.json"
