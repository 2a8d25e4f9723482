"""EC2's instance types and where AWS offers them, as EC2 itself describes them: nothing here is typed by hand.

moto ships the answers of DescribeInstanceTypes and DescribeInstanceTypeOfferings in its `ec2/resources` folder, and its version is
pinned in requirements/dev.txt.
"""

from __future__ import annotations

import functools
import gzip
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from twin.compute.resources import BUNDLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_RESOURCES = files("moto") / "ec2" / "resources"
_OFFERINGS = _RESOURCES / "instance_type_offerings"


@dataclass(frozen=True)
class InstanceType:
    """What one instance has. `interfaces` holds, for each network card by its index, the most network interfaces that it takes."""

    name: str
    vcpus: int
    memory_mib: int
    gpus: int
    gpu: str
    efa_interfaces: int
    interfaces: tuple[int, ...]
    store_gb: int
    placement: frozenset[str]
    burstable: bool
    usage: frozenset[str]

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> InstanceType:
        """Read one entry of DescribeInstanceTypes' answer."""
        gpus = answer.get("GpuInfo", {}).get("Gpus", [])
        network = answer["NetworkInfo"]
        cards = sorted(network.get("NetworkCards", []), key=lambda card: card["NetworkCardIndex"])
        return cls(
            name=answer["InstanceType"],
            vcpus=answer["VCpuInfo"]["DefaultVCpus"],
            memory_mib=answer["MemoryInfo"]["SizeInMiB"],
            gpus=sum(int(gpu["Count"]) for gpu in gpus),
            gpu=" ".join(gpu["Name"] for gpu in gpus),
            efa_interfaces=network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0),
            interfaces=tuple(card["MaximumNetworkInterfaces"] for card in cards),
            store_gb=answer.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
            placement=frozenset(answer["PlacementGroupInfo"]["SupportedStrategies"]),
            burstable=answer["BurstablePerformanceSupported"],
            usage=frozenset(answer["SupportedUsageClasses"]),
        )


def _read(path: Any) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


INSTANCE_TYPES = {
    name: InstanceType.from_answer(answer) for name, answer in _read(_RESOURCES / "instance_types.json.gz").items()
}
REGIONS = tuple(
    sorted(
        path.name.removesuffix(".json.gz") for path in (_OFFERINGS / "region").iterdir() if path.name != "__init__.py"
    )
)


def find_types(names: Iterable[str]) -> list[InstanceType]:
    """The types that an environment may launch: a type names itself, a family or one of Batch's bundles each of its types."""
    wanted = [family for name in names for family in BUNDLES.get(name, (name,))]
    return [kind for kind in INSTANCE_TYPES.values() if kind.name in wanted or kind.name.partition(".")[0] in wanted]


@functools.cache
def read_offerings(region: str) -> Mapping[str, frozenset[str]]:
    """What a region offers: for each instance type the names of the Availability Zones that have it."""
    zones: dict[str, set[str]] = {
        entry["InstanceType"]: set() for entry in _read(_OFFERINGS / "region" / f"{region}.json.gz")
    }
    for entry in _read(_OFFERINGS / "availability-zone" / f"{region}.json.gz"):
        zones.setdefault(entry["InstanceType"], set()).add(entry["Location"])
    return {name: frozenset(where) for name, where in zones.items()}
