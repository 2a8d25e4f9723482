"""What AWS Batch refuses of a compute environment with instances, as pure functions: CreateComputeEnvironment and UpdateComputeEnvironment.

The wording is AWS's, seen in live reports: aws/aws-cdk issue 21577 (security groups beside interfaces), aws/amazon-genomics-cli
issue 209 (a type that the region lacks), opensupplyhub/open-supply-hub pull request 1058 (burstable types are among those refused).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from twin.compute.resources import BUNDLES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_BOTH = "Either compute environment Security Groups or Network Interfaces in Launch template are exclusively allowed"


def environment_problems(
    resources: Mapping[str, Any], interfaces: Sequence[Mapping[str, Any]], offered: Collection[str]
) -> list[str]:
    """Find what is wrong with an environment's compute resources.

    Parameters
    ----------
    resources
        The request's ``computeResources``, of type EC2 or SPOT.
    interfaces
        The network interfaces of its launch template's version.
    offered
        The instance types and families that Batch takes in the region, as `read_offered` lists them.
    """
    found = []
    if interfaces and resources.get("securityGroupIds"):
        found.append(_BOTH)
    unknown = [name for name in resources["instanceTypes"] if name not in offered and name not in BUNDLES]
    if unknown:
        choice = ", ".join(sorted({*offered, *BUNDLES}))
        found.append(f"Instance type can only be one of [{choice}]; it cannot be {', '.join(unknown)}")
    return found


@functools.cache
def read_offered(region: str) -> frozenset[str]:
    """List the instance types of a region that Batch takes, and their families: EC2's offerings without burstable types.

    Of a region that moto has no offerings of, such as one of GovCloud, every type of EC2 counts as offered.
    """
    from moto.ec2.models.instance_types import (  # noqa: PLC0415  takes a second; few callers need it
        INSTANCE_TYPE_OFFERINGS,
        INSTANCE_TYPES,
    )

    offerings = INSTANCE_TYPE_OFFERINGS["region"].get(region)
    every = INSTANCE_TYPES if offerings is None else [entry["InstanceType"] for entry in offerings]
    types = [name for name in every if not INSTANCE_TYPES.get(name, {}).get("BurstablePerformanceSupported")]
    return frozenset(types) | {name.partition(".")[0] for name in types}
