"""What the function was invoked for: a sweep, or a backfill; from the beginning, or from where the invocation before stopped."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spotline.documents import DocumentError, build, show
from spotline.layout import DATASET_RULE, is_dataset, is_day
from spotline.text import make_printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUEST = re.compile(r"[0-9A-Za-z_-]{1,64}")
_BACKFILL_FIELDS = ("from", "to", "dataset", "force", "request")


class BadRequest(ValueError):
    """The function was invoked with something that it cannot do; the message names the field and the way out."""

    def __init__(self, problem: str) -> None:
        super().__init__(make_printable(problem, 600))


@dataclass(frozen=True)
class Progress:
    """How far the invocations before came: the last key they are done with, how many they were, and of how many things they failed.

    A sweep finds its place in the runs table, where `ticket` lets it take over from the invocation before it (`sweeping.lease`).
    """

    after: str = ""
    turns: int = 0
    failed: int = 0
    ticket: str = ""


@dataclass(frozen=True)
class Sweep:
    """Look for what has no execution, and for days that are late."""

    progress: Progress = Progress()

    def continued(self, progress: Progress) -> dict[str, Any]:
        """The event that goes on from there."""
        return {"kind": "sweep", "continue": _continue(progress)}


@dataclass(frozen=True)
class Backfill:
    """Start the runs of a dataset's days from `first` to `last`, both included.

    `force` asks for a rerun of what has run already. `request` tells one request's reruns from another's: however often one
    request is delivered, it gives a file one rerun.
    """

    first: str
    last: str
    dataset: str
    force: bool
    request: str
    progress: Progress = Progress()

    def continued(self, progress: Progress) -> dict[str, Any]:
        """The event that goes on from there."""
        return {
            "kind": "backfill",
            "from": self.first,
            "to": self.last,
            "dataset": self.dataset,
            "force": self.force,
            "request": self.request,
            "continue": _continue(progress),
        }


def _continue(progress: Progress) -> dict[str, Any]:
    return asdict(progress)


def read_request(event: Mapping[str, Any], invocation: str) -> Sweep | Backfill:
    """Say what is asked for.

    Parameters
    ----------
    event
        `{"kind": "sweep"}`, or `{"from": "20130101", "to": "20130131", "dataset": "flights", "force": false}`; with `continue` it
        is one of the function's own.
    invocation
        Lambda's request id, which names a backfill that names none itself: it stays the same when Lambda repeats an asynchronous
        event ("Error handling for asynchronous invocation", Lambda developer guide).

    Raises
    ------
    BadRequest
        Names the field and the way out.
    """
    if not isinstance(event, dict):
        raise BadRequest(f"the event is {show(event)}; it must be a JSON object")
    asked = dict(event)
    progress = _progress(asked.pop("continue", {}))
    kind = asked.pop("kind", "backfill")
    if kind == "sweep":
        _refuse_unknown(asked, ())
        return Sweep(progress)
    if kind != "backfill":
        raise BadRequest(f"kind: {kind!r} is neither 'sweep' nor 'backfill'")
    _refuse_unknown(asked, _BACKFILL_FIELDS)
    first, last = _day(asked, "from"), _day(asked, "to")
    if first > last:
        raise BadRequest(f"from: {first} is after to, {last}; exchange them")
    dataset = asked.get("dataset")
    if not isinstance(dataset, str) or not is_dataset(dataset):
        raise BadRequest(
            f"dataset: {_shown(asked, 'dataset')}; it {DATASET_RULE}, and is 'default' for data/YYYYMMDD/<file>"
        )
    force = asked.get("force", False)
    if not isinstance(force, bool):
        raise BadRequest(f"force: {force!r} must be true or false, without quotes")
    request = asked.get("request", invocation)
    if not isinstance(request, str) or not _REQUEST.fullmatch(request):
        raise BadRequest(f"request: {request!r} must hold 1 to 64 of 0-9, A-Z, a-z, '-' and '_'; or leave it out")
    return Backfill(first, last, dataset, force, request, progress)


def _progress(document: Any) -> Progress:
    try:
        return build(Progress, document, "continue")
    except DocumentError as error:
        raise BadRequest(f"{error}; leave it out, it is for the function's own use") from error


def _refuse_unknown(asked: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in asked:
        if name not in known:
            raise BadRequest(
                f"{name}: unknown; a backfill has {', '.join(_BACKFILL_FIELDS)}, a sweep has only its kind"
            )


def _day(asked: Mapping[str, Any], name: str) -> str:
    day = asked.get(name)
    if not isinstance(day, str) or not is_day(day):
        raise BadRequest(f"{name}: {_shown(asked, name)}; write a day as YYYYMMDD, in quotes")
    return day


def _shown(asked: Mapping[str, Any], name: str) -> str:
    return repr(asked[name]) if name in asked else "missing"
