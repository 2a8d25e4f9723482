"""What this host offers: processor cores and GPUs."""

import os
import re
from pathlib import Path


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus(devices: Path = Path("/dev")) -> int:
    """The GPUs that this container was given: ECS passes exactly the device files of the reserved ones."""
    if not devices.is_dir():
        return 0
    return sum(1 for entry in devices.iterdir() if re.fullmatch(r"nvidia[0-9]+", entry.name))
