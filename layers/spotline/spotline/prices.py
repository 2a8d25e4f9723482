"""What an hour costs: a table of prices, shipped with the library and replaced by an object in the ingest bucket.

The shipped table is dated and rounded. AWS publishes no list price for Spot and prices differ by region and contract, so whoever
wants better figures puts a table of their own, in the shape of `prices.json` beside this file, into the ingest bucket under
`prices.json`; the next estimate reads it (docs/results.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spotline.documents import DocumentError, build, parse_object
from spotline.runs import Market

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "spotline/prices/1"
SHIPPED = Path(__file__).with_name("prices.json")

_NAME = "the price table"
_HOW = 'Mend prices.json in the ingest bucket, or delete it to go by the shipped table (docs/results.md, "What a run costs")'


class PriceError(DocumentError):
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
            written = build(_Written, parse_object(body, _NAME, schema=SCHEMA), _NAME, ignore_unknown=True)
        except DocumentError as cause:
            raise PriceError(_NAME, f"{cause.detail}. {_HOW}") from cause
        return written.check()

    @classmethod
    def shipped(cls) -> PriceTable:
        """The table that comes with this library."""
        return cls.from_json(SHIPPED.read_bytes())

    def instance(self, name: str) -> InstancePrice:
        """The price of an instance type, or `PriceError`."""
        try:
            return self.instances[name]
        except KeyError:
            raise PriceError(_NAME, f"of {self.as_of}, names no instance type {name}. {_HOW}") from None


@dataclass(frozen=True)
class _WrittenInstance:
    vcpus: float
    on_demand: float
    spot: float


@dataclass(frozen=True)
class _Fargate:
    vcpu: Rate
    gib: Rate


@dataclass(frozen=True)
class _Written:
    """The table as it stands in the file."""

    as_of: str
    source: str
    currency: str
    shared_instance: str
    instances: dict[str, _WrittenInstance]
    fargate: _Fargate

    def check(self) -> PriceTable:
        instances = {
            name: InstancePrice(
                round(_above_zero(found.vcpus, f"instances.{name}.vcpus", 1)),
                _check_rate(Rate(found.on_demand, found.spot), f"instances.{name}"),
            )
            for name, found in self.instances.items()
        }
        return PriceTable(
            as_of=self.as_of,
            source=self.source,
            currency=self.currency,
            instances=instances,
            shared_instance=self.shared_instance,
            fargate_vcpu=_check_rate(self.fargate.vcpu, "fargate.vcpu"),
            fargate_gib=_check_rate(self.fargate.gib, "fargate.gib"),
        )


def _check_rate(rate: Rate, where: str) -> Rate:
    return Rate(_above_zero(rate.on_demand, f"{where}.on_demand"), _above_zero(rate.spot, f"{where}.spot"))


def _above_zero(value: float, where: str, least: float = 0.0) -> float:
    if value <= 0 or value < least:
        raise PriceError(_NAME, f"{value:g} is not a number {'from 1 on' if least else 'above 0'}. {_HOW}", where)
    return value
