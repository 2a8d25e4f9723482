"""Mistakes in the network: a call without a route, an endpoint that does not answer, groups that are closed to each other."""

from __future__ import annotations

from tests.template.mistakes.planting import JOBS, NETWORK, Mistake
from tests.template.system import PROD, SHARED

ENDPOINTS = {"Egress": "endpoints"}
PUBLIC = {"Egress": "public", "JobsOn": "fargate"}

MISTAKES = {
    "data through the NAT gateway": Mistake(
        "every_call_has_a_route", NETWORK, "${AWS::Region}.dynamodb", "${AWS::Region}.sqs"
    ),
    "no route to the registry": Mistake(
        "every_call_has_a_route", NETWORK, "${AWS::Region}.ecr.dkr", "${AWS::Region}.sqs", ENDPOINTS
    ),
    "no route to Batch, which postprocess calls": Mistake(
        "every_call_has_a_route", NETWORK, "${AWS::Region}.batch", "${AWS::Region}.sts", ENDPOINTS
    ),
    "endpoints beside a NAT gateway": Mistake(
        "every_call_has_a_route", NETWORK, "    Condition: WithEndpoints\n", "    Condition: MakesVpc\n"
    ),
    "an endpoint for a mount, which calls no API": Mistake(
        "every_call_has_a_route",
        NETWORK,
        "${AWS::Region}.logs",
        "${AWS::Region}.elasticfilesystem",
        {**ENDPOINTS, **SHARED},
    ),
    "an endpoint that is missing in a zone": Mistake(
        "endpoints_answer_everybody_in_every_zone",
        NETWORK,
        "      SubnetIds: *every-subnet\n",
        "      SubnetIds: [!Ref PrivateSubnetA, !Ref PrivateSubnetB]\n",
        ENDPOINTS,
    ),
    "an endpoint that does not answer gangs": Mistake(
        "endpoints_answer_everybody_in_every_zone",
        NETWORK,
        "        - {IpProtocol: tcp, FromPort: 443, ToPort: 443, SourceSecurityGroupId: !Ref GangSecurityGroup, Description: Gangs}\n",
        "",
        ENDPOINTS,
    ),
    "an endpoint that does not answer the tasks of a gang with EFA": Mistake(
        "endpoints_answer_everybody_in_every_zone",
        NETWORK,
        "SourceSecurityGroupId: !GetAtt Vpc.DefaultSecurityGroup, Description: Tasks",
        "SourceSecurityGroupId: !Ref GangSecurityGroup, Description: Tasks",
        PROD,
    ),
    "the default group without a rule": Mistake(
        "efa_tasks_and_their_instances_may_talk",
        NETWORK,
        "      GroupId: !GetAtt Vpc.DefaultSecurityGroup\n",
        "      GroupId: !Ref JobSecurityGroup\n",
        PROD,
    ),
    "instances that are closed to their tasks": Mistake(
        "efa_tasks_and_their_instances_may_talk",
        NETWORK,
        "      DestinationSecurityGroupId: !GetAtt Vpc.DefaultSecurityGroup\n",
        "      DestinationSecurityGroupId: !Ref JobSecurityGroup\n",
        PROD,
    ),
    "a rule that the default group has already": Mistake(
        "efa_tasks_and_their_instances_may_talk",
        NETWORK,
        '      IpProtocol: "-1"\n      SourceSecurityGroupId: !Ref GangSecurityGroup\n      Description: From the instances',
        '      IpProtocol: "-1"\n      SourceSecurityGroupId: !GetAtt Vpc.DefaultSecurityGroup\n      Description: From the instances',
        PROD,
    ),
    "mount targets that do not let gangs in": Mistake(
        "gangs_reach_their_shared_folder",
        NETWORK,
        "      SourceSecurityGroupId: !Ref GangSecurityGroup\n      Description: NFS from gangs",
        "      SourceSecurityGroupId: !Ref JobSecurityGroup\n      Description: NFS from gangs",
        SHARED,
    ),
    "gangs that may not go to the mount targets": Mistake(
        "gangs_reach_their_shared_folder",
        NETWORK,
        "      DestinationSecurityGroupId: !Ref SharedFileSystemSecurityGroup\n",
        "      DestinationSecurityGroupId: !Ref GangSecurityGroup\n",
        SHARED,
    ),
    "mount targets that do not let in the tasks of a gang with EFA": Mistake(
        "gangs_reach_their_shared_folder",
        NETWORK,
        "    Condition: DefaultGroupMountsSharedFolder\n",
        "    Condition: WithEndpoints\n",
        {**PROD, "Egress": "nat", **SHARED},
    ),
    "another port than NFS's": Mistake(
        "gangs_reach_their_shared_folder",
        NETWORK,
        "      FromPort: 2049\n      ToPort: 2049\n",
        "      FromPort: 988\n      ToPort: 988\n",
        SHARED,
    ),
    "a name that the VPC does not resolve": Mistake(
        "gangs_reach_their_shared_folder",
        NETWORK,
        "      EnableDnsHostnames: true #",
        "      EnableDnsHostnames: false #",
        SHARED,
    ),
    "NFS that stays open without a file system": Mistake(
        "gangs_reach_their_shared_folder",
        NETWORK,
        'WithSharedFolder: !Not [!Equals [!Ref SharedFileSystemSecurityGroup, ""]]',
        'WithSharedFolder: !Equals [!Ref SharedFileSystemSecurityGroup, ""]',
    ),
    "instances without an address behind an Internet gateway": Mistake(
        "public_addresses_go_with_an_open_route",
        NETWORK,
        "MapPublicIpOnLaunch: !If [WithPublicAddresses, true, false]",
        "MapPublicIpOnLaunch: false",
        PUBLIC,
    ),
    "a public address behind a NAT gateway": Mistake(
        "public_addresses_go_with_an_open_route",
        NETWORK,
        "MapPublicIpOnLaunch: !If [WithPublicAddresses, true, false]",
        "MapPublicIpOnLaunch: true",
    ),
    "a Fargate task that cannot pull its image": Mistake(
        "public_addresses_go_with_an_open_route",
        JOBS,
        "AssignPublicIp: !Ref FargatePublicIp",
        "AssignPublicIp: DISABLED",
        PUBLIC,
    ),
}
