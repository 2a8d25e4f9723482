"""The twin: the deployed template, alive on one machine.

``Twin`` deploys ``template.yaml`` unchanged into an in-process moto server and lets it run: events flow, functions and
jobs run as processes, state machines execute, IAM is enforced.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.cloud import Twin, TwinOptions
    from twin.deployment import DeploymentError, Stack
    from twin.server import PortTaken

_HOMES = {
    "DeploymentError": "twin.deployment",
    "PortTaken": "twin.server",
    "Stack": "twin.deployment",
    "Twin": "twin.cloud",
    "TwinOptions": "twin.cloud",
}
__all__ = ["DeploymentError", "PortTaken", "Stack", "Twin", "TwinOptions"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: moto takes a second, and a command's ``--help`` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
