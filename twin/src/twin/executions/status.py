"""What an execution's status means for a redrive, and how its changes look in EventBridge. Pure functions."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any

REDRIVABLE_FOR = timedelta(days=14)
LONGEST_EVENT_DATA = 248 * 1024
_UNSUCCESSFUL = ("FAILED", "TIMED_OUT", "ABORTED")


def why_not_redrivable(status: str, stopped: datetime | None, now: datetime) -> str | None:
    """AWS's reason why an execution cannot be redriven; None when it can.

    The reasons are those of `redriveStatusReason` (API reference, DescribeExecution).
    """
    if status not in _UNSUCCESSFUL:
        return f"Execution is {status} and cannot be redriven"
    if stopped is not None and now - stopped > REDRIVABLE_FOR:
        return "Execution redrivable period exceeded"
    return None


def status_detail(description: Mapping[str, Json]) -> dict[str, Json]:
    """The detail of a "Step Functions Execution Status Change" event, from DescribeExecution's answer.

    Dates are milliseconds since 1970; what is not there yet is null. An output that is too large is left out, and so is an
    input that is, together with the output ("Automating Step Functions event delivery with EventBridge").
    """
    names = (
        "executionArn",
        "stateMachineArn",
        "stateMachineVersionArn",
        "stateMachineAliasArn",
        "name",
        "status",
        "startDate",
        "stopDate",
        "input",
        "inputDetails",
        "output",
        "outputDetails",
        "error",
        "cause",
        "redriveCount",
        "redriveDate",
        "redriveStatus",
        "redriveStatusReason",
    )
    detail = {name: _plain(description.get(name)) for name in names}
    given, output = (_escaped_bytes(detail[name]) for name in ("input", "output"))
    for name, size in (("input", given + output), ("output", output)):
        if size > LONGEST_EVENT_DATA:
            detail |= {name: None, f"{name}Details": {"included": False}}
    return detail


def _escaped_bytes(text: str | None) -> int:
    """The size of a text within JSON; nothing has none."""
    return len(json.dumps(text, ensure_ascii=False).encode()) if text else 0


def _plain(value: Json) -> Json:
    return int(value.timestamp() * 1000) if isinstance(value, datetime) else value
