"""A run: the processing of one version of one object, and the one execution that does it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum

from spotline.documents import DocumentError, build, parse_object, show
from spotline.layout import DATASET_RULE, DataKey, is_dataset, is_day


class Market(StrEnum):
    """Where a gang's instances are bought."""

    SPOT = "SPOT"
    ON_DEMAND = "ON_DEMAND"


class MarketChoice(StrEnum):
    """Which markets a run may use, as its input says."""

    SPOT_FIRST = "spot-first"
    SPOT_ONLY = "spot-only"
    ON_DEMAND = "on-demand"


class Priority(StrEnum):
    """Whether a run is the day's work or one of a backfill, which every day's work goes before."""

    DAILY = "daily"
    BACKFILL = "backfill"


@dataclass(frozen=True)
class Source:
    """One version of one object, which never changes. `size` is in bytes."""

    bucket: str
    key: str
    version_id: str
    size: int


@dataclass(frozen=True)
class Run:
    """What an execution is started with. Two starts of the same object version give the same run, byte for byte.

    `request` names the forced backfill that asked for the run; it is empty for every other one. `share` is whose share of the queues
    the run's jobs count for: the team's that the dataset's contract names, or else the dataset's own.
    """

    run_id: str
    dataset: str
    day: str
    source: Source
    market: MarketChoice = MarketChoice.SPOT_FIRST
    keep: bool = False
    priority: Priority = Priority.DAILY
    request: str = ""
    share: str = ""

    def __post_init__(self) -> None:
        """A run that names no share takes its dataset's."""
        object.__setattr__(self, "share", self.share or share_identifier(self.dataset))

    def to_input(self) -> str:
        """The execution's input: deterministic, so that starting twice under one name is the same start."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_input(cls, document: str) -> "Run":
        """Read an execution's input back.

        Raises
        ------
        DocumentError
            When it is none that `to_input` could have written: people start executions as well.
        """
        run = build(cls, parse_object(document, _INPUT), _INPUT)
        if not is_dataset(run.dataset):
            raise DocumentError(_INPUT, f"{show(run.dataset)} is no dataset: it {DATASET_RULE}", "dataset")
        if not is_day(run.day):
            raise DocumentError(_INPUT, f"{show(run.day)} is not a day, which is written YYYYMMDD", "day")
        if not is_share(run.share):
            raise DocumentError(_INPUT, f"{show(run.share)} is no share: it {SHARE_RULE}", "share")
        if not (run.run_id and run.source.bucket and run.source.key and run.source.version_id):
            raise DocumentError(_INPUT, "names no run, or no version of an object: one of these is empty")
        return run


SHARE_RULE = "must hold 1 to 255 of A-Z, a-z and 0-9"
_SHARE = re.compile(r"[A-Za-z0-9]{1,255}")
_INPUT = "the execution's input"
_IN_SHARES = str.maketrans({"-": "D", "_": "U"})


def is_share(text: str) -> bool:
    """Whether a share may be called so: see `SHARE_RULE`.

    Batch takes 255 alphanumeric characters and lets an asterisk follow them (SubmitJob, Batch API reference). In a scheduling policy the
    asterisk makes an entry that stands for all shares with that beginning, so that no share of ours has one.
    """
    return _SHARE.fullmatch(text) is not None


def share_identifier(dataset: str) -> str:
    """The name of a dataset's share in Batch's fair-share scheduling, a different one for each dataset.

    Batch takes 255 alphanumeric characters (SubmitJob, Batch API reference). Of a dataset's characters only dash and underscore are
    none; upper-case letters, which no dataset has, stand for them.

    >>> share_identifier("flights"), share_identifier("flights-eu_2")
    ('flights', 'flightsDeuU2')
    """
    return dataset.translate(_IN_SHARES)


def run_id(source: Source, key: DataKey, rerun: int = 0) -> str:
    """The run's id, and so the execution's name, derived from bucket, key and version.

    Execution names hold at most 80 of `0-9A-Za-z-_` (StartExecution in the Step Functions API reference); the longest dataset
    (31), a day (8), the digest (16) and a rerun's suffix stay below.

    Examples
    --------
    >>> run_id(Source("b", "data/20130209/f.csv", "v1", 9), DataKey("default", "20130209", "f.csv"))
    'default-20130209-f80416185642f632'
    """
    identity = f"{source.bucket}\0{source.key}\0{source.version_id}".encode()
    base = f"{key.dataset}-{key.day}-{hashlib.sha256(identity).hexdigest()[:16]}"
    return f"{base}-r{rerun}" if rerun else base


def execution_arn(state_machine_arn: str, name: str) -> str:
    """The ARN of a standard execution, which is known before it is started.

    >>> execution_arn("arn:aws:states:us-east-1:1:stateMachine:pipeline", "run")
    'arn:aws:states:us-east-1:1:execution:pipeline:run'
    """
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def gang_job_name(run: str, generation: int) -> str:
    """The Batch job name of a run's gang: by it a gang is found even when its launcher died before writing it down."""
    return f"{run}-g{generation}"
