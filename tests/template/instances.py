"""What EC2's instance types are, as its documentation says ("Amazon EC2 accelerated computing instance types")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InstanceType:
    """vCPUs, installed memory, GPUs with their model, and network cards that take EFA."""

    vcpus: int
    memory_gib: int
    gpus: int
    gpu: str
    efa_cards: int = 0


INSTANCE_TYPES = {
    "g5.2xlarge": InstanceType(8, 32, 1, "A10G"),
    "g6.2xlarge": InstanceType(8, 32, 1, "L4"),
    "g6.4xlarge": InstanceType(16, 64, 1, "L4"),
    "gr6.4xlarge": InstanceType(16, 128, 1, "L4"),
    "g6.12xlarge": InstanceType(48, 192, 4, "L4", 1),
    "g6e.12xlarge": InstanceType(48, 384, 4, "L40S", 1),
    "p4d.24xlarge": InstanceType(96, 1152, 8, "A100", 4),
    "p5.48xlarge": InstanceType(192, 2048, 8, "H100", 32),
}
