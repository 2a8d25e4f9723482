"""Rules about how a gang forms, what its members talk over, and the folder that they share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.template.rules.hosts import template_of
from tests.template.rules.jobs import container, gangs
from tests.template.rules.sources import Choice, Model, Page, rests_on
from tests.template.system import ANALYSIS_IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.system import System

_CREATE_SECONDS = 4 * 60
_START_SECONDS = 3 * 60
_GP3_MIB_PER_SECOND = 125
_IMAGE_MIB = 10 * 1024


@rests_on(
    Page(
        "Batch User Guide",
        "Multi-node parallel jobs: the child nodes are launched when the main node is RUNNING, with no guarantee on the timing",
        "https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html",
    ),
    Page(
        "ECS Developer Guide",
        "Amazon ECS container agent configuration: ECS_CONTAINER_CREATE_TIMEOUT is 4 minutes, ECS_CONTAINER_START_TIMEOUT 3",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    ),
    Model("ec2", "LaunchTemplateEbsBlockDeviceRequest.Throughput", "Minimum value of 125"),
    Choice("An analysis image with CUDA, NCCL and EFA is some 10 GiB when it is unpacked."),
)
def members_have_time_to_start(system: System) -> Iterator[str]:
    """The first member waits for as long as ECS may take to pull, create and start the others' containers."""
    variables = system.named("LaunchGangFunction").properties["Environment"]["Variables"]
    for market, (_, queue) in zip(("SPOT", "ON_DEMAND"), gangs(system), strict=True):
        forming = int(variables.get(f"{market}_FORMING_SECONDS", 0))
        for environment in system.environments(queue):
            disks = [mapping["Ebs"] for mapping in template_of(system, environment)["BlockDeviceMappings"]]
            slowest = min(int(disk.get("Throughput", _GP3_MIB_PER_SECOND)) for disk in disks)
            needed = _IMAGE_MIB // slowest + _CREATE_SECONDS + _START_SECONDS
            if forming < needed:
                yield f"a gang on {market} has {forming} s to form, and a member may need {needed} s to start"


@rests_on(
    Page(
        "EC2 User Guide",
        "Get started with EFA and NCCL: the EFA software and the aws-ofi-nccl plugin are what NCCL reaches EFA through",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start-nccl.html",
    ),
    Page(
        "Batch User Guide",
        "Elastic Fabric Adapter: the job definition passes the devices to the container",
        "https://docs.aws.amazon.com/batch/latest/userguide/efa.html",
    ),
)
def programs_use_the_efa_that_is_paid_for(system: System) -> Iterator[str]:
    """With EFA's devices the program is asked to use them, so that it refuses to run without; and an image can be built that has EFA."""
    for definition, _ in gangs(system):
        it = container(definition)
        devices = it["LinuxParameters"].get("Devices", [])
        environment = {entry["Name"]: entry["Value"] for entry in it["Environment"]}
        if bool(devices) != (environment.get("FI_PROVIDER") == "efa"):
            yield f"{definition.path} has {len(devices)} EFA devices, and FI_PROVIDER is {environment.get('FI_PROVIDER')}"
    stages = re.split(r"^FROM ", system.texts[ANALYSIS_IMAGE], flags=re.MULTILINE)
    if not any(re.match(r"\S+ AS efa\n", stage) and "efa_installer.sh" in stage for stage in stages):
        yield f"{ANALYSIS_IMAGE} has no target with EFA"


@rests_on(
    Model("batch", "Volume.efsVolumeConfiguration", "Amazon Elastic File System file system for job storage"),
    Model("batch", "EFSVolumeConfiguration.transitEncryption", "the default value of DISABLED is used"),
    Model("batch", "EFSVolumeConfiguration.rootDirectory", "must either be omitted or set to /"),
    Model("batch", "EFSAuthorizationConfig.accessPointId", "transit encryption must be enabled"),
    Model("batch", "EFSAuthorizationConfig.iam", "Whether or not to use the Batch job IAM role"),
    Page(
        "EFS User Guide",
        "Enforcing a user identity using an access point",
        "https://docs.aws.amazon.com/efs/latest/ug/enforce-identity-access-points.html",
    ),
    Page(
        "EFS User Guide",
        "Using IAM to control access to file systems: the default policy admits any client that reaches a mount target",
        "https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html",
    ),
    Choice("Preprocess and postprocess exchange files through S3 alone, so only a gang sees the shared folder."),
)
def only_gangs_share_a_folder(system: System) -> Iterator[str]:
    """With a file system every member mounts it at one place, encrypted, as the access point's user; without one nothing is there.

    IAM authorization stays off: it would need EFS actions in the analysis job's role, which has none.
    """
    sharing = (
        {definition.path for definition, _ in gangs(system)} if system.parameters.get("SharedFileSystemId") else set()
    )
    for definition in system.all("AWS::Batch::JobDefinition"):
        it = container(definition)
        environment = {entry["Name"]: entry["Value"] for entry in it["Environment"]}
        shared = {volume["Name"]: volume["EfsVolumeConfiguration"] for volume in it["Volumes"] if _is_shared(volume)}
        places = [point["ContainerPath"] for point in it["MountPoints"] if point["SourceVolume"] in shared]
        expected = ["/shared"] if definition.path in sharing else []
        if places != expected or len(shared) != len(expected):
            yield f"{definition.path} mounts {sorted(shared)} at {places}, and must mount at {expected}"
        if environment.get("SHARED_FOLDER") != (places[0] if places else None):
            yield f"{definition.path} mounts at {places}, and SHARED_FOLDER is {environment.get('SHARED_FOLDER')}"
        for volume in shared.values():
            yield from (f"{definition.path}: {problem}" for problem in _list_mount_problems(volume))


def _is_shared(volume: dict[str, Any]) -> bool:
    return "EfsVolumeConfiguration" in volume


def _list_mount_problems(volume: dict[str, Any]) -> Iterator[str]:
    authorization = volume.get("AuthorizationConfig", {})
    if volume.get("TransitEncryption") != "ENABLED":
        yield "the mount is not encrypted, and an access point needs TransitEncryption"
    if not authorization.get("AccessPointId"):
        yield "without an access point only root can write to a new file system, and members are not root"
    if volume.get("RootDirectory", "/") != "/":
        yield "the access point names the directory, RootDirectory must not"
    if authorization.get("Iam", "DISABLED") != "DISABLED":
        yield "IAM authorization needs EFS actions, and the role has none"


RULES = (members_have_time_to_start, programs_use_the_efa_that_is_paid_for, only_gangs_share_a_folder)
