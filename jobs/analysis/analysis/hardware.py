"""What this host offers to a member: processor cores, GPUs, and the network of the gang's collective.

Workers on GPUs exchange their sums over NCCL. NCCL uses TCP unless it finds a network plugin, and it falls back to TCP without an error.
Over EFA it needs three things: Amazon's plugin (aws-ofi-nccl), libfabric behind the plugin, and the devices of EFA. A gang that is to
use EFA is therefore checked before it starts: otherwise it would train slowly on expensive instances, and without an error.
Workers on CPUs use XGBoost's own collective, which is TCP.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spotline.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EFA, TCP = "efa", "tcp"

_LIBFABRIC = ("libfabric.so.1", "libfabric.so")
_LOADER_CONFIGURATION = "etc/ld.so.conf.d"
# Where the dynamic loader looks after LD_LIBRARY_PATH and its configuration ("ld.so", Linux man pages).
_STANDARD_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_WAY_OUT = "Build the analysis image with `--target efa`, or on a base that holds Amazon's libfabric and aws-ofi-nccl, or deploy with Efa=off"


def count_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_gpus(devices: Path = Path("/dev")) -> int:
    """The GPUs that this container was given: ECS passes exactly the device files of the reserved ones."""
    if not devices.is_dir():
        return 0
    return sum(1 for entry in devices.iterdir() if re.fullmatch(r"nvidia[0-9]+", entry.name))


@dataclass(frozen=True)
class Network:
    """What was found of EFA: the paths of the two libraries, None where there is none, and the number of devices."""

    libfabric: str | None = None
    plugin: str | None = None
    devices: int = 0

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts of EFA that are not there, in words."""
        parts = {
            "libfabric (libfabric.so.1)": self.libfabric,
            "NCCL's network plugin aws-ofi-nccl (libnccl-net.so)": self.plugin,
            "EFA's devices (/dev/infiniband/uverbs*)": self.devices,
        }
        return tuple(name for name, found in parts.items() if not found)

    def find_provider(self, device: str) -> str:
        """The network of the workers' collective when they compute on `device`."""
        return EFA if device.startswith("cuda") and not self.missing else TCP


def find_network(environ: Mapping[str, str], root: Path = Path("/")) -> Network:
    """Look for the parts of EFA where the dynamic loader and NCCL would; `root` stands for the root folder."""
    folders = [root / folder.lstrip("/") for folder in _list_library_folders(environ, root)]
    devices = root / "dev/infiniband"
    return Network(
        libfabric=_find(_LIBFABRIC, folders),
        plugin=_find(_list_plugin_names(environ), folders),
        devices=len(list(devices.glob("uverbs[0-9]*"))) if devices.is_dir() else 0,
    )


def require_efa(environ: Mapping[str, str], root: Path = Path("/")) -> None:
    """Check that EFA is complete when it is asked for, which the job definition does with `FI_PROVIDER=efa`.

    Raises
    ------
    SettingsError
        Names what is missing, and the way out.
    """
    if environ.get("FI_PROVIDER", "").lower() != EFA:
        return
    if missing := find_network(environ, root).missing:
        raise SettingsError(
            f"FI_PROVIDER=efa asks for EFA, and this container lacks {', '.join(missing)}. NCCL would use TCP instead, without an error."
            f" {_WAY_OUT}"
        )


def _list_plugin_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The files that NCCL takes for its network plugin ("NCCL_NET_PLUGIN", NCCL user guide)."""
    chosen = environ.get("NCCL_NET_PLUGIN", "")
    if chosen.lower() == "none":
        return ()
    return (chosen, f"libnccl-net-{chosen}.so") if chosen else ("libnccl-net.so",)


def _list_library_folders(environ: Mapping[str, str], root: Path) -> Iterator[str]:
    yield from filter(None, environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    configuration = root / _LOADER_CONFIGURATION
    if configuration.is_dir():
        for file in sorted(configuration.glob("*.conf")):
            yield from (line.strip() for line in file.read_text().splitlines() if line.startswith("/"))
    yield from _STANDARD_FOLDERS


def _find(names: Iterable[str], folders: Iterable[Path]) -> str | None:
    """The first of the files that exists, in the order of the folders; a link to nowhere does not count."""
    tried = list(names)
    return next((str(folder / name) for folder in folders for name in tried if (folder / name).is_file()), None)
