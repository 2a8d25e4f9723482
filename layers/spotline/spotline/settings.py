"""Configuration of a function or a job: a frozen dataclass filled from environment variables.

A field `runs_table: str` is read from `RUNS_TABLE`. A field with a default may be absent. Classes compose by inheritance:

>>> @dataclass(frozen=True)
... class Settings:
...     runs_table: str
...     gang_members: int = 2
>>> load(Settings, {"RUNS_TABLE": "runs"})
Settings(runs_table='runs', gang_members=2)
"""

import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class SettingsError(Exception):
    """An environment variable is missing or cannot be read; the message says how to set it."""


def load(cls: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Build `cls`, a frozen dataclass, from environment variables named after its fields in upper case.

    Parameters
    ----------
    cls
        A dataclass whose fields are `str`, `int`, `float`, `bool`, `Path` or one of them `| None`.
    environ
        The variables; those of the process when left out.

    Raises
    ------
    SettingsError
        Names every variable that is missing or malformed, so that one deployment mends them all.
    """
    environ = os.environ if environ is None else environ
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for field in fields(cls):  # type: ignore[arg-type]
        variable = field.name.upper()
        text = environ.get(variable)
        if text is None or (text == "" and hints[field.name] is not str):
            if field.default is MISSING and field.default_factory is MISSING:
                wrong.append(f"{variable} is not set")
            continue
        try:
            values[field.name] = _parse(text, hints[field.name])
        except ValueError:
            wrong.append(f"{variable}={text!r} is not {_name(hints[field.name])}")
    if wrong:
        raise SettingsError(
            f"{'; '.join(wrong)}. These are environment variables: on AWS template.yaml sets them on the function or the job"
            " definition; by hand, export them before starting the program."
        )
    return cls(**values)


def _parse(text: str, hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
    if hint is bool:
        if text.lower() not in _TRUTHS:
            raise ValueError(text)
        return _TRUTHS[text.lower()]
    if hint in (str, int, float, Path):
        return hint(text)
    raise TypeError(f"settings cannot hold a {hint}")


def _name(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(hint, str(hint))
