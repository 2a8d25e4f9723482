"""Where everything lies: the keys of the ingest, intermediate and results buckets.

Every key of the project is made here and nowhere else, so that the template's permissions can be read against one file.
"""

import re
from dataclasses import dataclass
from datetime import date

from spotline.documents import DocumentError
from spotline.text import find_unprintable, make_printable

DATA_PREFIX = "data/"
CONTRACTS_PREFIX = "contracts/"
DEFAULT_DATASET = "default"
MANIFEST = "manifest.json"
# In the ingest bucket: prices to estimate costs with, for who will not go by the shipped ones (`spotline.prices`).
PRICES = "prices.json"

# Relative to a run's analysis prefix: these belong to the run, not to one gang, so that Spot, On-Demand and a redrive share them.
CHECKPOINTS = "checkpoints/"
POINTER = "checkpoints/pointer.json"

DATASET_RULE = "must begin with a lower-case letter and hold at most 31 of a-z, 0-9, '-' and '_'"
_DATASET = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_MEMBER = re.compile(r"([0-9]{4,9})\.json")
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
        When the key is under `data/` but breaks the layout, or holds what S3 cannot list, what a job's environment cannot hold, or what
        would show another name than the file has.

    Examples
    --------
    >>> parse_data_key("data/flights/20130209/flights.csv")
    DataKey(dataset='flights', day='20130209', file='flights.csv')
    >>> parse_data_key("data/20130209/a+b%41.csv").dataset
    'default'
    """
    shown = f"'{make_printable(key)}'"
    wrong = find_unprintable(key)
    if wrong is not None:
        raise MalformedKey(
            f"{shown} holds the character {wrong!a}, which is a control character or changes how others are shown; rename the file"
        )
    parts = key.removeprefix(DATA_PREFIX).split("/")
    if parts and _DAY.fullmatch(parts[0]):
        parts.insert(0, DEFAULT_DATASET)
    if not key.startswith(DATA_PREFIX) or len(parts) != 3:
        raise MalformedKey(f"{shown} is not data/<dataset>/YYYYMMDD/<file> or data/YYYYMMDD/<file>")
    dataset, day, file = parts
    if not is_dataset(dataset):
        raise MalformedKey(f"{shown}: the dataset {dataset[:60]!r} {DATASET_RULE}")
    if not is_day(day):
        raise MalformedKey(f"{shown}: {day[:60]!r} is not a day, which is written YYYYMMDD")
    if not _FILE.fullmatch(file):
        raise MalformedKey(f"{shown}: the file is not a .csv, .csv.gz or .csv.zst file")
    return DataKey(dataset, day, file)


def is_dataset(text: str) -> bool:
    """Whether a dataset may be called so: see `DATASET_RULE`."""
    return _DATASET.fullmatch(text) is not None


def is_day(text: str) -> bool:
    """Whether a text is a day of the calendar, written YYYYMMDD."""
    if not _DAY.fullmatch(text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def day_prefixes(dataset: str, day: str) -> tuple[str, ...]:
    """Where a dataset's files of a day may lie in the ingest bucket, in the order of keys.

    >>> day_prefixes("flights", "20130209"), day_prefixes("default", "20130209")
    (('data/flights/20130209/',), ('data/20130209/', 'data/default/20130209/'))
    """
    named = f"{DATA_PREFIX}{dataset}/{day}/"
    return (f"{DATA_PREFIX}{day}/", named) if dataset == DEFAULT_DATASET else (named,)


def contract_key(dataset: str) -> str:
    """Where a dataset's contract lies in the ingest bucket."""
    return f"{CONTRACTS_PREFIX}{dataset}.json"


def contract_dataset(key: str) -> str | None:
    """Whose contract lies at a key; None when no contract does."""
    dataset = key.removeprefix(CONTRACTS_PREFIX).removesuffix(".json")
    return dataset if is_dataset(dataset) and key == contract_key(dataset) else None


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
    return re.split(r"[:#]", batch_job_id)[0]


def notice_key(job_id: str, member: int) -> str:
    """Where a member that saw a Spot notice writes it, beside the checkpoint (relative to the analysis prefix)."""
    return f"{notice_prefix(job_id)}{member:04d}.json"


def notice_prefix(job_id: str) -> str:
    """All Spot notices that members of one gang wrote (relative to the analysis prefix)."""
    return f"{CHECKPOINTS}notice-{parent_job_id(job_id)}-"


def parse_notice_key(job_id: str, key: str) -> int:
    """The member whose notice lies under a key that begins with `notice_prefix`, or `DocumentError` when it is no member's.

    >>> parse_notice_key("5f0c", notice_key("5f0c", 2))
    2
    """
    found = _MEMBER.fullmatch(key.removeprefix(notice_prefix(job_id)))
    if found is None:
        raise DocumentError(key, "names no member; a member's notice ends in its number, as 0002.json")
    return int(found[1])


def rendezvous_key(job_id: str) -> str:
    """Where a gang's leader announces its address and port (relative to the analysis prefix)."""
    return f"rendezvous/{parent_job_id(job_id)}.json"
