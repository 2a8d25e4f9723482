"""What all of moto's services share: a server that looks its services up on disk, and remembers all that it ever made."""

from __future__ import annotations

import functools
from typing import Any

from moto import backends
from moto.core.common_models import BaseModel

from twin.patches import replace


def forget_what_is_gone() -> None:
    """moto keeps every model that was ever made, copies and deleted ones too, for a dashboard that the twin does not have."""

    def make(_original: Any) -> Any:
        def new(cls: type, *_: Any, **__: Any) -> Any:
            return object.__new__(cls)

        return staticmethod(new)

    replace(BaseModel, "__new__", make)


def list_services_once() -> None:
    """moto lists its own folder for every request, one request at a time: more than half of what a small request takes."""

    def make(original: Any) -> Any:
        return functools.cache(lambda: tuple(original()))

    replace(backends, "list_of_moto_modules", make)
