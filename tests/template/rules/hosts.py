"""Rules about what instances are: their network cards, security groups, images, and how they are renewed."""

from __future__ import annotations

import base64
import email
import re
from collections import Counter
from email.message import Message
from typing import TYPE_CHECKING, Any

from tests.template import schemas
from tests.template.instances import find_types
from tests.template.models import find_shape
from tests.template.rules.jobs import container, gangs, submissions
from tests.template.rules.sources import Choice, Data, Model, Page, Report, rests_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.template.system import Resource, System

_EFA = ("efa", "efa-only")
_ORDINARY_INTERFACE = {"NetworkCardIndex": 0, "DeviceIndex": 0, "InterfaceType": "interface"}
"""What EC2 gives an instance whose launch template describes no interface."""
_MARGIN_SECONDS = 600


def with_instances(system: System) -> list[Resource]:
    """The environments that launch instances: all but Fargate's."""
    return [
        environment
        for environment in system.all("AWS::Batch::ComputeEnvironment")
        if "FARGATE" not in environment.properties["ComputeResources"]["Type"]
    ]


def template_of(system: System, environment: Mapping[str, Any]) -> dict[str, Any]:
    """The data of an environment's launch template."""
    data: dict[str, Any] = system.at(environment["LaunchTemplate"]["LaunchTemplateId"]).properties["LaunchTemplateData"]
    return data


def is_reserved(system: System, environment: Mapping[str, Any]) -> bool:
    """Whether an environment's instances come from a capacity reservation."""
    return "CapacityReservationSpecification" in template_of(system, environment)


def interfaces_of(system: System, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The network interfaces that an environment's launch template describes; none when EC2 makes the one it makes by itself."""
    interfaces: list[dict[str, Any]] = template_of(system, environment).get("NetworkInterfaces", [])
    return interfaces


def groups_of(system: System, environment: Mapping[str, Any]) -> set[str]:
    """The security groups of an environment's instances."""
    named = {group for interface in interfaces_of(system, environment) for group in interface["Groups"]}
    return named | set(environment.get("SecurityGroupIds", []))


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
            if "PlacementGroup" not in environment and not is_reserved(system, environment):
                yield f"{queue}: EFA instances belong into one cluster placement group"


@rests_on(
    Data(
        "botocore",
        "UpdatePolicy.jobExecutionTimeoutMinutes and ComputeResourceUpdate.updateToLatestImageVersion of Batch's model",
    ),
    Page(
        "Batch User Guide",
        "Perform infrastructure updates: the service-linked role, and which allocation strategies",
        "https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html",
    ),
    Page(
        "Batch User Guide",
        "Compute resource AMIs: Batch does not upgrade the AMIs of an environment by itself",
        "https://docs.aws.amazon.com/batch/latest/userguide/compute_resource_AMIs.html",
    ),
)
def patches_reach_instances_and_end_no_job(system: System) -> Iterator[str]:
    """Each update takes the newest AMI, and gives what runs longer than any job may take."""
    most = _longest_job_execution_timeout()
    for environment in with_instances(system):
        if environment.properties["ComputeResources"].get("UpdateToLatestImageVersion") is not True:
            yield f"{environment.path} keeps the AMI of its first day"
        policy = environment.properties.get("UpdatePolicy", {})
        minutes = int(policy.get("JobExecutionTimeoutMinutes", 30))
        longest = max((seconds for used, seconds in _durations(system) if used == environment.path), default=0)
        if policy.get("TerminateJobsOnUpdate") is not False or minutes * 60 < longest + _MARGIN_SECONDS:
            yield f"{environment.path}: an update ends jobs after {minutes} minutes, which may run {longest} s"
        if minutes > most:
            yield f"{environment.path}: {minutes} minutes are more than Batch's {most}"


def _durations(system: System) -> Iterator[tuple[str, int]]:
    """Environments, and how long an attempt of each job that is submitted to them may take, in seconds."""
    for definition, queue in submissions(system):
        seconds = int(definition.properties["Timeout"]["AttemptDurationSeconds"])
        for entry in system.at(queue).properties["ComputeEnvironmentOrder"]:
            yield system.at(entry["ComputeEnvironment"]).path, seconds


def _longest_job_execution_timeout() -> int:
    minutes: int = find_shape("batch", "UpdatePolicy.jobExecutionTimeoutMinutes").metadata["max"]
    return minutes


@rests_on(
    Data("cfn-lint", "createOnlyProperties and tagging.tagProperty of CloudFormation's resource schemas"),
    Report(
        "https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2270",
        "a changed tag, a stack's too, replaces a compute environment",
    ),
)
def no_tag_replaces_a_resource(system: System) -> Iterator[str]:
    """A type whose tags are create-only carries none: a changed one would replace it, with the jobs that run there."""
    for resource in system.resources:
        if "Tags" in resource.properties and tags_replace(resource.type):
            yield f"{resource.path} would be replaced when one of its tags changes"


def tags_replace(kind: str) -> bool:
    """Whether a changed tag replaces a resource of this type."""
    try:
        return "Tags" in schemas.list_create_only(kind)
    except schemas.UnknownResourceType:
        return False


@rests_on(
    Page(
        "Batch User Guide",
        "Use Amazon EC2 launch templates with Batch: user data is a MIME multi-part archive, which Batch merges with its own",
        "https://docs.aws.amazon.com/batch/latest/userguide/launch-templates.html",
    ),
    Page(
        "ECS Developer Guide",
        "Automatic Amazon ECS task and image cleanup: stopped containers keep their data volumes",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/automated_image_cleanup.html",
    ),
    Choice("the data of a job that has ended is gone within the hour, before the next jobs have filled the disk"),
)
def ended_jobs_leave_no_data_on_instances(system: System) -> Iterator[str]:
    """ECS removes stopped containers, with their scratch volumes, after 10 minutes and not after 3 hours."""
    for environment in with_instances(system):
        parts = read_user_data(template_of(system, environment.properties["ComputeResources"]))
        settings = "\n".join(text for kind, text in parts if kind == "text/x-shellscript")
        waits = re.findall(r"^ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=(\d+)m$", settings, re.MULTILINE)
        if "/etc/ecs/ecs.config" not in settings or not any(int(minutes) <= 60 for minutes in waits):
            yield f"{environment.path}: ended jobs keep their scratch volumes for hours"


@rests_on(
    Data("moto", "InstanceStorageInfo of DescribeInstanceTypes"),
    Report(
        "https://github.com/aws/amazon-ecs-agent/issues/389",
        "a maintainer of ECS's agent: mount before the daemon starts, in a cloud-boothook",
    ),
    Choice("an instance store is paid for with the instance, and faster than any volume beside it"),
)
def instance_stores_are_used(system: System) -> Iterator[str]:
    """Where a gang's instances have an instance store, Docker's data lies on it before Docker starts."""
    for _, queue in gangs(system):
        for environment in system.environments(queue):
            parts = read_user_data(template_of(system, environment))
            mounted = any(kind == "text/cloud-boothook" and "mkfs" in text for kind, text in parts)
            for kind in find_types(environment["InstanceTypes"]):
                if kind.store_gb and not mounted:
                    yield f"{queue}: {kind.store_gb} GB of {kind.name} lie idle"


def read_user_data(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The content types and texts of a launch template's user data, in order."""
    archive = email.message_from_bytes(base64.b64decode(data.get("UserData", "")))
    parts = archive.get_payload() if archive.is_multipart() else []
    return [(part.get_content_type(), str(part.get_payload())) for part in parts if isinstance(part, Message)]


RULES = (
    environments_are_updated_in_place,
    images_suit_their_instances,
    instances_are_hardened,
    security_groups_stand_in_one_place,
    network_cards_have_room,
    efa_is_complete,
    patches_reach_instances_and_end_no_job,
    no_tag_replaces_a_resource,
    ended_jobs_leave_no_data_on_instances,
    instance_stores_are_used,
)
