"""Lines of a job's log, as people read them. The jobs write one JSON object a line; anything else is shown as it stands."""

import re
from collections.abc import Sequence
from typing import Any

from spotline.documents import DocumentError, parse_object

_ENVELOPE = ("timestamp", "level", "run_id", "message", "event", "exception", "logger")
_QUALITY_REPORT = re.compile(r"s3://[^\s\"']+/quality\.json")


def readable(lines: Sequence[str]) -> list[str]:
    """Each line without its envelope: what was said, then whatever else the line carries."""
    return [_readable(line) for line in lines]


def last_word(lines: Sequence[str]) -> str:
    """What the program itself said about its end, if it did: its last error, or the reason it left with."""
    for line in reversed(lines):
        document = _document(line)
        if document is None:
            if line.startswith("ERROR "):
                return line.removeprefix("ERROR ")
        elif document.get("level") in ("ERROR", "CRITICAL"):
            return str(document.get("message", ""))
        elif document.get("event") == "leaving" and document.get("reason"):
            return str(document["reason"])
    return ""


def quality_report(lines: Sequence[str]) -> str | None:
    """Where the job says that it left its quality report; a file that could not be read at all has none."""
    found = _QUALITY_REPORT.findall("\n".join(lines))
    return found[-1] if found else None


def _readable(line: str) -> str:
    document = _document(line)
    if document is None:
        return line
    told = str(document.get("message") or document.get("event") or "")
    level = document.get("level", "INFO")
    rest = [f"{name}={value}" for name, value in document.items() if name not in _ENVELOPE and value is not None]
    exception = str(document.get("exception") or "").strip().splitlines()[-1:]
    return " ".join([*([] if level == "INFO" else [str(level)]), told, *rest, *exception])


def _document(line: str) -> dict[str, Any] | None:
    try:
        return parse_object(line, "a line of the log")
    except DocumentError:
        return None
