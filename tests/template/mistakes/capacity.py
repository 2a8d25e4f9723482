"""Mistakes in where instances come from: regions, reservations, prices."""

from __future__ import annotations

from tests.template.mistakes.planting import COMPUTE, Mistake
from tests.template.system import RESERVED, TEMPLATE

MISTAKES = {
    "On-Demand families that some regions lack": Mistake(
        "every_region_of_the_gang_offers_every_instance_type",
        COMPUTE,
        '!Split [",", !Ref MainInstanceTypes]',
        "[m7i, m6i, c7i, c6i, r7i, r6i]",
    ),
    "Spot families that most regions lack": Mistake(
        "every_region_of_the_gang_offers_every_instance_type",
        COMPUTE,
        '!Split [",", !Ref MainSpotInstanceTypes]',
        "[m7i, m7a, m6i, m6a, m5, c7i, c7a, c6i, c6a, r7i, r7a, r6i, r6a]",
    ),
    "a family that Batch does not take": Mistake(
        "every_region_of_the_gang_offers_every_instance_type", COMPUTE, '!Split [",", !Ref MainInstanceTypes]', "[t3]"
    ),
    "a dearer type beside the gang's on Spot": Mistake(
        "gangs_run_on_the_type_that_their_cost_names",
        COMPUTE,
        "        InstanceTypes: [!Ref GangInstanceType]\n",
        "        InstanceTypes: [!Ref GangInstanceType, gr6.4xlarge]\n",
        {"GangInstanceType": "g6.4xlarge"},
    ),
    "reserved capacity on Spot": Mistake(
        "reserved_capacity_is_for_on_demand_gangs",
        COMPUTE,
        "        LaunchTemplate: {LaunchTemplateId: !Ref GangInstance, Version: !GetAtt GangInstance.LatestVersionNumber}\n",
        "        LaunchTemplate: {LaunchTemplateId: !Ref ReservedGangInstance, Version: !GetAtt ReservedGangInstance.LatestVersionNumber}\n",
        RESERVED,
    ),
    "a placement group that was not reserved": Mistake(
        "reserved_capacity_is_for_on_demand_gangs",
        COMPUTE,
        "PlacementGroup: !If [WithReservation, !Ref AWS::NoValue, !Ref GangPlacement]",
        "PlacementGroup: !Ref GangPlacement",
        RESERVED,
    ),
    "a Capacity Block of a type that has none": Mistake(
        "reserved_capacity_is_for_on_demand_gangs",
        TEMPLATE,
        "!Contains [[p4d.24xlarge, p5.48xlarge], !Ref GangInstanceType]",
        "!Contains [[g6.12xlarge], !Ref GangInstanceType]",
        {**RESERVED, "GangInstanceType": "g6.12xlarge"},
    ),
    "two names of one reservation": Mistake(
        "reserved_capacity_is_for_on_demand_gangs",
        COMPUTE,
        "            - {CapacityReservationId: !Ref CapacityReservationId}\n",
        "            - {CapacityReservationId: !Ref CapacityReservationId, CapacityReservationResourceGroupArn: arn}\n",
        RESERVED,
    ),
    "a Spot price for On-Demand": Mistake(
        "spot_prices_are_bounded_on_spot_only",
        COMPUTE,
        "        AllocationStrategy: BEST_FIT_PROGRESSIVE\n",
        "        AllocationStrategy: BEST_FIT_PROGRESSIVE\n        BidPercentage: 60\n",
    ),
    "a Spot price for one queue": Mistake(
        "spot_prices_are_bounded_on_spot_only",
        COMPUTE,
        "        BidPercentage: !If [WithBidPercentage, !Ref BidPercentage, !Ref AWS::NoValue]\n",
        "",
        {"BidPercentage": "60"},
    ),
}
