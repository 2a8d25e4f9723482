"""The twin: a SAM template, deployed and running on one machine.

``Twin`` deploys a template unchanged into an in-process moto server and lets it run: events flow, functions and jobs run
as processes, state machines execute, IAM is enforced. It knows no application: what it cannot read in the template, such as
the program of a container image, its caller gives it (`TwinOptions`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.cloud import Twin
    from twin.deployment import DeploymentError, Stack
    from twin.images import FolderImages, Image, MappedImages
    from twin.options import TwinOptions
    from twin.server import PortTaken

_HOMES = {
    "DeploymentError": "twin.deployment",
    "FolderImages": "twin.images",
    "Image": "twin.images",
    "MappedImages": "twin.images",
    "PortTaken": "twin.server",
    "Stack": "twin.deployment",
    "Twin": "twin.cloud",
    "TwinOptions": "twin.options",
}
__all__ = ["DeploymentError", "FolderImages", "Image", "MappedImages", "PortTaken", "Stack", "Twin", "TwinOptions"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: moto takes a second, and a command's ``--help`` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
