"""The resource types that the twin models: a module for each corner of a template."""

from __future__ import annotations

from twin.deployment.resources import (
    batch,
    functions,
    identity,
    messaging,
    nested,
    network,
    observability,
    orchestration,
    storage,
)

__all__ = [
    "batch",
    "functions",
    "identity",
    "messaging",
    "nested",
    "network",
    "observability",
    "orchestration",
    "storage",
]
