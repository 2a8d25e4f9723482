"""Payloads as AWS publishes them, kept under `recordings` beside their source, and what to compare the twin's with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parents[1] / "recordings"


def recording(name: str) -> Any:
    """The payload of a recording."""
    return json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))["payload"]


def shape(payload: Any) -> Any:
    """Its keys and types, whatever the values."""
    if isinstance(payload, dict):
        return {name: shape(value) for name, value in payload.items()}
    if isinstance(payload, list):
        return [shape(value) for value in payload]
    return type(payload).__name__
