"""What a target is given: the event itself, a part of it, or a template filled from it.

Pure functions; the rules are those of the EventBridge user guide, "Input transformation".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Json = Any

_STEP = re.compile(r"\.([A-Za-z0-9_/:-]+)|\[(\d+|\*)\]|\['([^']+)'\]")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_MISSING = object()


class InvalidInput(ValueError):
    """A target's input cannot be made from the event; the text says which part of the target and why."""


def payload(target: Mapping[str, Json], event: Mapping[str, Json], rule_name: str, rule_arn: str) -> str:
    """The text that `target` (as PutTargets takes it) is given for `event`.

    Parameters
    ----------
    target
        At most one of `Input`, `InputPath` and `InputTransformer` counts; without them the event is passed on whole.
    event
        The event as it is on the bus.
    rule_name, rule_arn
        Values of the predefined variables `aws.events.rule-name` and `aws.events.rule-arn`.

    Raises
    ------
    InvalidInput
        A path is not one that EventBridge supports, or a JSON template did not come out as JSON.
    """
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath"):
        found = follow(target["InputPath"], event)
        return _json(None if found is _MISSING else found)
    if target.get("InputTransformer"):
        predefined = {
            "aws.events.rule-arn": rule_arn,
            "aws.events.rule-name": rule_name,
            "aws.events.event.ingestion-time": event["time"],
            "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
            "aws.events.event.json": event,
        }
        return _fill(target["InputTransformer"], event, predefined)
    return _json(event)


def follow(path: str, document: Json) -> Json:
    """The value at `path` in `document`; a wildcard gives a list.

    Supported are the steps that EventBridge supports: names, array indices and wildcards.
    """
    if not path.startswith("$"):
        raise InvalidInput(f"a path starts with $, unlike {path!r}")
    found, position, many = [document], 1, False
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise InvalidInput(f"the path {path!r} is not one EventBridge supports, from {path[position:]!r}")
        name, index, quoted = step.groups()
        if index == "*":
            many, found = True, [element for value in found if isinstance(value, list) for element in value]
        elif index is not None:
            found = [value[int(index)] for value in found if isinstance(value, list) and int(index) < len(value)]
        else:
            key = name or quoted
            found = [value[key] for value in found if isinstance(value, Mapping) and key in value]
        position = step.end()
    if many:
        return found
    return found[0] if found else _MISSING


def _fill(transformer: Mapping[str, Json], event: Json, predefined: Mapping[str, Json]) -> str:
    template: str = transformer["InputTemplate"]
    values = {name: follow(path, event) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values.update(predefined)
    filled, position, quoted = [], 0, False
    for placeholder in _PLACEHOLDER.finditer(template):
        between = template[position : placeholder.start()]
        quoted ^= _open_quotes(between)
        filled.append(between)
        if placeholder[1] in values:
            filled.append(_written(values[placeholder[1]], quoted))
        else:
            filled.append(placeholder[0])
        position = placeholder.end()
    text = "".join(filled) + template[position:]
    if template.lstrip().startswith(("{", "[")):
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidInput(f"the input template made no JSON: {error}: {text}") from error
    return text


def _open_quotes(text: str) -> bool:
    """Whether `text` opens or closes a JSON string an odd number of times."""
    return len(re.findall(r'(?<!\\)"', text)) % 2 == 1


def _written(value: Json, within_quotes: bool) -> str:
    """The text of a value: in a string of the template as it is, unescaped, and of an object without its quotes.

    Both are among the "Common issues with transforming input" of the user guide.
    """
    if value is _MISSING:
        return ""
    if not within_quotes:
        return _json(value)
    return value if isinstance(value, str) else _json(value).replace('"', "")


def _json(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
