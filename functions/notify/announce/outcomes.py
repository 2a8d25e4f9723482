"""What came to an end, as told by the state machine, by an event rule, or by another function."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spotline.documents import DocumentError, build, check, show

STATUS_CHANGE = "Step Functions Execution Status Change"
SUCCEEDED = "SUCCEEDED"
ENDED = (SUCCEEDED, "FAILED", "TIMED_OUT", "ABORTED")

# Where messages go.
SLACK, TOPIC = "SLACK", "TOPIC"


class UnknownRequest(ValueError):
    """The function was invoked with something that none of its callers sends."""


@dataclass(frozen=True)
class ExecutionEnded:
    """One end of an execution; after a redrive it may end again.

    `told_by_machine` is True for the call that the state machine's last state makes, and False for the event rule's.
    """

    execution_arn: str
    status: str
    redrive_count: int
    told_by_machine: bool = False

    @property
    def run_id(self) -> str:
        """The execution's name, which is the run's id."""
        return self.execution_arn.rpartition(":")[2]


@dataclass(frozen=True)
class FileRejected:
    """A file landed under `data/` that no run can be started for. `key` is literal."""

    bucket: str
    key: str
    reason: str

    @property
    def prefix(self) -> str:
        """The "folder" that the file landed in."""
        return self.key.rpartition("/")[0] + "/"


@dataclass(frozen=True)
class DayLate:
    """A dataset's file for a day did not come by the time it was expected. `expected_by` is text for people."""

    dataset: str
    day: str
    expected_by: str


Outcome = ExecutionEnded | FileRejected | DayLate


@dataclass(frozen=True)
class SummaryDue:
    """The messages that were over the rate limit are to be summarised now."""


@dataclass(frozen=True)
class MessageKey:
    """Which message it is, in the runs table: one outcome, one key, one message to each channel."""

    pk: str
    sk: str

    def on(self, channel: str) -> "MessageKey":
        """The same outcome's message to a channel that keeps claims of its own; Slack, which was first, has the plain key."""
        return self if channel == SLACK else MessageKey(self.pk, f"{self.sk}#{channel}")


def read_request(event: dict[str, Any]) -> Outcome | SummaryDue:
    """Say what the function was invoked for.

    Raises
    ------
    UnknownRequest
        When the request is of no known kind, or lacks what its kind must have.
    """
    try:
        check(event, _REQUEST)
        if not isinstance(event, dict):
            raise UnknownRequest(f"the request is {show(event)}, not a JSON object")
        if event.get("detail-type") == STATUS_CHANGE:
            return _status_change(event.get("detail"))
        match event.get("kind"):
            case "success":
                told = build(_Success, event, _REQUEST, ignore_unknown=True)
                return ExecutionEnded(told.execution_arn, SUCCEEDED, told.redrive_count, told_by_machine=True)
            case "rejected-file":
                return build(FileRejected, event, _REQUEST, ignore_unknown=True)
            case "summary":
                return SummaryDue()
            case "late-day":
                return build(DayLate, event, _REQUEST, ignore_unknown=True)
    except DocumentError as cause:
        raise UnknownRequest(str(cause)) from cause
    raise UnknownRequest(f"neither an event of {STATUS_CHANGE!r} nor a kind of request that is known: {show(event)}")


_REQUEST = "the request"


@dataclass(frozen=True)
class _Success:
    """The call of the state machine's last state."""

    execution_arn: str
    redrive_count: int


def _status_change(detail: Any) -> ExecutionEnded:
    if not isinstance(detail, dict):
        raise DocumentError(_REQUEST, f"expected a JSON object, found {show(detail)}", "detail")
    status, arn = detail.get("status"), detail.get("executionArn")
    redrives = detail.get("redriveCount") or 0  # absent from the event of an execution that was never redriven
    if status not in ENDED:
        raise UnknownRequest(f"the execution did not end: its status is {show(status)}")
    if not isinstance(arn, str) or arn.count(":") < 7 or type(redrives) is not int:
        raise DocumentError(_REQUEST, "names no execution, or a number of redrives that is none", "detail")
    return ExecutionEnded(arn, status, redrives)


def message_key(outcome: Outcome, now: datetime) -> MessageKey:
    """Where an outcome's message is claimed and confirmed.

    An execution's outcome is (execution, redrive count, status). Rejected files share a message per folder and hour, so that
    a misdirected upload of a thousand files is told once an hour; a late day is told once.
    """
    match outcome:
        case ExecutionEnded():
            return MessageKey(f"RUN#{outcome.run_id}", f"MESSAGE#{outcome.redrive_count}#{outcome.status}")
        case FileRejected():
            return MessageKey(f"REJECTED#{outcome.bucket}#{outcome.prefix}", f"MESSAGE#{now:%Y-%m-%dT%HZ}")
        case DayLate():
            return MessageKey(f"DAY#{outcome.dataset}#{outcome.day}", "MESSAGE#LATE")
