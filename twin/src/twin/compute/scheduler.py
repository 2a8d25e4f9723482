"""Where the next jobs run: AWS Batch's placement as a pure function of queues, environments and what is in use.

Queues that share an environment are served by priority; within a queue the head goes first and, while it cannot be
placed, everything behind it waits (AWS Batch User Guide, "Job queue priority" and "First-in-first-out"). A queue with a
scheduling policy picks its head by weighted shares instead: the share that has the fewest vCPUs running for its weight, in it the
job of the highest scheduling priority, of equal ones the oldest ("Fair-share scheduling policies"). What ran before does not count
here, as it does on AWS within the policy's `shareDecaySeconds`. Environments are tried in the queue's order.

A multi-node job needs an instance for each node at once, and is never placed on Spot: it stays RUNNABLE without a word
("Compute environment considerations" for multi-node parallel jobs).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from twin.compute.resources import InstanceType, Resources, smallest, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Market(StrEnum):
    """What kind of capacity a compute environment buys."""

    SPOT = "SPOT"
    ON_DEMAND = "ON_DEMAND"
    FARGATE = "FARGATE"
    FARGATE_SPOT = "FARGATE_SPOT"

    @classmethod
    def from_type(cls, compute_type: str) -> Market:
        """The market of an environment whose ``computeResources.type`` this is."""
        return cls.ON_DEMAND if compute_type == "EC2" else cls(compute_type)

    @property
    def fargate(self) -> bool:
        """Whether containers run without an instance of their own account."""
        return self in (Market.FARGATE, Market.FARGATE_SPOT)

    @property
    def reclaimable(self) -> bool:
        """Whether AWS may take the capacity back."""
        return self in (Market.SPOT, Market.FARGATE_SPOT)


class Reason(StrEnum):
    """Why the head of a queue cannot be placed (AWS Batch User Guide, "Jobs stuck in a RUNNABLE status")."""

    INSUFFICIENT_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
    MAX_RESOURCE = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
    RESOURCE_REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


@dataclass(frozen=True)
class Environment:
    """A compute environment; `types` are the instances it may launch, none for Fargate."""

    name: str
    market: Market
    max_vcpus: float
    types: tuple[InstanceType, ...] = ()
    enabled: bool = True


@dataclass(frozen=True)
class Demand:
    """What a waiting job needs: one container, or a node each for a multi-node job; `order` is its age, oldest first."""

    job_id: str
    nodes: tuple[Resources, ...]
    multinode: bool = False
    share: str = ""
    priority: int = 0
    order: int = 0


@dataclass(frozen=True)
class Shares:
    """A fair-share policy: a share's `weights` entry divides its right to run; unlisted shares weigh 1.

    A weight's key may end in ``*`` and then stands for all shares that begin so (AWS Batch API Reference,
    ShareAttributes).
    """

    weights: Mapping[str, float]

    def weight(self, share: str) -> float:
        """The weight factor of `share`: the smaller, the more it may run."""
        for key, weight in self.weights.items():
            if key == share or (key.endswith("*") and share.startswith(key[:-1])):
                return weight
        return 1.0


@dataclass(frozen=True)
class Queue:
    """A job queue and its RUNNABLE jobs, the oldest first; `running` is the vCPUs that each share has running."""

    name: str
    priority: int
    environments: tuple[str, ...]
    waiting: Sequence[Demand]
    shares: Shares | None = None
    running: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Placement:
    """A job's place: the environment, and an instance type for each of its nodes (None on Fargate)."""

    job_id: str
    environment: str
    types: tuple[InstanceType | None, ...]


@dataclass(frozen=True)
class Block:
    """The head of a queue that cannot be placed; without a `reason` it only waits, for its turn or for ever."""

    job_id: str
    queue: str
    reason: Reason | None
    instance_type: str | None = None


@dataclass(frozen=True)
class Plan:
    """What to start now, and which heads of queues stay."""

    placements: tuple[Placement, ...]
    blocks: tuple[Block, ...]


class _Verdict(StrEnum):
    FITS = "fits"
    FULL = "full"
    NO_SUPPLY = "no supply"
    TOO_BIG = "too big"
    NO_TYPE = "no type"
    UNSUPPORTED = "unsupported"


_IMPOSSIBLE = {_Verdict.TOO_BIG, _Verdict.NO_TYPE, _Verdict.UNSUPPORTED}


class _Use:
    """What is taken while a plan grows: by environment and by market."""

    def __init__(self, environments: Mapping[str, Environment], used: Mapping[str, Resources]) -> None:
        self.environments = environments
        self.used = {name: used.get(name, Resources()) for name in environments}

    def take(self, environment: str, amount: Resources) -> None:
        self.used[environment] += amount

    def market_vcpus(self, market: Market) -> float:
        return sum(self.used[name].vcpus for name, env in self.environments.items() if env.market == market)


def schedule(
    queues: Sequence[Queue],
    environments: Mapping[str, Environment],
    used: Mapping[str, Resources],
    supply: Mapping[Market, float],
) -> Plan:
    """Place what can be placed now.

    Parameters
    ----------
    queues
        Enabled and disabled alike: a disabled queue takes no new jobs, but places those it has.
    environments
        By name; a queue tries its own in order, leaving out disabled ones.
    used
        What running jobs hold, by environment.
    supply
        vCPUs that a market can lend in all; a market that is not in it lends without limit.

    Returns
    -------
    Plan
        Placements in the order in which they were made, and the blocked head of each queue that has one.
    """
    use = _Use(environments, used)
    placements: list[Placement] = []
    blocks: list[Block] = []
    for queue in sorted(queues, key=lambda queue: -queue.priority):
        candidates = [environments[name] for name in queue.environments if environments[name].enabled]
        for demand, started in _heads(queue):
            found = _place(demand, queue, candidates, use, supply)
            if isinstance(found, Block):
                blocks.append(found)
                break
            use.take(found.environment, total(demand.nodes))
            placements.append(found)
            started.append(demand)
    return Plan(tuple(placements), tuple(blocks))


def _heads(queue: Queue) -> Iterator[tuple[Demand, list[Demand]]]:
    """The jobs of a queue in the order in which they may start; the caller tells what it started."""
    if queue.shares is None:
        for demand in queue.waiting:
            yield demand, []
        return
    running = dict(queue.running)
    waiting: dict[str, deque[Demand]] = {}
    for demand in sorted(queue.waiting, key=lambda demand: (-demand.priority, demand.order)):
        waiting.setdefault(demand.share, deque()).append(demand)
    weight = queue.shares.weight
    while waiting:
        share = min(waiting, key=lambda name: (running.get(name, 0.0) * weight(name), waiting[name][0].order))
        started: list[Demand] = []
        yield waiting[share].popleft(), started
        if not waiting[share]:
            del waiting[share]
        for demand in started:
            running[demand.share] = running.get(demand.share, 0.0) + total(demand.nodes).vcpus


def _place(
    demand: Demand, queue: Queue, candidates: Sequence[Environment], use: _Use, supply: Mapping[Market, float]
) -> Placement | Block:
    verdicts: list[_Verdict] = []
    for environment in candidates:
        verdict = _judge(demand, environment, use, supply)
        if verdict is _Verdict.FITS:
            types = tuple(smallest(environment.types, node) for node in demand.nodes)
            return Placement(demand.job_id, environment.name, types)
        verdicts.append(verdict)
    return Block(demand.job_id, queue.name, _reason(verdicts), _wanted_type(demand, candidates))


def _judge(demand: Demand, environment: Environment, use: _Use, supply: Mapping[Market, float]) -> _Verdict:
    needed = total(demand.nodes)
    if demand.multinode and environment.market is not Market.ON_DEMAND:
        return _Verdict.UNSUPPORTED
    if not environment.market.fargate and any(smallest(environment.types, node) is None for node in demand.nodes):
        return _Verdict.NO_TYPE
    limit = _limit(environment)
    if not needed.within(limit):
        return _Verdict.TOO_BIG
    if not (use.used[environment.name] + needed).within(limit):
        return _Verdict.FULL
    lent = supply.get(environment.market, math.inf)
    if use.market_vcpus(environment.market) + needed.vcpus > lent:
        return _Verdict.NO_SUPPLY
    return _Verdict.FITS


def _limit(environment: Environment) -> Resources:
    """All that an environment can hold: its vCPUs, and the memory and GPUs that the richest instances bring with them."""
    if environment.market.fargate:
        return Resources(environment.max_vcpus, 1 << 62, 0)
    memory = gpus = 0
    for kind in environment.types:
        instances = max(1, math.ceil(environment.max_vcpus / kind.capacity.vcpus))
        memory = max(memory, instances * kind.capacity.memory)
        gpus = max(gpus, instances * kind.capacity.gpus)
    return Resources(environment.max_vcpus, memory, gpus)


def _reason(verdicts: Sequence[_Verdict]) -> Reason | None:
    """Why a head is blocked; AWS names a reason only when it holds for every environment of the queue."""
    possible = [verdict for verdict in verdicts if verdict not in _IMPOSSIBLE]
    if possible:
        return Reason.INSUFFICIENT_CAPACITY if set(possible) == {_Verdict.NO_SUPPLY} else None
    if _Verdict.TOO_BIG in verdicts:
        return Reason.MAX_RESOURCE
    return Reason.RESOURCE_REQUIREMENT if _Verdict.NO_TYPE in verdicts else None


def _wanted_type(demand: Demand, candidates: Sequence[Environment]) -> str | None:
    for environment in candidates:
        if kind := smallest(environment.types, demand.nodes[0]):
            return kind.name
    return None
