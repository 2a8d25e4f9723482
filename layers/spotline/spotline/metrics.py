"""Metrics of the functions: CloudWatch reads them out of their log lines ("Embedded metric format", CloudWatch User Guide).

A line costs no call and no permission. The template gives the namespace, one for each stack; a metric has the dimensions that it is
charted by and no others, so that what two functions count adds up.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "POWERTOOLS_METRICS_NAMESPACE"
"""The environment variable that names it, for this module and for Powertools."""

Unit = Literal["Count", "Seconds", "None"]


@dataclass(frozen=True)
class Measurement:
    """One value of one metric."""

    name: str
    value: float
    unit: Unit = "Count"
    dimensions: Mapping[str, str] = field(default_factory=dict)


def emit(measured: Measurement) -> None:
    """Write a measurement to the function's log."""
    print(line(measured, os.environ.get(NAMESPACE, "Spotline"), datetime.now(UTC)))  # noqa: T201  standard output is the log


def line(measured: Measurement, namespace: str, now: datetime) -> str:
    """A measurement as CloudWatch reads it.

    >>> line(Measurement("GangLaunched", 1, dimensions={"Market": "SPOT"}), "Spotline/dev", datetime(2013, 2, 9, tzinfo=UTC))
    '{"_aws": {"Timestamp": 1360368000000, "CloudWatchMetrics": [{"Namespace": "Spotline/dev", "Dimensions": [["Market"]], \
"Metrics": [{"Name": "GangLaunched", "Unit": "Count"}]}]}, "Market": "SPOT", "GangLaunched": 1}'
    """
    declared = {
        "Namespace": namespace,
        "Dimensions": [list(measured.dimensions)],
        "Metrics": [{"Name": measured.name, "Unit": measured.unit}],
    }
    head = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [declared]}
    return json.dumps({"_aws": head, **measured.dimensions, measured.name: measured.value})
