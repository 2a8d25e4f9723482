"""The network takes three zones where the region has them and two where it does not, in every region that AWS has."""

from __future__ import annotations

from typing import Any

import pytest
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from tests.template.instances import REGIONS, read_offerings
from tests.template.rules import RULES
from tests.template.system import System, load


def zones_by_region() -> dict[str, list[str]]:
    """Each region's zones: what DescribeAvailabilityZones answers, without those in which EC2 offers no instance type.

    Moto ships both of AWS's answers. Where they differ, only a zone that is in both counts.
    """
    described = {region: [zone.name for zone in zones] for region, zones in RegionsAndZonesBackend.zones.items()}
    offering = {region: set().union(*read_offerings(region).values()) for region in REGIONS}
    return {
        region: [zone for zone in zones if zone in offering.get(region, zones)] for region, zones in described.items()
    }


ZONES = zones_by_region()


def subnets(system: System) -> dict[str, Any]:
    """The zone of each subnet in which jobs run."""
    return {
        subnet.name: subnet.properties["AvailabilityZone"]
        for subnet in system.all("AWS::EC2::Subnet")
        if subnet.name.startswith("Private")
    }


def test_aws_has_regions_with_two_zones_and_regions_with_more() -> None:
    assert {len(zones) for zones in ZONES.values()} >= {2, 3}


@pytest.mark.parametrize("region", sorted(ZONES))
def test_a_region_s_first_three_zones_are_used_or_its_two(region: str) -> None:
    system = load({"Egress": "endpoints"}, region=region, zones=ZONES[region])

    assert list(subnets(system).values()) == ZONES[region][:3]
    for rule in ("capacity_comes_from_several_zones", "endpoints_answer_everybody_in_every_zone"):
        assert list(RULES[rule](system)) == []


def test_an_account_that_sees_two_zones_of_a_region_with_three_still_deploys() -> None:
    """Fn::GetAZs lists only the zones with a default subnet, if there is any: the third subnet then shares the first one's zone."""
    system = load({}, region="eu-central-1", zones=["eu-central-1a", "eu-central-1b"])

    assert list(subnets(system).values()) == ["eu-central-1a", "eu-central-1b", "eu-central-1a"]


@pytest.mark.parametrize("named", ["us-east-1c,us-east-1d", "us-east-1f,us-east-1a,us-east-1b"])
def test_named_zones_are_used_in_their_order(named: str) -> None:
    assert ",".join(subnets(load({"Zones": named}, region="us-east-1", zones=ZONES["us-east-1"])).values()) == named
