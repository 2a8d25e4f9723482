"""Mistakes in the places where jobs run: compute environments, queues, instances and networks."""

from __future__ import annotations

from tests.template.mistakes.planting import COMPUTE, NETWORK, Mistake
from tests.template.system import DEFINITION, FARGATE, PROD

MISTAKES = {
    "On-Demand with a Spot strategy": Mistake(
        "markets_and_strategies_agree", COMPUTE, "BEST_FIT_PROGRESSIVE\n", "SPOT_CAPACITY_OPTIMIZED\n"
    ),
    "an instance role that cannot join ECS": Mistake(
        "instances_can_join_their_cluster",
        COMPUTE,
        "AmazonEC2ContainerServiceforEC2Role",
        "AmazonECSTaskExecutionRolePolicy",
    ),
    "an instance profile's name where its ARN belongs": Mistake(
        "instances_can_join_their_cluster", COMPUTE, "!GetAtt InstanceProfile.Arn", "!Ref InstanceProfile"
    ),
    "one zone": Mistake(
        "capacity_comes_from_several_zones",
        NETWORK,
        '!Join [",", *every-subnet]',
        "!Ref PrivateSubnetA",
    ),
    "both subnets in one zone": Mistake(
        "capacity_comes_from_several_zones", NETWORK, '!Select [1, !GetAZs ""]', '!Select [0, !GetAZs ""]'
    ),
    "instance types of Fargate": Mistake(
        "fargate_has_no_instances",
        COMPUTE,
        "        Type: FARGATE\n",
        "        Type: FARGATE\n        InstanceTypes: [m7i]\n",
        FARGATE,
    ),
    "Fargate behind instances": Mistake(
        "fargate_has_no_instances",
        COMPUTE,
        "        - {Order: 1, ComputeEnvironment: !Ref Fargate}\n",
        "        - {Order: 1, ComputeEnvironment: !Ref Fargate}\n        - {Order: 2, ComputeEnvironment: !Ref MainOnDemand}\n",
        FARGATE,
    ),
    "a backfill that is as urgent as the day": Mistake(
        "backfill_never_goes_before_the_day", COMPUTE, "      Priority: 1\n", "      Priority: 10\n"
    ),
    "a backfill on the day's queue": Mistake(
        "backfill_never_goes_before_the_day",
        DEFINITION,
        '"preprocess": "${BackfillQueue}"',
        '"preprocess": "${MainQueue}"',
    ),
    "a backfill that pays for On-Demand first": Mistake(
        "backfill_never_goes_before_the_day",
        COMPUTE,
        "        - {Order: 1, ComputeEnvironment: !Ref MainSpot}\n        - {Order: 2, ComputeEnvironment: !Ref MainOnDemand}\n",
        "        - {Order: 1, ComputeEnvironment: !Ref MainOnDemand}\n        - {Order: 2, ComputeEnvironment: !Ref MainSpot}\n",
    ),
    "a job without a share": Mistake(
        "datasets_share_the_queues_that_are_not_gangs", DEFINITION, '        "ShareIdentifier.$": "$.share",\n', ""
    ),
    "a queue that refuses shares": Mistake(
        "datasets_share_the_queues_that_are_not_gangs",
        COMPUTE,
        "      Priority: 10\n      SchedulingPolicyArn: !GetAtt SharesOfDatasets.Arn\n",
        "      Priority: 10\n",
    ),
    "a spread-out multi-node job": Mistake(
        "multi_node_jobs_stand_close", COMPUTE, "Strategy: cluster", "Strategy: spread"
    ),
    "an interface without the gang's security group": Mistake(
        "a_gang_is_open_to_itself_both_ways",
        COMPUTE,
        "InterfaceType: efa-only, Groups: [!Ref GangSecurityGroup]",
        "InterfaceType: efa-only, Groups: [!Ref JobSecurityGroup]",
        PROD,
    ),
    "no limit for a missing capacity": Mistake(
        "queues_do_not_wait_for_ever",
        COMPUTE,
        '        - {State: RUNNABLE, Action: CANCEL, MaxTimeSeconds: !Ref SpotMaxWaitSeconds, Reason: "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"}\n',
        "",
    ),
    "a limit that Batch refuses": Mistake(
        "queues_do_not_wait_for_ever", COMPUTE, "MaxTimeSeconds: 600", "MaxTimeSeconds: 300"
    ),
    "a job cancelled while its instance boots": Mistake(
        "queues_wait_for_instances_to_boot", COMPUTE, "MaxTimeSeconds: 1800", "MaxTimeSeconds: 600"
    ),
    "gangs that take turns": Mistake(
        "gangs_do_not_take_turns",
        COMPUTE,
        "        - {Order: 1, ComputeEnvironment: !Ref GpuSpot}\n",
        "        - {Order: 1, ComputeEnvironment: !Ref GpuSpot}\n      SchedulingPolicyArn: fair\n",
    ),
    "a port open to the world": Mistake(
        "nothing_comes_in_from_an_address",
        NETWORK,
        "SourceSecurityGroupId: !Ref JobSecurityGroup",
        "CidrIp: 0.0.0.0/0",
        {"Egress": "endpoints"},
    ),
    "a group that lets everything out": Mistake(
        "nothing_comes_in_from_an_address",
        NETWORK,
        "      SecurityGroupEgress:\n        - {IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0, Description: AWS APIs}\n",
        "",
    ),
    "a gang that cannot hear itself": Mistake(
        "a_gang_is_open_to_itself_both_ways",
        NETWORK,
        "      SourceSecurityGroupId: !Ref GangSecurityGroup\n",
        "      SourceSecurityGroupId: !Ref JobSecurityGroup\n",
    ),
}
