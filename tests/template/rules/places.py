"""Rules about where jobs run: environments, queues, instances, the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.template.instances import find_types
from tests.template.models import list_members
from tests.template.rules.hosts import groups_of, is_reserved, with_instances
from tests.template.rules.jobs import gangs, queues_of
from tests.template.rules.sources import Choice, Data, Model, Page, Report, rests_on
from tests.template.system import System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.system import System

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
_JOIN_ECS = "service-role/AmazonEC2ContainerServiceforEC2Role"


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
        instances = "FARGATE" not in resources["Type"]
        close = "PlacementGroup" in resources or (instances and is_reserved(system, resources))
        if close != (len(set(resources["Subnets"])) == 1):
            yield f"{environment.path} has {len(resources['Subnets'])} subnets and {'a' if close else 'no'} placement group"
    zones = [
        subnet.properties["AvailabilityZone"] for subnet in system.all("AWS::EC2::Subnet") if "Private" in subnet.name
    ]
    if len(set(zones)) != len(zones):
        yield f"private subnets share a zone: {zones}"


@rests_on(
    Data("moto", "PlacementGroupInfo.SupportedStrategies of DescribeInstanceTypes"),
    Model(
        "batch",
        "ComputeResource.placementGroup",
        "you should consider creating a cluster placement group and associate it with your compute resources",
    ),
)
def multi_node_jobs_stand_close(system: System) -> Iterator[str]:
    """They want a cluster placement group in one zone (Batch User Guide, "Compute environment considerations for MNP")."""
    _, (_, queue) = gangs(system)
    for environment in system.environments(queue):
        if is_reserved(system, environment):
            continue  # whoever reserves capacity decides where it stands; see reserved_capacity_is_for_on_demand_gangs
        group = environment.get("PlacementGroup")
        if group is None or system.at(group).properties["Strategy"] != "cluster":
            yield f"{queue} has no cluster placement group"
        for kind in find_types(environment["InstanceTypes"]):
            if "cluster" not in kind.placement:
                yield f"{queue}: {kind.name} cannot be in a cluster placement group"


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
    Report(
        "https://github.com/nextflow-io/nextflow/issues/7479",
        "Batch gives MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT for a job that fits while its first instance boots",
    ),
    Choice("half an hour is longer than a large instance takes to boot, pull ECS's agent and register"),
)
def queues_wait_for_instances_to_boot(system: System) -> Iterator[str]:
    """A job that fits is not cancelled while an environment scales up from zero; on Fargate nothing boots."""
    for queue in system.all("AWS::Batch::JobQueue"):
        if any("FARGATE" in environment["Type"] for environment in system.environments(queue.ref)):
            continue
        for action in queue.properties.get("JobStateTimeLimitActions", []):
            if action["Reason"] == "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT" and int(action["MaxTimeSeconds"]) < 1800:
                yield f"{queue.path} cancels a job {action['MaxTimeSeconds']} s after its instance began to boot"


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
    instances_can_join_their_cluster,
    capacity_comes_from_several_zones,
    multi_node_jobs_stand_close,
    queues_do_not_wait_for_ever,
    queues_wait_for_instances_to_boot,
    gangs_do_not_take_turns,
    backfill_never_goes_before_the_day,
    datasets_share_the_queues_that_are_not_gangs,
    nothing_comes_in_from_an_address,
    a_gang_is_open_to_itself_both_ways,
)
