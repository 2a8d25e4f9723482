"""Rules about the network: every call has a route, endpoints in every zone, who may talk to whom, public addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.template.calls import endpoints_needed
from tests.template.rules.hosts import groups_of, interfaces_of
from tests.template.rules.jobs import gangs
from tests.template.rules.sources import Choice, Data, Page, Report, rests_on
from tests.template.system import Resource, System, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator

_GATEWAY = {"s3", "dynamodb"}
_NFS = 2049
_MNP = Page(
    "Batch User Guide",
    "Compute environment considerations for MNP",
    "https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html",
)
_DEFAULT_GROUP = Page(
    "VPC User Guide",
    "Default security groups for your VPCs",
    "https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html",
)
_MOUNT_HELPER = Page(
    "EFS User Guide",
    "Prerequisites for using the EFS mount helper: it resolves the file system's ID to the mount target's address without calling external resources",
    "https://docs.aws.amazon.com/efs/latest/ug/mount-helper-prerequisites.html",
)


def _endpoints(system: System) -> dict[str, Resource]:
    """The VPC's endpoints, by the service that each is for."""
    return {
        str(endpoint.properties["ServiceName"]).split(".", 3)[3]: endpoint
        for endpoint in system.all("AWS::EC2::VPCEndpoint")
    }


@rests_on(
    Data("moto", "AmazonEC2ContainerServiceforEC2Role as AWS publishes it: what an instance calls"),
    Page(
        "ECS Developer Guide",
        "Amazon ECS interface VPC endpoints",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html",
    ),
    Page(
        "ECR User Guide",
        "Amazon ECR interface VPC endpoints",
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html",
    ),
    Page(
        "Batch User Guide",
        "Considerations for AWS Batch (interface endpoints)",
        "https://docs.aws.amazon.com/batch/latest/userguide/vpc-endpoint-considerations.html",
    ),
    _MOUNT_HELPER,
)
def every_call_has_a_route(system: System) -> Iterator[str]:
    """Whatever a job, a task or an instance calls has an endpoint, or there is a route to the Internet; S3 and DynamoDB are free.

    Mounting EFS calls no API ("without calling external resources"), so an endpoint for it is one that nothing calls.
    """
    if not system.all("AWS::EC2::VPC"):
        return
    made, needed = _endpoints(system), endpoints_needed(system)
    for service in sorted(_GATEWAY):
        if service not in made or made[service].properties["VpcEndpointType"] != "Gateway":
            yield f"the VPC lacks a gateway endpoint for {service}"
    open_routes = [
        route
        for route in system.all("AWS::EC2::Route")
        if route.name.startswith("Private") and {"NatGatewayId", "GatewayId"} & set(route.properties)
    ]
    interface = set(made) - _GATEWAY
    if open_routes and interface:
        yield f"a route to the Internet and paid endpoints for {sorted(interface)}: one of them is too many"
    if not open_routes:
        for service in sorted(set(needed) - set(made)):
            yield f"no route to {service}, which {', '.join(sorted(needed[service]))} calls"
        for service in sorted(interface - set(needed)):
            yield f"an endpoint for {service}, which nothing calls"


@rests_on(
    Page(
        "AWS PrivateLink Guide",
        "Access an AWS service using an interface VPC endpoint",
        "https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html",
    ),
    Choice(
        "an endpoint in every zone: a zone's outage must not cut off the others, and traffic between zones is charged"
    ),
)
def endpoints_answer_everybody_in_every_zone(system: System) -> Iterator[str]:
    """Each interface endpoint lies in every subnet and lets in each group that an instance or a task carries."""
    environments = [it.properties["ComputeResources"] for it in system.all("AWS::Batch::ComputeEnvironment")]
    subnets = {subnet for environment in environments for subnet in environment["Subnets"]}
    groups = {group for environment in environments for group in environment.get("SecurityGroupIds", [])}
    groups |= {group for queue in _efa_queues(system) for group in _efa_groups(system, queue)}
    for service, endpoint in _endpoints(system).items():
        if service in _GATEWAY:
            continue
        if set(endpoint.properties["SubnetIds"]) != subnets:
            yield f"the endpoint of {service} is in {endpoint.properties['SubnetIds']}, the jobs in {sorted(subnets)}"
        (group,) = endpoint.properties["SecurityGroupIds"]
        admitted = {
            rule["SourceSecurityGroupId"]
            for rule in system.at(group).properties["SecurityGroupIngress"]
            if "SourceSecurityGroupId" in rule and int(rule["FromPort"]) <= 443 <= int(rule["ToPort"])
        }
        if groups - admitted:
            yield f"the endpoint of {service} does not let in {sorted(groups - admitted)}"


@rests_on(_MNP, _DEFAULT_GROUP)
def efa_tasks_and_their_instances_may_talk(system: System) -> Iterator[str]:
    """With EFA a multi-node task takes the VPC's default group: it and the instances' group must be open to each other both ways.

    AWS creates the default group open to itself and open outwards; a rule that repeats either is refused as a duplicate, and the
    deployment with it.
    """
    (vpc,) = system.all("AWS::EC2::VPC") or (None,)
    if vpc is None:
        return
    default = vpc.ref[:-1] + ".DefaultSecurityGroup}"
    for rule in _rules(system, "Ingress"):
        if rule["GroupId"] == rule.get("SourceSecurityGroupId") == default and str(rule["IpProtocol"]) == "-1":
            yield "the default group is open to itself already: the same rule again is refused"
    if not _efa_queues(system):
        return
    _, (_, queue) = gangs(system)
    for group in _interface_groups(system, queue):
        ways = {
            f"from {group} into the default group": (_rules(system, "Ingress"), default, group, "Source"),
            f"from the default group into {group}": (_rules(system, "Ingress"), group, default, "Source"),
            f"from {group} out to the default group": (_rules(system, "Egress"), group, default, "Destination"),
        }
        for way, (rules, owner, peer, end) in ways.items():
            if not any(
                rule["GroupId"] == owner
                and rule.get(f"{end}SecurityGroupId") == peer
                and str(rule["IpProtocol"]) == "-1"
                for rule in rules
            ):
                yield f"nothing may go {way}"


def _efa_queues(system: System) -> list[Any]:
    """The gangs' queues whose instances have EFA interfaces."""
    return [queue for _, queue in gangs(system) if _interface_groups(system, queue)]


def _efa_groups(system: System, queue: Any) -> set[str]:
    """What an instance with EFA and a multi-node task on it carry, in a VPC of ours."""
    vpcs = system.all("AWS::EC2::VPC")
    return _interface_groups(system, queue) | {vpc.ref[:-1] + ".DefaultSecurityGroup}" for vpc in vpcs}


def _interface_groups(system: System, queue: Any) -> set[str]:
    """The groups of the network interfaces that a queue's launch templates describe."""
    return {
        group
        for environment in system.environments(queue)
        for interface in interfaces_of(system, environment)
        for group in interface["Groups"]
    }


def _rules(system: System, direction: str) -> list[dict[str, Any]]:
    return [rule.properties for rule in system.all(f"AWS::EC2::SecurityGroup{direction}")]


@rests_on(
    Page(
        "AWS Knowledge Center",
        "How do I mount an Amazon EFS file system on an Amazon ECS container or task: port 2049 from the container instance and from the task",
        "https://aws.amazon.com/premiumsupport/knowledge-center/efs-mount-on-ecs-container-or-task/",
    ),
    Page(
        "Batch User Guide",
        "Networking modes for AWS Batch jobs: a multi-node job's nodes have network interfaces of their own",
        "https://docs.aws.amazon.com/batch/latest/userguide/networking-modes-jobs.html",
    ),
    Report(
        "https://github.com/ydamni/cloud-is-free/issues/3",
        "a VPC without DNS hostnames cannot resolve the file system, and the task does not start",
    ),
    _MNP,
    _DEFAULT_GROUP,
    _MOUNT_HELPER,
)
def gangs_reach_their_shared_folder(system: System) -> Iterator[str]:
    """NFS may go from every group of a gang to the mount targets, both ends of the way; without a file system no rule is left of it.

    AWS creates the default group, which a multi-node task takes with EFA, open outwards: it needs no rule out.
    """
    mount_targets = system.parameters.get("SharedFileSystemSecurityGroup", "")
    into = {rule["SourceSecurityGroupId"]: rule["GroupId"] for rule in _rules(system, "Ingress") if _carries_nfs(rule)}
    out = {
        rule["GroupId"]: rule["DestinationSecurityGroupId"] for rule in _rules(system, "Egress") if _carries_nfs(rule)
    }
    if not mount_targets:
        yield from (
            f"NFS is open between {one} and {other}, and nothing is shared"
            for one, other in [*into.items(), *out.items()]
        )
        return
    environments = [environment for _, queue in gangs(system) for environment in system.environments(queue)]
    instances = {group for environment in environments for group in groups_of(system, environment)}
    tasks = {group for queue in _efa_queues(system) for group in _efa_groups(system, queue)}
    for group in sorted(instances | tasks):
        if into.get(group) != mount_targets:
            yield f"the mount targets do not let in {group}"
    for group in sorted(instances):
        if out.get(group) != mount_targets:
            yield f"nothing may go from {group} to the mount targets"
    for vpc in system.all("AWS::EC2::VPC"):
        if not (vpc.properties.get("EnableDnsSupport") and vpc.properties.get("EnableDnsHostnames")):
            yield f"{vpc.path} does not resolve the file system's name"


def _carries_nfs(rule: dict[str, Any]) -> bool:
    return rule["IpProtocol"] == "tcp" and int(rule["FromPort"]) == int(rule["ToPort"]) == _NFS


@rests_on(
    Page(
        "Batch User Guide",
        "Compute resource VPC: external network access",
        "https://docs.aws.amazon.com/batch/latest/userguide/compute_environments.html",
    ),
    Page(
        "ECS Developer Guide",
        "Fargate task networking: a public subnet needs a public IP address to pull images",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-networking.html",
    ),
    Page(
        "EC2 User Guide",
        "Amazon EC2 instance IP addressing: no public address with several network interfaces",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html",
    ),
)
def public_addresses_go_with_an_open_route(system: System) -> Iterator[str]:
    """Behind an Internet gateway every instance and every Fargate task needs a public address; elsewhere none has one."""
    if not system.all("AWS::EC2::VPC"):
        return
    straight = any(
        "GatewayId" in route.properties for route in system.all("AWS::EC2::Route") if route.name.startswith("Private")
    )
    for subnet in system.all("AWS::EC2::Subnet"):
        if subnet.name.startswith("Private") and (subnet.properties.get("MapPublicIpOnLaunch") is True) != straight:
            yield f"{subnet.path}: MapPublicIpOnLaunch is {subnet.properties.get('MapPublicIpOnLaunch')}"
    for definition in system.all("AWS::Batch::JobDefinition"):
        if "FARGATE" in as_list(definition.properties.get("PlatformCapabilities", [])):
            wanted = "ENABLED" if straight else "DISABLED"
            if definition.properties["ContainerProperties"]["NetworkConfiguration"]["AssignPublicIp"] != wanted:
                yield f"{definition.path}: its tasks need AssignPublicIp {wanted}"
    if straight and _efa_queues(system):
        yield "an instance with EFA has several network interfaces, and then EC2 assigns no public address"


RULES = (
    every_call_has_a_route,
    endpoints_answer_everybody_in_every_zone,
    efa_tasks_and_their_instances_may_talk,
    gangs_reach_their_shared_folder,
    public_addresses_go_with_an_open_route,
)
