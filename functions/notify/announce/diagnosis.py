"""Why an execution ended: read from its history and from the Cause that its failed state left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spotline.documents import DocumentError, parse_object
from spotline.failures import Failure, classify, job_from_cause

Event = Mapping[str, Any]
"""One event of GetExecutionHistory."""


@dataclass(frozen=True)
class Ending:
    """How an execution ended: in which state (None when it had entered none), with which Error and Cause."""

    state: str | None
    error: str
    cause: str


@dataclass(frozen=True)
class Diagnosis:
    """What an operator needs to know of a failure.

    `error` is a typed name of ours, or the one that Step Functions gave. `member`, `exit_code` and `log_stream` are None when
    the failure has none.
    """

    state: str | None
    error: str
    sentence: str
    member: int | None = None
    exit_code: int | None = None
    reason: str = ""
    log_stream: str | None = None


def read_ending(history: Sequence[Event], redrive_count: int) -> Ending:
    """Find how the execution ended before its redrive number `redrive_count + 1`.

    A redrive appends to the same history, after an `ExecutionRedriven` event, and does not enter the failed state again
    ("Redriving executions", Step Functions developer guide): so the state is looked for from the beginning on.
    """
    redrives = [index for index, event in enumerate(history) if event["type"] == "ExecutionRedriven"]
    end = redrives[redrive_count] if redrive_count < len(redrives) else len(history)
    ours = history[:end]
    state = None
    for event in ours:
        if event["type"].endswith("StateEntered"):
            state = event["stateEnteredEventDetails"]["name"]
    details = _details(ours[-1]) if ours else {}
    return Ending(state, details.get("error") or "", details.get("cause") or "")


def _details(event: Event) -> Mapping[str, Any]:
    """The one `…EventDetails` of an event; an ended execution's last event names error and cause there."""
    return next((value for name, value in event.items() if name.endswith("EventDetails")), {})


def diagnose(ending: Ending, status: str) -> Diagnosis:
    """Turn Error and Cause into a typed failure.

    A failed `.sync` Task leaves the Batch job as its Cause, a gang leaves the typed failure that reconcile answered its token
    with, a function its error, and anything else is quoted as it stands.
    """
    job = job_from_cause(ending.cause)
    if job is not None:
        return _of_failure(ending.state, classify(job))
    try:
        return _of_failure(ending.state, Failure.from_cause(ending.cause))
    except DocumentError:
        error = ending.error or _BY_STATUS[status][0]
        sentence = _of_function(ending.cause) or ending.cause or _BY_ERROR.get(error) or _BY_STATUS[status][1]
        return Diagnosis(ending.state, error, sentence)


_BY_STATUS = {
    "FAILED": ("States.Runtime", "The execution failed without saying why; its history in the console tells more."),
    "TIMED_OUT": ("States.Timeout", "The execution ran past the time its state machine allows."),
    "ABORTED": ("Stopped", "Somebody stopped the execution."),
}
_BY_ERROR = {
    "States.Timeout": "The state ran past the time that the state machine allows it.",
    "States.DataLimitExceeded": "The state's input or output is larger than Step Functions carries.",
}


def _of_function(cause: str) -> str | None:
    """What a failed Lambda function said: its Cause is `{"errorMessage", "errorType", "stackTrace"}`."""
    try:
        document = parse_object(cause, "the execution's cause")
    except DocumentError:
        return None
    return f"{document.get('errorType', 'Error')}: {document['errorMessage']}" if "errorMessage" in document else None


def _of_failure(state: str | None, failure: Failure) -> Diagnosis:
    return Diagnosis(
        state=state,
        error=failure.error.value,
        sentence=failure.sentence,
        member=failure.member,
        exit_code=failure.exit_code,
        reason=failure.reason,
        log_stream=failure.log_stream,
    )
