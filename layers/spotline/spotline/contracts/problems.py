"""Every problem of a contract at once, for whoever edits it. `Contract.from_json` stops at the first one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from spotline.contracts.document import parse_json
from spotline.contracts.errors import ContractError
from spotline.contracts.parsing import read_contract

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 100  # each problem costs one more reading; whoever has more of them wants another file
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\](?: (?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))?")
_REFERENCES = ("primaryKey", "spotline.analysis")


def find_problems(body: bytes) -> list[ContractError]:
    """Every problem of a contract, in the order in which they are found; none when it is right.

    After each one the part that is wrong is left out and the rest is read again. A field whose type is wrong is kept by its name only; what
    refers to it, and what is missing only because it was left out, is no problem of its own.
    """
    try:
        document = parse_json(body)
    except ContractError as error:
        return [error]
    problems: list[ContractError] = []
    seen: set[str] = set()
    doubtful: set[str] = set()
    while len(problems) < _MOST:
        try:
            read_contract(json.dumps(document).encode())
        except ContractError as error:
            if error.where not in seen and not _follows_from(error, doubtful):
                problems.append(error)
            seen.add(error.where)
            if not _leave_out(document, list(_split(error.where)), doubtful):
                break
        else:
            break
    return problems


def _follows_from(error: ContractError, doubtful: set[str]) -> bool:
    """Whether a reference is wrong only because the field that it names was found wrong before."""
    about = str(error).removeprefix(f"contract: {error.where}: ")
    return error.where.startswith(_REFERENCES) and any(about.startswith(f"{name!r} ") for name in doubtful)


def _split(where: str) -> Iterator[str | int]:
    """The steps from the document to the part that is wrong: `fields[2] 'price'.constraints.minimum`."""
    for match in _STEP.finditer(where):
        name, index = match.groups()
        yield int(index) if index is not None else name


def _leave_out(document: Any, path: list[str | int], doubtful: set[str]) -> bool:
    """Take the wrong part out of the document; whether there was one."""
    if not path or not isinstance(document, dict):
        return False
    if path[0] == "fields" and len(path) > 1:
        return _leave_out_of_field(document, path, doubtful)
    for length in range(len(path), 0, -1):
        parent: Any = document
        for step in path[: length - 1]:
            parent = parent.get(step) if isinstance(parent, dict) else None
        if isinstance(parent, dict) and path[length - 1] in parent:
            del parent[path[length - 1]]
            return True
    return False


def _leave_out_of_field(document: dict[str, Any], path: list[str | int], doubtful: set[str]) -> bool:
    fields, index = document["fields"], path[1]
    if not isinstance(fields, list) or not isinstance(index, int) or index >= len(fields):
        return False
    field, rest = fields[index], path[2:]
    name = field.get("name") if isinstance(field, dict) else None
    if not isinstance(name, str) or not rest or rest[0] == "name" or field == {"name": name}:
        fields[index] = {"name": f"field {index}"}  # in its place, so that the numbers of later fields stay
    elif rest[0] == "type":
        fields[index] = {"name": name}
    else:
        parent = field
        for step in rest[:-1]:
            parent = parent.get(step) if isinstance(parent, dict) else None
        if isinstance(parent, dict) and rest[-1] in parent:
            del parent[rest[-1]]
        elif rest[0] in field:
            del field[rest[0]]
        else:
            fields[index] = {"name": name}
    if isinstance(name, str):
        doubtful.add(name)
    return True
