"""What a run cost, as an estimate: instance hours by market, their price, what Spot saved and what reclaims wasted. Pure.

*Saved* is what the same hours would have cost more on On-Demand. *Wasted* is the part of interrupted attempts that nothing was kept
of: of a gang the time from its last checkpoint to its end, all of it when it wrote none; of another job the whole attempt.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from spotline.documents import DocumentError
from spotline.prices import InstancePrice, PriceTable, Rate
from spotline.runs import Market
from spotline.strays import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from spotline.usage import Attempt, JobUse

_HOUR = 3600.0
_S3_CLOCK = 1.0
"""S3 tells LastModified in whole seconds, rounded down."""


@dataclass(frozen=True)
class Line:
    """What one job cost.

    `hours` are instance hours by market, where a job on a shared instance counts by its share of the vCPUs; `costs` go with them.
    """

    job_id: str
    stage: str
    generation: int
    hours: Mapping[str, float]
    costs: Mapping[str, float]
    saved: float
    wasted: float


@dataclass(frozen=True)
class Estimate:
    """What a run cost so far, job by job. `prices_as_of` dates the table that it was made with."""

    currency: str
    prices_as_of: str
    lines: tuple[Line, ...] = field(default=())

    @property
    def cost(self) -> float:
        """What all jobs cost."""
        return sum(self.cost_in(market) for market in Market)

    @property
    def saved(self) -> float:
        """What they would have cost more on On-Demand."""
        return sum(line.saved for line in self.lines)

    @property
    def wasted(self) -> float:
        """How much of the cost went into work that a reclaim lost."""
        return sum(line.wasted for line in self.lines)

    def hours_in(self, market: Market) -> float:
        """Instance hours in a market."""
        return sum(line.hours.get(market.value, 0.0) for line in self.lines)

    def cost_in(self, market: Market) -> float:
        """What those hours cost."""
        return sum(line.costs.get(market.value, 0.0) for line in self.lines)

    def cost_of(self, jobs: Collection[str]) -> float:
        """What these jobs cost, by their ids."""
        return sum(sum(line.costs.values()) for line in self.lines if line.job_id in jobs)

    def after(self, earlier: Estimate | None) -> Estimate:
        """Add the jobs of an earlier estimate that this one no longer sees.

        Batch keeps ended jobs for at least seven days ("Job states", Batch user guide), and an execution can be redriven for
        fourteen: what was seen then is not forgotten.
        """
        seen = {line.job_id for line in self.lines}
        forgotten = tuple(line for line in earlier.lines if line.job_id not in seen) if earlier else ()
        return Estimate(self.currency, self.prices_as_of, (*forgotten, *self.lines))

    def to_item(self) -> dict[str, Any]:
        """JSON's types: the sums for people and queries, then the jobs."""
        return {
            "currency": self.currency,
            "prices_as_of": self.prices_as_of,
            "total": round(self.cost, 6),
            "saved": round(self.saved, 6),
            "wasted": round(self.wasted, 6),
            "hours": {market.value: round(self.hours_in(market), 6) for market in Market},
            "costs": {market.value: round(self.cost_in(market), 6) for market in Market},
            "jobs": [asdict(line) for line in self.lines],
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Estimate:
        """Read back what `to_item` wrote, `Decimal` numbers too; raises `DocumentError` for anything else."""
        try:
            return cls(str(item["currency"]), str(item["prices_as_of"]), tuple(map(_read_line, item["jobs"])))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as cause:
            raise DocumentError("the run's record", f"not an estimate of ours ({cause!r})", "cost") from cause


def _read_line(job: Mapping[str, Any]) -> Line:
    return Line(
        job_id=job["job_id"],
        stage=job["stage"],
        generation=int(job["generation"]),
        hours={market: float(hours) for market, hours in job["hours"].items()},
        costs={market: float(cost) for market, cost in job["costs"].items()},
        saved=float(job["saved"]),
        wasted=float(job["wasted"]),
    )


def estimate(
    uses: Iterable[JobUse], prices: PriceTable, gang_instance_type: str, saves: Sequence[float], now: float
) -> Estimate:
    """Estimate what jobs cost.

    Parameters
    ----------
    uses
        What each job of the run used.
    gang_instance_type
        What one member of a gang runs on, alone (template parameter GangInstanceType).
    saves
        When the run's checkpoint pointer was written, in seconds since 1970. A gang writes it once to claim it and then with
        every checkpoint (docs/extend.md).
    now
        Until when what still runs is counted, in seconds since 1970.

    Raises
    ------
    PriceError
        When the table does not name an instance type that is needed.
    """
    lines = [_line(use, _hourly(use, prices, gang_instance_type), saves, now) for use in uses]
    return Estimate(prices.currency, prices.as_of, tuple(lines))


@dataclass(frozen=True)
class _Hourly:
    """What a container takes in an hour: its share of an instance, and the price of that share."""

    share: float
    rate: Rate


def _hourly(use: JobUse, prices: PriceTable, gang_instance_type: str) -> _Hourly:
    if use.fargate:
        vcpu, gib = prices.fargate_vcpu, prices.fargate_gib
        return _Hourly(
            1.0,
            Rate(
                use.vcpus * vcpu.on_demand + use.memory_gib * gib.on_demand,
                use.vcpus * vcpu.spot + use.memory_gib * gib.spot,
            ),
        )
    if use.stage is Stage.ANALYSIS:
        return _share_of(prices.instance(gang_instance_type), 1.0)
    shared = prices.instance(prices.shared_instance)
    return _share_of(shared, use.vcpus / shared.vcpus)


def _share_of(instance: InstancePrice, share: float) -> _Hourly:
    return _Hourly(share, Rate(instance.rate.on_demand * share, instance.rate.spot * share))


def _line(use: JobUse, hourly: _Hourly, saves: Sequence[float], now: float) -> Line:
    hours = dict.fromkeys((attempt.market.value for attempt in use.attempts), 0.0)
    costs = dict(hours)
    saved = 0.0
    for attempt in use.attempts:
        lasted = _lasted(attempt, now) / _HOUR
        price = hourly.rate.at(attempt.market)
        hours[attempt.market.value] += lasted * hourly.share
        costs[attempt.market.value] += lasted * price
        saved += lasted * (hourly.rate.on_demand - price)
    wasted = sum(seconds / _HOUR * hourly.rate.at(market) for market, seconds in _lost(use, saves, now))
    return Line(use.job_id, use.stage.value, use.generation, hours, costs, saved, wasted)


def _lasted(attempt: Attempt, now: float) -> float:
    return max(0.0, (now if attempt.ended is None else attempt.ended) - attempt.started)


def _lost(use: JobUse, saves: Sequence[float], now: float) -> Iterator[tuple[Market, float]]:
    """The seconds of each attempt that a reclaim lost."""
    if not use.interrupted:
        return
    if use.stage is not Stage.ANALYSIS:
        yield from ((attempt.market, _lasted(attempt, now)) for attempt in use.attempts if attempt.reclaimed)
        return
    kept_until = _kept_until(list(use.attempts), saves, now)
    for attempt in use.attempts:
        end = now if attempt.ended is None else attempt.ended
        yield attempt.market, max(0.0, end - max(attempt.started, kept_until))


def _kept_until(attempts: Sequence[Attempt], saves: Sequence[float], now: float) -> float:
    """When a gang last wrote a checkpoint; the beginning of time when it did not."""
    if not attempts:
        return 0.0
    start = min(attempt.started for attempt in attempts) - _S3_CLOCK
    end = max(now if attempt.ended is None else attempt.ended for attempt in attempts)
    claim_and_checkpoints = sorted(moment for moment in saves if start <= moment <= end)
    return claim_and_checkpoints[-1] if len(claim_and_checkpoints) > 1 else 0.0


def money(amount: float, currency: str) -> str:
    """An amount for people: cents, or two significant digits of what is less than one.

    >>> money(1234.567, "USD"), money(0.00123, "USD"), money(0, "EUR")
    ('$1,234.57', '$0.0012', 'EUR 0')
    """
    unit = "$" if currency == "USD" else f"{currency} "
    if not amount:
        return f"{unit}0"
    if amount >= 0.01:
        return f"{unit}{amount:,.2f}"
    digits = 1 - math.floor(math.log10(amount))
    return f"{unit}{amount:.{digits}f}"
