"""What Fargate refuses of a job definition, as a pure function.

Source: "Job definitions on Fargate" and "Job definition parameters" (resourceRequirements) in the AWS Batch user guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.compute.resources import requested

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_GIB = 1024
_MEMORY_MIB: dict[float, Collection[int]] = {
    0.25: (512, _GIB, 2 * _GIB),
    0.5: range(_GIB, 4 * _GIB + 1, _GIB),
    1: range(2 * _GIB, 8 * _GIB + 1, _GIB),
    2: range(4 * _GIB, 16 * _GIB + 1, _GIB),
    4: range(8 * _GIB, 30 * _GIB + 1, _GIB),
    8: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
    16: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
}
"""The amounts of memory that each number of vCPUs may have."""
_OF_INSTANCES = ("instanceType", "ulimits", "memory", "vcpus")
_LINUX_OF_INSTANCES = ("devices", "maxSwap", "sharedMemorySize", "swappiness", "tmpfs")


def is_for_fargate(definition: Mapping[str, Any]) -> bool:
    """Whether a job definition, as it was registered, runs on Fargate."""
    return "FARGATE" in (definition.get("platformCapabilities") or [])


def problems(container: Mapping[str, Any]) -> list[str]:
    """What is wrong with the ``containerProperties`` of a job definition for Fargate."""
    linux = container.get("linuxParameters") or {}
    found = [f"{name} is not applicable to Fargate" for name in _OF_INSTANCES if container.get(name)]
    found += [f"linuxParameters.{name} is not applicable to Fargate" for name in _LINUX_OF_INSTANCES if linux.get(name)]
    if container.get("privileged"):
        found.append("privileged is not applicable to Fargate")
    if not container.get("executionRoleArn"):
        found.append("executionRoleArn must be set on Fargate")
    if any(volume.get("host") is not None for volume in container.get("volumes") or ()):
        found.append("volumes.host is not applicable to Fargate")
    return found + _amount_problems(container)


def _amount_problems(container: Mapping[str, Any]) -> list[str]:
    asked = requested(container)
    if asked.gpus:
        return ["GPU is not supported on Fargate"]
    if asked.vcpus not in _MEMORY_MIB:
        return [f"Fargate has no {asked.vcpus:g} vCPUs, but {', '.join(f'{vcpus:g}' for vcpus in _MEMORY_MIB)}"]
    if asked.memory not in _MEMORY_MIB[asked.vcpus]:
        return [f"Fargate does not lend {asked.memory} MiB with {asked.vcpus:g} vCPUs"]
    return []
