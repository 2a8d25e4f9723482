"""Rules about where instances come from: what regions offer, what is reserved, and what they cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.template.instances import REGIONS, find_types, read_offerings
from tests.template.rules.hosts import is_reserved, template_of, with_instances
from tests.template.rules.jobs import gangs
from tests.template.rules.sources import Choice, Data, Page, Report, rests_on
from tests.template.system import ROOT, System

if TYPE_CHECKING:
    from collections.abc import Iterator


@rests_on(
    Data("moto", "DescribeInstanceTypeOfferings by region and Availability Zone"),
    Report(
        "https://github.com/aws-samples/aws-genai-llm-chatbot/issues/488",
        "CreateComputeEnvironment refuses a list with one family that the region lacks",
    ),
    Report(
        "https://github.com/opensupplyhub/open-supply-hub/pull/1058",
        "Batch takes no burstable families, which EC2 offers there",
    ),
)
def every_region_of_the_gang_offers_every_instance_type(system: System) -> Iterator[str]:
    """One type or family that a region lacks refuses the environment, and with it the stack."""
    kinds = {
        kind.name
        for _, queue in gangs(system)
        for it in system.environments(queue)
        for kind in find_types(it["InstanceTypes"])
    }
    for region in REGIONS:
        offered = read_offerings(region)
        if not any(offered.get(kind) for kind in kinds):
            continue
        for environment in with_instances(system):
            for name in environment.properties["ComputeResources"]["InstanceTypes"]:
                types = [kind for kind in find_types([name]) if offered.get(kind.name)]
                if not types or all(kind.burstable for kind in types):
                    yield f"{environment.path}: {region} has {', '.join(sorted(kinds))}, but not {name}"


@rests_on(
    Choice(
        "a gang's cost is its hours times the price of GangInstanceType: Batch does not say which type a job ran on"
    ),
)
def gangs_run_on_the_type_that_their_cost_names(system: System) -> Iterator[str]:
    """A second type on Spot would be paid at its own price and estimated at the first one's."""
    named = system.named("NotifyFunction").properties["Environment"]["Variables"]["GANG_INSTANCE_TYPE"]
    priced = json.loads((ROOT / "layers/spotline/spotline/prices.json").read_text())["instances"]
    if named not in priced:
        yield f"prices.json names no price of {named}"
    for _, queue in gangs(system):
        for environment in system.environments(queue):
            if environment["InstanceTypes"] != [named]:
                yield f"{queue} launches {environment['InstanceTypes']}, costs are those of {named}"


@rests_on(
    Data("moto", "SupportedUsageClasses of DescribeInstanceTypes"),
    Page(
        "CloudFormation Template Reference",
        "CapacityReservationSpecification of AWS::EC2::LaunchTemplate: one option at a time",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-ec2-launchtemplate-capacityreservationspecification.html",
    ),
    Page(
        "awsome-distributed-ai",
        "aws-batch-distributed-training-p5: MarketType capacity-block with the reservation's id, without a placement group",
        "https://github.com/awslabs/awsome-distributed-ai/blob/main/1.architectures/3.aws-batch/0.aws-batch-distributed-training-p5.yaml",
    ),
    Page(
        "EC2 User Guide",
        "Launch instances using Capacity Blocks: in the block's zone",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-blocks-launch.html",
    ),
)
def reserved_capacity_is_for_on_demand_gangs(system: System) -> Iterator[str]:
    """Spot takes no reservation; a reservation has one name, one zone, no placement group of ours, and a type that can be reserved."""
    for environment in with_instances(system):
        resources = environment.properties["ComputeResources"]
        if not is_reserved(system, resources):
            continue
        data = template_of(system, resources)
        if resources["Type"] != "EC2":
            yield f"{environment.path} is of type {resources['Type']} and names reserved capacity"
        if len(data["CapacityReservationSpecification"]["CapacityReservationTarget"]) != 1:
            yield f"{environment.path} names its reservation in two ways, or in none"
        if "PlacementGroup" in resources or len(resources["Subnets"]) != 1:
            yield f"{environment.path}: reserved capacity lies in one zone, outside of a placement group of ours"
        market = data.get("InstanceMarketOptions", {}).get("MarketType")
        for kind in find_types(resources["InstanceTypes"]):
            if market is not None and market not in kind.usage:
                yield f"{environment.path}: EC2 sells no {market} of {kind.name}"


@rests_on(
    Page(
        "Batch API Reference",
        "ComputeResource: bidPercentage is the maximum of a Spot price in percent of On-Demand's",
        "https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html",
    ),
)
def spot_prices_are_bounded_on_spot_only(system: System) -> Iterator[str]:
    """A maximum price belongs to every Spot environment or to none, and to no other."""
    bids = {
        environment.path: environment.properties["ComputeResources"].get("BidPercentage")
        for environment in with_instances(system)
    }
    for environment in with_instances(system):
        if environment.properties["ComputeResources"]["Type"] != "SPOT" and bids.pop(environment.path) is not None:
            yield f"{environment.path} does not buy on Spot and has a BidPercentage"
    if len(set(bids.values())) > 1:
        yield f"Spot environments bid differently: {bids}"


RULES = (
    every_region_of_the_gang_offers_every_instance_type,
    gangs_run_on_the_type_that_their_cost_names,
    reserved_capacity_is_for_on_demand_gangs,
    spot_prices_are_bounded_on_spot_only,
)
