"""What an hour costs: a table of prices, shipped with the library and replaced by an object in the ingest bucket.

The shipped table is dated and rounded. AWS publishes no list price for Spot and prices differ by region and contract, so whoever
wants better figures puts a table of their own, in the shape of `prices.json` beside this file, into the ingest bucket under
`prices.json`; the next estimate reads it (docs/results.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spotline.runs import Market

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "spotline/prices/1"
SHIPPED = Path(__file__).with_name("prices.json")

_HOW = 'Mend prices.json in the ingest bucket, or delete it to go by the shipped table (docs/results.md, "What a run costs")'


class PriceError(Exception):
    """The price table cannot be read, or does not name what ran; the message says how to set it."""


@dataclass(frozen=True)
class Rate:
    """The price of one hour of something in each market."""

    on_demand: float
    spot: float

    def at(self, market: Market) -> float:
        """The price of an hour in a market."""
        return self.spot if market is Market.SPOT else self.on_demand


@dataclass(frozen=True)
class InstancePrice:
    """The price of an instance hour, and how many vCPUs one has, by which a job on a shared instance takes its share."""

    vcpus: int
    rate: Rate


@dataclass(frozen=True)
class PriceTable:
    """Prices of an hour.

    `as_of` and `source` say how far to trust them. `shared_instance` stands for whatever instance Batch picks for preprocess and
    postprocess, which share theirs: of its families it may take any.
    """

    as_of: str
    source: str
    currency: str
    instances: Mapping[str, InstancePrice]
    shared_instance: str
    fargate_vcpu: Rate
    fargate_gib: Rate

    @classmethod
    def from_json(cls, body: bytes) -> PriceTable:
        """Read a table.

        Raises
        ------
        PriceError
            Names what is missing or is no price, and how to mend it.
        """
        try:
            document = json.loads(body)
        except ValueError as cause:
            raise PriceError(f"the price table is not JSON ({cause}). {_HOW}") from cause
        table = _Reader(document)
        if table.get("schema") != SCHEMA:
            raise PriceError(f"the price table's schema is {table.get('schema')!r}, not {SCHEMA!r}. {_HOW}")
        instances = {
            name: InstancePrice(int(table.number("instances", name, "vcpus")), table.rate("instances", name))
            for name in table.get("instances")
        }
        return cls(
            as_of=str(table.get("as_of")),
            source=str(table.get("source")),
            currency=str(table.get("currency")),
            instances=instances,
            shared_instance=str(table.get("shared_instance")),
            fargate_vcpu=table.rate("fargate", "vcpu"),
            fargate_gib=table.rate("fargate", "gib"),
        )

    @classmethod
    def shipped(cls) -> PriceTable:
        """The table that comes with this library."""
        return cls.from_json(SHIPPED.read_bytes())

    def instance(self, name: str) -> InstancePrice:
        """The price of an instance type, or `PriceError`."""
        try:
            return self.instances[name]
        except KeyError:
            raise PriceError(f"the price table of {self.as_of} names no instance type {name}. {_HOW}") from None


class _Reader:
    """A document whose fields are asked for by their path, so that whatever is wrong is named by it."""

    def __init__(self, document: Any) -> None:
        self._document = document

    def get(self, *path: str) -> Any:
        found = self._document
        for step in path:
            if not isinstance(found, dict) or step not in found:
                raise PriceError(f"the price table lacks {'.'.join(path)}. {_HOW}")
            found = found[step]
        return found

    def number(self, *path: str) -> float:
        found = self.get(*path)
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < float("inf"):
            raise PriceError(f"the price table's {'.'.join(path)} is {found!r}, not a number above 0. {_HOW}")
        return float(found)

    def rate(self, *path: str) -> Rate:
        return Rate(self.number(*path, "on_demand"), self.number(*path, "spot"))
