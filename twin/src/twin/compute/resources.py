"""What a container asks for and what an instance has: vCPUs, memory, GPUs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DEFAULT_X86_64 = ("m6i", "c6i", "r6i", "c7i")
DEFAULT_ARM64 = ("m6g", "c6g", "r6g", "c7g")
BUNDLES = {"optimal": DEFAULT_X86_64, "default_x86_64": DEFAULT_X86_64, "default_arm64": DEFAULT_ARM64}
"""What the bundles stand for, ``optimal`` too by now (AWS Batch API Reference, ComputeResource, instanceTypes)."""


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of computing: virtual CPUs, memory in MiB, GPUs."""

    vcpus: float = 0.0
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.vcpus + other.vcpus, self.memory + other.memory, self.gpus + other.gpus)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.vcpus - other.vcpus, self.memory - other.memory, self.gpus - other.gpus)

    def within(self, other: Resources) -> bool:
        """Whether `other` is at least as much in every respect."""
        return self.vcpus <= other.vcpus and self.memory <= other.memory and self.gpus <= other.gpus


def total(parts: Iterable[Resources]) -> Resources:
    """The sum of `parts`."""
    return sum(parts, Resources())


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A kind of EC2 instance, such as ``g5.xlarge``."""

    name: str
    capacity: Resources


class UnknownInstanceType(ValueError):
    """A compute environment names an instance type or family that EC2 does not have."""


def instance_types(names: Sequence[str]) -> tuple[InstanceType, ...]:
    """The instance types that a compute environment may launch, the smallest first.

    Parameters
    ----------
    names
        ``instanceTypes`` of the environment: types (``g5.xlarge``), families (``g5``), or ``optimal`` and its like.

    Raises
    ------
    UnknownInstanceType
        One of `names` is none of these.
    """
    return _instance_types(tuple(names))


@functools.cache
def _instance_types(names: tuple[str, ...]) -> tuple[InstanceType, ...]:
    found = {kind.name: kind for name in names for kind in _named(name)}
    return tuple(sorted(found.values(), key=lambda kind: (kind.capacity.vcpus, kind.capacity.memory, kind.name)))


def _named(name: str) -> list[InstanceType]:
    types = _read_types()
    if name in types:
        return [types[name]]
    families = BUNDLES.get(name, (name,))
    found = [kind for kind in types.values() if kind.name.partition(".")[0] in families]
    if not found:
        raise UnknownInstanceType(f"Instance type {name} does not exist")
    return found


@functools.cache
def _read_types() -> dict[str, InstanceType]:
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # noqa: PLC0415  takes a second; few callers need it

    return {name: InstanceType(name, _capacity(facts)) for name, facts in INSTANCE_TYPES.items()}


def _capacity(facts: Mapping[str, Any]) -> Resources:
    gpus = sum(int(gpu["Count"]) for gpu in facts.get("GpuInfo", {}).get("Gpus", []))
    return Resources(float(facts["VCpuInfo"]["DefaultVCpus"]), int(facts["MemoryInfo"]["SizeInMiB"]), gpus)


def smallest(types: Sequence[InstanceType], demand: Resources) -> InstanceType | None:
    """The smallest of `types` (sorted as by `instance_types`) that can hold `demand`, if one can."""
    return next((kind for kind in types if demand.within(kind.capacity)), None)


def requested(container: Mapping[str, Any]) -> Resources:
    """What a container's properties ask for: ``resourceRequirements``, or the deprecated ``vcpus`` and ``memory``."""
    asked = {item["type"]: item["value"] for item in container.get("resourceRequirements") or []}
    return Resources(
        vcpus=float(asked.get("VCPU") or container.get("vcpus") or 0),
        memory=int(asked.get("MEMORY") or container.get("memory") or 0),
        gpus=int(asked.get("GPU") or 0),
    )
