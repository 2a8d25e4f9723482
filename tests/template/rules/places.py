"""Rules about where jobs run: environments, queues, instances, the network."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.template import schemas
from tests.template.instances import find_types
from tests.template.models import list_members
from tests.template.rules.jobs import container, gangs, queues_of
from tests.template.rules.sources import Choice, Data, Model, Page, Report, rests_on
from tests.template.system import Resource, System

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.template.system import Resource, System

_STRATEGIES: dict[str, set[str | None]] = {
    "EC2": {"BEST_FIT_PROGRESSIVE"},
    "SPOT": {"SPOT_CAPACITY_OPTIMIZED", "SPOT_PRICE_CAPACITY_OPTIMIZED"},
    "FARGATE": {None},
}
_OF_INSTANCES = list_members(
    "batch", "ComputeResource", "isn't applicable to jobs that are running on Fargate resources"
)
_REASONS = {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
}
_EFA = ("efa", "efa-only")
_ORDINARY_INTERFACE = {"NetworkCardIndex": 0, "DeviceIndex": 0, "InterfaceType": "interface"}
"""What EC2 gives an instance whose launch template describes no interface."""
_JOIN_ECS = "service-role/AmazonEC2ContainerServiceforEC2Role"


def with_instances(system: System) -> list[Resource]:
    """The environments that launch instances: all but Fargate's."""
    return [
        environment
        for environment in system.all("AWS::Batch::ComputeEnvironment")
        if "FARGATE" not in environment.properties["ComputeResources"]["Type"]
    ]


@rests_on(
    Data("botocore", "which members of Batch's ComputeResource do not apply to Fargate"),
    Model(
        "batch", "CreateJobQueueRequest.computeEnvironmentOrder", "EC2 and Fargate compute environments can't be mixed"
    ),
)
def fargate_has_no_instances(system: System) -> Iterator[str]:
    """Batch refuses what describes instances, and a queue that mixes both ("Fargate compute environments")."""
    for environment in system.all("AWS::Batch::ComputeEnvironment"):
        resources = environment.properties["ComputeResources"]
        if "FARGATE" in resources["Type"] and _OF_INSTANCES & set(resources):
            yield f"{environment.path} is Fargate's and has {sorted(_OF_INSTANCES & set(resources))}"
    for queue in system.all("AWS::Batch::JobQueue"):
        if len({"FARGATE" in environment["Type"] for environment in system.environments(queue.ref)}) > 1:
            yield f"{queue.path} mixes Fargate and instances"


@rests_on(
    Model(
        "batch",
        "ComputeResource.allocationStrategy",
        "This allocation strategy is only available for Spot Instance compute resources",
    ),
    Model(
        "batch",
        "ComputeResource.allocationStrategy",
        "BEST_FIT allocation strategy don't support infrastructure updates",
    ),
)
def markets_and_strategies_agree(system: System) -> Iterator[str]:
    """`Type: EC2` with a Spot strategy is refused, and the strategies here are those that can be updated in place."""
    for environment in system.all("AWS::Batch::ComputeEnvironment"):
        resources = environment.properties["ComputeResources"]
        if resources.get("AllocationStrategy") not in _STRATEGIES.get(resources["Type"], set()):
            yield f"{environment.path}: {resources['Type']} with {resources.get('AllocationStrategy')}"


@rests_on(
    Page(
        "Batch User Guide",
        "Perform infrastructure updates: the service-linked role, and a strategy other than BEST_FIT",
        "https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html",
    ),
    Data("cfn-lint", "the create-only properties of CloudFormation's schema"),
)
def environments_are_updated_in_place(system: System) -> Iterator[str]:
    """What an infrastructure update requires (Batch User Guide, "Perform infrastructure updates"), and what would block it."""
    for environment in with_instances(system):
        properties, resources = environment.properties, environment.properties["ComputeResources"]
        if properties.get("ReplaceComputeEnvironment") is not False or "UpdatePolicy" not in properties:
            yield f"{environment.path} would be replaced, with the jobs that run in it"
        if "ServiceRole" in properties:
            yield f"{environment.path} has a service role, infrastructure updates need the service-linked one"
        for path in schemas.list_create_only(environment.type) - {"Type"}:
            if schemas.find_value(properties, path) is not None:
                yield f"{environment.path} sets {path}, and a change of it would replace the environment"
        if "DesiredvCpus" in resources:
            yield f"{environment.path}: DesiredvCpus is Batch's to move"
        if not str(resources["LaunchTemplate"]["Version"]).endswith(".LatestVersionNumber}"):
            yield f"{environment.path} would not notice a new version of its launch template"


@rests_on(
    Page(
        "Batch User Guide",
        "Amazon ECS instance role",
        "https://docs.aws.amazon.com/batch/latest/userguide/instance_IAM_role.html",
    )
)
def instances_can_join_their_cluster(system: System) -> Iterator[str]:
    """Without the policy an instance starts, is billed, and never takes a job."""
    for environment in with_instances(system):
        profile = str(environment.properties["ComputeResources"].get("InstanceRole"))
        if not profile.endswith(".Arn}") or system.at(profile).type != "AWS::IAM::InstanceProfile":
            yield f"{environment.path}: InstanceRole is the ARN of an instance profile, not {profile}"
            continue
        (role,) = system.at(profile).properties["Roles"]
        if not any(str(arn).endswith(_JOIN_ECS) for arn in system.at(role).properties.get("ManagedPolicyArns", [])):
            yield f"{environment.path}: its instances cannot join ECS, {role} lacks {_JOIN_ECS}"


@rests_on(
    Choice("Each zone has capacity of its own, so jobs that need not be close together may run in any."),
    Model(
        "ec2",
        "CreatePlacementGroup",
        "A cluster placement group is a logical grouping of instances within a single Availability Zone",
    ),
)
def capacity_comes_from_several_zones(system: System) -> Iterator[str]:
    """All but what must stand close together, which must stand in one subnet."""
    for environment in system.all("AWS::Batch::ComputeEnvironment"):
        resources = environment.properties["ComputeResources"]
        close = "PlacementGroup" in resources
        if close != (len(set(resources["Subnets"])) == 1):
            yield f"{environment.path} has {len(resources['Subnets'])} subnets and {'a' if close else 'no'} placement group"
    zones = [
        subnet.properties["AvailabilityZone"] for subnet in system.all("AWS::EC2::Subnet") if "Private" in subnet.name
    ]
    if len(set(zones)) != len(zones):
        yield f"private subnets share a zone: {zones}"


@rests_on(
    Model(
        "batch",
        "ComputeResource.placementGroup",
        "you should consider creating a cluster placement group and associate it with your compute resources",
    )
)
def multi_node_jobs_stand_close(system: System) -> Iterator[str]:
    """They want a cluster placement group in one zone (Batch User Guide, "Compute environment considerations for MNP")."""
    _, (_, queue) = gangs(system)
    for environment in system.environments(queue):
        group = environment.get("PlacementGroup")
        if group is None or system.at(group).properties["Strategy"] != "cluster":
            yield f"{queue} has no cluster placement group"


@rests_on(
    Model(
        "batch",
        "Ec2Configuration.imageType",
        "Batch will block creation of new Amazon ECS compute environments using Batch-provided Amazon Linux 2 AMIs",
    ),
    Model("batch", "Ec2Configuration.imageType", "Amazon Linux 2023 (GPU): Default for all GPU instance families"),
)
def images_suit_their_instances(system: System) -> Iterator[str]:
    """Amazon Linux 2 environments can no longer be created, and GPUs want the image with their driver."""
    for environment in with_instances(system):
        resources = environment.properties["ComputeResources"]
        gpus = any(kind.gpus for kind in find_types(resources["InstanceTypes"]))
        wanted = "ECS_AL2023_NVIDIA" if gpus else "ECS_AL2023"
        if [image["ImageType"] for image in resources["Ec2Configuration"]] != [wanted]:
            yield f"{environment.path} needs {wanted}"


@rests_on(
    Choice("Instances hold people's data and a role's credentials: disks are encrypted, and metadata needs a token."),
    Page(
        "EC2 User Guide",
        "Use the Instance Metadata Service: in a container environment the hop limit is 2",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html",
    ),
)
def instances_are_hardened(system: System) -> Iterator[str]:
    """IMDSv2 that a container reaches too, and encrypted disks."""
    for template in system.all("AWS::EC2::LaunchTemplate"):
        data = template.properties["LaunchTemplateData"]
        options = data.get("MetadataOptions", {})
        if options.get("HttpTokens") != "required" or int(options.get("HttpPutResponseHopLimit", 1)) != 2:
            yield f"{template.path}: IMDSv2 with two hops, not {options}"
        disks = [mapping["Ebs"] for mapping in data.get("BlockDeviceMappings", [])]
        if not disks or any(disk.get("Encrypted") is not True or disk.get("VolumeType") != "gp3" for disk in disks):
            yield f"{template.path}: its disks are not encrypted gp3"


def interfaces_of(system: System, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The network interfaces that an environment's launch template describes; none when EC2 makes the one it makes by itself."""
    template = system.at(environment["LaunchTemplate"]["LaunchTemplateId"])
    interfaces: list[dict[str, Any]] = template.properties["LaunchTemplateData"].get("NetworkInterfaces", [])
    return interfaces


def groups_of(system: System, environment: Mapping[str, Any]) -> set[str]:
    """The security groups of an environment's instances."""
    named = {group for interface in interfaces_of(system, environment) for group in interface["Groups"]}
    return named | set(environment.get("SecurityGroupIds", []))


@rests_on(
    Report(
        "https://github.com/aws/aws-cdk/issues/21577",
        'CreateComputeEnvironment answers 400 "Either compute environment Security Groups or Network Interfaces in Launch template '
        'are exclusively allowed"',
    ),
    Page(
        "awsome-distributed-ai",
        "aws-batch-distributed-training-p5: interfaces with groups in the launch template, no SecurityGroupIds in the environment",
        "https://github.com/awslabs/awsome-distributed-ai/blob/main/1.architectures/3.aws-batch/0.aws-batch-distributed-training-p5.yaml",
    ),
    Page(
        "Batch API Reference",
        "ComputeResource: one or more security groups must be specified, in securityGroupIds or in a launch template",
        "https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html",
    ),
)
def security_groups_stand_in_one_place(system: System) -> Iterator[str]:
    """In the environment, or on each network interface of its launch template, and never in both."""
    for environment in with_instances(system):
        resources = environment.properties["ComputeResources"]
        interfaces = interfaces_of(system, resources)
        if interfaces and resources.get("SecurityGroupIds"):
            yield f"{environment.path} names security groups and its launch template network interfaces"
        if not interfaces and not resources.get("SecurityGroupIds"):
            yield f"{environment.path} has no security group"
        yield from (
            f"{environment.path}: the interface of card {it['NetworkCardIndex']} has no group"
            for it in interfaces
            if not it.get("Groups")
        )


@rests_on(
    Data(
        "moto",
        "NetworkInfo.NetworkCards[].MaximumNetworkInterfaces and EfaInfo.MaximumEfaInterfaces of DescribeInstanceTypes",
    ),
    Page(
        "Batch User Guide",
        "Compute environment considerations for MNP: each multi-node task gets a network interface of its own",
        "https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html",
    ),
    Page(
        "EC2 User Guide",
        "Maximize network bandwidth: an EFA-only interface is not the primary one, further cards take it at device index 0",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html",
    ),
)
def network_cards_have_room(system: System) -> Iterator[str]:
    """No card carries more than it takes, and card 0 keeps a place for the interface that a multi-node task attaches."""
    for definition, queue in gangs(system):
        tasks = 1 if definition.properties["Type"] == "multinode" else 0
        for environment in system.environments(queue):
            interfaces = interfaces_of(system, environment) or [_ORDINARY_INTERFACE]
            for kind in find_types(environment["InstanceTypes"]):
                used = Counter({0: tasks}) + Counter(int(it["NetworkCardIndex"]) for it in interfaces)
                for card, number in used.items():
                    if card >= len(kind.interfaces) or number > kind.interfaces[card]:
                        yield f"{queue}: {number} interfaces on card {card} of {kind.name}, whose cards take {kind.interfaces}"
                efa = sum(it["InterfaceType"] in _EFA for it in interfaces)
                if efa > kind.efa_interfaces:
                    yield f"{queue}: {efa} EFA interfaces, {kind.name} takes {kind.efa_interfaces}"
            yield from (f"{queue}: {problem}" for problem in _misplaced(interfaces))


def _misplaced(interfaces: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    places = [(int(it["NetworkCardIndex"]), int(it["DeviceIndex"])) for it in interfaces]
    if len(set(places)) != len(places):
        yield f"two interfaces in one place (card, device): {places}"
    if places[0] != (0, 0) or interfaces[0]["InterfaceType"] == "efa-only":
        yield f"the primary interface is {interfaces[0]['InterfaceType']} at {places[0]}; it carries IP, at (0, 0)"
    for place, it in zip(places, interfaces, strict=True):
        if place[0] > 0 and (place[1], it["InterfaceType"]) != (0, "efa-only"):
            yield f"{it['InterfaceType']} at {place}: a further card has an efa-only interface, at device 0"


@rests_on(
    Data("moto", "EfaInfo.MaximumEfaInterfaces of DescribeInstanceTypes"),
    Page(
        "Batch User Guide",
        "Elastic Fabric Adapter: a container sees the devices that its definition names; instances share a placement group",
        "https://docs.aws.amazon.com/batch/latest/userguide/efa.html",
    ),
)
def efa_is_complete(system: System) -> Iterator[str]:
    """As many EFA interfaces as the instance takes, as many devices in the container, in one cluster placement group."""
    for definition, queue in gangs(system):
        devices = container(definition)["LinuxParameters"].get("Devices", [])
        for environment in system.environments(queue):
            efa = [it for it in interfaces_of(system, environment) if it["InterfaceType"] in _EFA]
            if not devices and not efa:
                continue
            most = {kind.efa_interfaces for kind in find_types(environment["InstanceTypes"])}
            if {len(devices)} != most or {len(efa)} != most:
                yield f"{queue}: {len(efa)} EFA interfaces and {len(devices)} devices, the instances take {most}"
            if "PlacementGroup" not in environment:
                yield f"{queue}: EFA instances belong into one cluster placement group"


@rests_on(
    Model(
        "batch",
        "JobStateTimeLimitAction.maxTimeSeconds",
        "The minimum value is 600 (10 minutes) and the maximum value is 86,400 (24 hours)",
    ),
    Model(
        "batch",
        "JobDetail.statusReason",
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - All compute environments have insufficient capacity",
    ),
    Page(
        "Batch User Guide",
        "Automatic remediation with jobStateTimeLimitActions: three reasons support it",
        "https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_time_limit_actions.html",
    ),
)
def queues_do_not_wait_for_ever(system: System) -> Iterator[str]:
    """Batch has three reasons for cancelling what is stuck, and limits from 600 to 86,400 seconds."""
    for queue in system.all("AWS::Batch::JobQueue"):
        actions = queue.properties.get("JobStateTimeLimitActions", [])
        if {action["Reason"] for action in actions} != _REASONS or len(actions) != len(_REASONS):
            yield f"{queue.path} needs one time limit for each of {sorted(_REASONS)}"
        for action in actions:
            bounded = 600 <= int(action["MaxTimeSeconds"]) <= 86_400
            if (action["State"], action["Action"]) != ("RUNNABLE", "CANCEL") or not bounded:
                yield f"{queue.path}: {action}"


@rests_on(
    Choice("Members are not scheduled together: two gangs that took turns would each hold half of the capacity."),
    Model(
        "batch",
        "CreateJobQueueRequest.schedulingPolicyArn",
        "Job queues that don't have a fair-share scheduling policy are scheduled in a first-in, first-out (FIFO) model",
    ),
)
def gangs_do_not_take_turns(system: System) -> Iterator[str]:
    """Members are not scheduled together: with a scheduling policy two gangs would hold half of the capacity each."""
    for _, queue in gangs(system):
        if "SchedulingPolicyArn" in system.at(queue).properties:
            yield f"{queue} has a scheduling policy"


@rests_on(
    Model(
        "batch",
        "CreateJobQueueRequest.priority",
        "are evaluated first when associated with the same compute environment",
    ),
    Choice("A day that people wait for goes before days gone by, which may wait for cheap capacity."),
)
def backfill_never_goes_before_the_day(system: System) -> Iterator[str]:
    """Where both may run, the day's queue has the higher priority; and a backfill tries Spot before it pays for more."""
    day, backfill = (system.states[f"Take the {whose}'s queues"]["Result"] for whose in ("day", "backfill"))
    for stage, queue in backfill.items():
        ours, theirs = system.at(queue), system.at(day[stage])
        if ours.path == theirs.path or int(ours.properties["Priority"]) >= int(theirs.properties["Priority"]):
            yield f"{ours.path} is served no later than {theirs.path}"
        kinds = [environment["Type"] for environment in system.environments(queue)]
        if "EC2" in kinds and kinds[0] != "SPOT":
            yield f"{ours.path} tries {kinds[0]} first"


@rests_on(
    Model(
        "batch",
        "SubmitJobRequest.shareIdentifier",
        "If the job queue has a fair-share scheduling policy, then this parameter must be specified",
    ),
    Model(
        "batch",
        "FairsharePolicy.shareDecaySeconds",
        "A value of zero (0) indicates the default minimum time window (600 seconds)",
    ),
)
def datasets_share_the_queues_that_are_not_gangs(system: System) -> Iterator[str]:
    """A queue with a scheduling policy takes no job without a share identifier, one without a policy none with it (SubmitJob)."""
    for name, state in system.states.items():
        if state.get("Resource") != "arn:aws:states:::batch:submitJob.sync":
            continue
        if state["Parameters"].get("ShareIdentifier.$") != "$.share":
            yield f"{name!r} submits without the dataset's share"
        for queue in queues_of(system, state):
            policy = system.at(queue).properties.get("SchedulingPolicyArn")
            if policy is None or system.at(policy).type != "AWS::Batch::SchedulingPolicy":
                yield f"{queue} has no scheduling policy, and would refuse {name!r}"
            elif "ShareDecaySeconds" not in system.at(policy).properties["FairsharePolicy"]:
                yield f"{queue} forgets what ran after 10 minutes, the default; jobs here take longer"


@rests_on(
    Choice("Nobody logs in to an instance, and no job serves anything to anybody outside its gang."),
    Page(
        "EC2 User Guide",
        "Security group rules: a group without an outbound rule of its own lets everything out",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/security-group-rules.html",
    ),
)
def nothing_comes_in_from_an_address(system: System) -> Iterator[str]:
    """Security groups name security groups; out goes HTTPS, and a group without a rule of its own lets everything out."""
    for group in system.all("AWS::EC2::SecurityGroup"):
        if any("Cidr" in key for rule in group.properties.get("SecurityGroupIngress", []) for key in rule):
            yield f"{group.path} lets an address range in"
        egress = group.properties.get("SecurityGroupEgress", [])
        if not egress or any((str(rule["IpProtocol"]), rule.get("FromPort")) != ("tcp", 443) for rule in egress):
            yield f"{group.path} lets out more than HTTPS"
    for kind in ("Ingress", "Egress"):
        for rule in system.all(f"AWS::EC2::SecurityGroup{kind}"):
            if any("Cidr" in key for key in rule.properties):
                yield f"{rule.path} names an address range"


@rests_on(
    Page(
        "Batch User Guide",
        "Elastic Fabric Adapter: all traffic to and from the security group itself",
        "https://docs.aws.amazon.com/batch/latest/userguide/efa.html",
    )
)
def a_gang_is_open_to_itself_both_ways(system: System) -> Iterator[str]:
    """What EFA demands, and what members that choose their ports need."""
    for _, queue in gangs(system):
        for environment in system.environments(queue):
            for group in groups_of(system, environment):
                if not (_open(system, "Ingress", "Source", group) and _open(system, "Egress", "Destination", group)):
                    yield f"{group} is not open to itself both ways"


def _open(system: System, kind: str, end: str, group: Any) -> bool:
    return any(
        rule.properties["GroupId"] == rule.properties.get(f"{end}SecurityGroupId") == group
        and str(rule.properties["IpProtocol"]) == "-1"
        for rule in system.all(f"AWS::EC2::SecurityGroup{kind}")
    )


RULES = (
    fargate_has_no_instances,
    markets_and_strategies_agree,
    environments_are_updated_in_place,
    instances_can_join_their_cluster,
    capacity_comes_from_several_zones,
    multi_node_jobs_stand_close,
    images_suit_their_instances,
    instances_are_hardened,
    security_groups_stand_in_one_place,
    network_cards_have_room,
    efa_is_complete,
    queues_do_not_wait_for_ever,
    gangs_do_not_take_turns,
    backfill_never_goes_before_the_day,
    datasets_share_the_queues_that_are_not_gangs,
    nothing_comes_in_from_an_address,
    a_gang_is_open_to_itself_both_ways,
)
