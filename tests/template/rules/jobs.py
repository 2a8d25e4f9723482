"""Rules about job definitions: what may be retried, where a definition may run, that a gang fits its environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import botocore.session

from tests.template.instances import INSTANCE_TYPES
from tests.template.rules.sources import Choice, Data, Model, Page, Report, rests_on
from twin.compute import fargate
from twin.deployment.shapes import to_api

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.template.instances import InstanceType
    from tests.template.system import Resource, System

# "can contain letters, numbers, periods (.), colons (:), and white space … can optionally end with an asterisk (*)":
# EvaluateOnExit, Batch API reference.
_PATTERN = re.compile(r"[A-Za-z0-9.:\s]{0,511}\*?")
_CONDITIONS = ("OnStatusReason", "OnReason", "OnExitCode")
_SYNC = "arn:aws:states:::batch:submitJob.sync"


def submissions(system: System) -> list[tuple[Resource, Any]]:
    """Every pair of job definition and queue that jobs are submitted with: by the state machine and by launch_gang."""
    pairs = [
        (system.job_definition(state["Parameters"]["JobDefinition"]), queue)
        for state in system.states.values()
        if state.get("Resource") == _SYNC
        for queue in queues_of(system, state)
    ]
    variables = system.named("LaunchGangFunction").properties["Environment"]["Variables"]
    pairs += [
        (system.job_definition(variables[f"{market}_JOB_DEFINITION"]), variables[f"{market}_QUEUE"])
        for market in ("SPOT", "ON_DEMAND")
    ]
    return pairs


def queues_of(system: System, state: Mapping[str, Any]) -> list[Any]:
    """The queues that a Task may submit to: the state machine's Pass states put the run's into `$.queues`."""
    (_, queues, stage) = state["Parameters"]["JobQueue.$"].split(".")
    return [taken["Result"][stage] for taken in system.states.values() if taken.get("ResultPath") == f"$.{queues}"]


def gangs(system: System) -> list[tuple[Resource, Any]]:
    """The pairs that gangs are submitted with: Spot's, then On-Demand's."""
    return submissions(system)[-2:]


def container(definition: Resource) -> dict[str, Any]:
    """What one container of a definition is, whatever the definition's type."""
    if definition.properties["Type"] == "multinode":
        (nodes,) = definition.properties["NodeProperties"]["NodeRangeProperties"]
        found: dict[str, Any] = nodes["Container"]
    else:
        found = definition.properties["ContainerProperties"]
    return found


def resources_of(definition: Resource) -> dict[str, int]:
    """vCPUs, memory in MiB and GPUs that one container asks for."""
    return {entry["Type"]: int(entry["Value"]) for entry in container(definition)["ResourceRequirements"]}


@rests_on(Model("batch", "ComputeResource.type", "Multi-node parallel jobs aren't supported on Spot Instances"))
def multi_node_jobs_stay_away_from_spot(system: System) -> Iterator[str]:
    """Such a job stays RUNNABLE for ever, silently (Batch User Guide, "Compute environment considerations for MNP")."""
    for definition, queue in submissions(system):
        if definition.properties["Type"] == "multinode" and any(
            environment["Type"] != "EC2" for environment in system.environments(queue)
        ):
            yield f"{definition.path} is a multi-node definition and reaches Spot through {queue}"


@rests_on(
    Model("batch", "ComputeResource.type", "Multi-node parallel jobs aren't supported on Spot Instances"),
    Choice("A gang's failure is read by its market, so each market has one way to form a gang and one queue."),
)
def each_market_has_its_own_way_to_form_a_gang(system: System) -> Iterator[str]:
    """An array on Spot alone, a multi-node job on On-Demand alone: a failure's meaning depends on the market."""
    for (definition, queue), kind, market in zip(
        gangs(system), ("container", "multinode"), ("SPOT", "EC2"), strict=True
    ):
        if definition.properties["Type"] != kind:
            yield f"{definition.path} is {definition.properties['Type']}, a gang on {market} is formed by {kind}"
        if [environment["Type"] for environment in system.environments(queue)] != [market]:
            yield f"{queue} must have one environment, of type {market}"


@rests_on(
    Choice("The state machine owns a gang's retries: a member that Batch restarted would join a gang that is gone."),
    Model("batch", "RetryStrategy.attempts", "the job is retried on failure the same number of attempts as the value"),
)
def gangs_do_not_retry_by_themselves(system: System) -> Iterator[str]:
    """Step Functions owns a gang's retries; a member that Batch started again would belong to no gang."""
    for definition, _ in gangs(system):
        strategy = definition.properties.get("RetryStrategy", {})
        if int(strategy.get("Attempts", 0)) != 1 or "EvaluateOnExit" in strategy:
            yield f"{definition.path} must have one attempt and no EvaluateOnExit, it has {strategy}"


@rests_on(
    Choice(
        "A gang on either market resumes from the other's checkpoint, so both run the same image with the same settings."
    )
)
def both_gangs_are_one_program(system: System) -> Iterator[str]:
    """Spot, On-Demand and a redrive resume from the same checkpoint, so they run the same thing."""
    (spot, _), (on_demand, _) = gangs(system)
    if container(spot) != container(on_demand):
        yield f"the containers of {spot.path} and {on_demand.path} differ"


@rests_on(
    Model("batch", "RetryStrategy.evaluateOnExit", "If none of the listed conditions match, then the job is retried"),
    Model("batch", "RetryStrategy.evaluateOnExit", "Array of up to 5 objects"),
    Model("batch", "RetryStrategy.attempts", "You can specify between 1 and 10 attempts"),
    Model(
        "batch",
        "EvaluateOnExit.onStatusReason",
        "It can contain letters, numbers, periods (.), colons (:), and white spaces",
    ),
    Page(
        "AWS Compute Blog",
        "Introducing retry strategies for AWS Batch: a reclaimed host is matched by `Host EC2*`",
        "https://aws.amazon.com/blogs/compute/introducing-retry-strategies-for-aws-batch/",
    ),
    Choice("Bad data stays bad, so nothing but a reclaimed host is worth a second attempt."),
)
def nothing_but_a_reclaimed_host_is_retried(system: System) -> Iterator[str]:
    """Bad data stays bad. No matching rule means RETRY, so the last one is EXIT on `*` ("Automated job retries")."""
    gang_definitions = [definition.path for definition, _ in gangs(system)]
    for definition in system.all("AWS::Batch::JobDefinition"):
        if definition.path in gang_definitions:
            continue
        strategy = definition.properties.get("RetryStrategy", {})
        rules = strategy.get("EvaluateOnExit", [])
        if not 1 <= int(strategy.get("Attempts", 0)) <= 10 or not 1 <= len(rules) <= 5:
            yield f"{definition.path} needs 1 to 10 attempts and 1 to 5 rules"
            continue
        patterns = [rule[key] for rule in rules for key in _CONDITIONS if key in rule]
        for pattern in patterns:
            if not _PATTERN.fullmatch(pattern):
                yield f"{definition.path}: Batch refuses the pattern {pattern!r}"
        for rule in rules:
            if rule["Action"].upper() == "RETRY" and rule.get("OnStatusReason") != "Host EC2*":
                yield f"{definition.path} retries something that is no reclaimed host: {rule}"
        last = {key: value for key, value in rules[-1].items() if key != "Action"}
        if rules[-1]["Action"].upper() != "EXIT" or list(last.values()) != ["*"]:
            yield f"{definition.path}: the last rule must be EXIT on '*', it is {rules[-1]}"


@rests_on(
    Model("batch", "JobTimeout.attemptDurationSeconds", "The minimum value for the timeout is 60 seconds"),
    Choice("A job that hangs is paid for by the hour, so each has a time after which it is stopped."),
)
def every_job_ends(system: System) -> Iterator[str]:
    """Without a timeout a job runs for ever; Batch takes no less than 60 seconds."""
    for definition in system.all("AWS::Batch::JobDefinition"):
        if int(definition.properties.get("Timeout", {}).get("AttemptDurationSeconds", 0)) < 60:
            yield f"{definition.path} has no timeout"


@rests_on(
    Choice("A Task that gives up before its job leaves the job running and names the wrong cause."),
    Model("batch", "JobTimeout.attemptDurationSeconds", "measured from the job attempt's startedAt timestamp"),
)
def tasks_outlast_their_jobs(system: System) -> Iterator[str]:
    """A Task that gives up first leaves a job behind, and an error that names the wrong cause.

    A gang's Task waits for its slot as well, for as long as the stack's largest `SlotMaxWaitSeconds`.
    """
    slot = int(system.declared["SlotMaxWaitSeconds"]["MaxValue"])
    for name, state in system.states.items():
        if state.get("Resource") == _SYNC:
            definition = system.job_definition(state["Parameters"]["JobDefinition"])
            longest = max(_longest(system, definition, queue) for queue in queues_of(system, state))
        elif str(state.get("Resource")).endswith(":lambda:invoke.waitForTaskToken"):
            spot, on_demand = gangs(system)
            gang = spot if state["Parameters"]["Payload"]["market"] == "SPOT" else on_demand
            longest = slot + _longest(system, *gang)
        else:
            continue
        if state["TimeoutSeconds"] <= longest:
            yield f"{name!r} gives up after {state['TimeoutSeconds']} s, its job may take {longest} s"


def _longest(system: System, definition: Resource, queue: Any) -> int:
    attempts = int(definition.properties["RetryStrategy"]["Attempts"])
    duration = int(definition.properties.get("Timeout", {}).get("AttemptDurationSeconds", 0))
    waits = [int(action["MaxTimeSeconds"]) for action in system.at(queue).properties["JobStateTimeLimitActions"]]
    return attempts * duration + max(waits)


@rests_on(Model("batch", "SubmitJobRequest.arrayProperties", "The array size can be between 2 and 10,000"))
def a_gang_is_an_array_that_batch_takes(system: System) -> Iterator[str]:
    """An array has 2 to 10,000 children, and a multi-node job's nodes are as many as a gang's members."""
    members = int(system.named("LaunchGangFunction").properties["Environment"]["Variables"]["GANG_MEMBERS"])
    if not 2 <= members <= 10_000:
        yield f"a gang of {members} is no array"
    for definition, _ in gangs(system):
        environment = {entry["Name"]: entry["Value"] for entry in container(definition)["Environment"]}
        nodes = definition.properties.get("NodeProperties", {}).get("NumNodes", members)
        if int(environment["GANG_MEMBERS"]) != members or int(nodes) != members:
            yield f"{definition.path} and launch_gang disagree on the number of members"


@rests_on(
    Data("moto", "VCpuInfo, MemoryInfo and GpuInfo of DescribeInstanceTypes"),
    Page(
        "Batch User Guide",
        "Compute resource memory management",
        "https://docs.aws.amazon.com/batch/latest/userguide/memory-management.html",
    ),
    Report(
        "https://github.com/aws/karpenter-provider-aws/issues/7929",
        "7.5% of the installed memory is what no known type and image takes for itself",
    ),
    Report(
        "https://github.com/thewca/worldcubeassociation.org/pull/9974", "an m6i.large registers 372 of 8192 MiB less"
    ),
)
def whole_gangs_fit(system: System) -> Iterator[str]:
    """MaxvCpus is a whole multiple of one gang, and a member takes one whole instance: half a gang never holds GPUs."""
    members = int(system.named("LaunchGangFunction").properties["Environment"]["Variables"]["GANG_MEMBERS"])
    for definition, queue in gangs(system):
        asked = resources_of(definition)
        for environment in system.environments(queue):
            most = int(environment["MaxvCpus"])
            if most < members * asked["VCPU"] or most % (members * asked["VCPU"]):
                yield f"{queue}: {most} vCPUs are no whole number of gangs of {members} x {asked['VCPU']}"
            for name in environment["InstanceTypes"]:
                kind = INSTANCE_TYPES[name]
                if (kind.vcpus, kind.gpus) != (asked["VCPU"], asked.get("GPU", 0)):
                    yield f"{definition.path}: a member asks for {asked}, {name} has {kind}"
                if asked["MEMORY"] > _registered_mib(kind):
                    yield f"{definition.path}: {asked['MEMORY']} MiB are more than ECS may register of {name}"
            if len({INSTANCE_TYPES[name].gpu for name in environment["InstanceTypes"]}) > 1:
                yield f"{queue} mixes GPU models: {environment['InstanceTypes']}"


def _registered_mib(kind: InstanceType) -> int:
    """The least that ECS registers of an instance's memory: kernel, firmware and agent keep 7.5%, and 512 MiB of a small one."""
    return min(kind.memory_mib * 925 // 1000, kind.memory_mib - 512)


@rests_on(
    Page(
        "Batch API Reference",
        "ResourceRequirement: the value of GPU is the number of physical GPUs to reserve",
        "https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html",
    ),
)
def resources_are_asked_for_in_whole_numbers(system: System) -> Iterator[str]:
    """A requirement is 1 or more; a definition that wants no GPU does not name GPUs."""
    for definition in system.all("AWS::Batch::JobDefinition"):
        for name, amount in resources_of(definition).items():
            if amount < 1:
                yield f"{definition.path} asks for {name} {amount}"


@rests_on(
    Model(
        "batch",
        "JobDetail.statusReason",
        "All compute environments have a maxVcpu setting that is smaller than the job requirements",
    )
)
def jobs_on_the_main_queue_fit(system: System) -> Iterator[str]:
    """A job that asks for more than an environment's vCPUs is never placed."""
    for definition, queue in submissions(system)[:-2]:
        for environment in system.environments(queue):
            if resources_of(definition)["VCPU"] > int(environment["MaxvCpus"]):
                yield f"{definition.path} asks for more vCPUs than {queue} has"


@rests_on(
    Data("botocore", "RegisterJobDefinition's shape, with which the twin's checks for Fargate read a definition"),
    Model(
        "batch",
        "ResourceRequirement.value",
        "must match one of the supported values and the VCPU values must be one of the values supported for that memory value",
    ),
)
def fargate_jobs_ask_for_what_fargate_has(system: System) -> Iterator[str]:
    """A definition is made for instances or for Fargate, and Fargate refuses much of what instances take."""
    for definition, queue in submissions(system):
        without_instances = any("FARGATE" in environment["Type"] for environment in system.environments(queue))
        capabilities = definition.properties.get("PlatformCapabilities", ["EC2"])
        if capabilities != (["FARGATE"] if without_instances else ["EC2"]):
            yield f"{definition.path} is made for {capabilities} and is submitted to {queue}"
        if capabilities == ["FARGATE"]:
            for problem in fargate.problems(_as_registered(definition)["containerProperties"]):
                yield f"{definition.path}: {problem}"


def _as_registered(definition: Resource) -> dict[str, Any]:
    """A definition as the call that CloudFormation registers it with."""
    model = botocore.session.get_session().get_service_model("batch")
    shape = model.operation_model("RegisterJobDefinition").input_shape
    assert shape is not None
    registered: dict[str, Any] = to_api(definition.properties, shape, definition.path)
    return registered


@rests_on(
    Choice("What a program does not write by design, it cannot write: a read-only root shows a stray file at once."),
    Model(
        "batch",
        "ContainerProperties.readonlyRootFilesystem",
        "the container is given read-only access to its root file system",
    ),
)
def containers_write_to_tmp_only(system: System) -> Iterator[str]:
    """A read-only root file system, one scratch volume, and for a gang the shared folder where a file system is named."""
    sharing = (
        {definition.path for definition, _ in gangs(system)} if system.parameters.get("SharedFileSystemId") else set()
    )
    for definition in system.all("AWS::Batch::JobDefinition"):
        it = container(definition)
        mounts = {(mount["ContainerPath"], mount["SourceVolume"]) for mount in it.get("MountPoints", [])}
        allowed = {("/tmp", "scratch")} | ({("/shared", "shared")} if definition.path in sharing else set())
        if it.get("ReadonlyRootFilesystem") is not True or mounts != allowed:
            yield f"{definition.path} can write outside {sorted(path for path, _ in allowed)}"
        if it.get("Privileged"):
            yield f"{definition.path} is privileged"


@rests_on(
    Model(
        "batch",
        "SubmitJobRequest.jobDefinition",
        "If the revision is not specified, then the latest active revision is used",
    ),
    Model("batch", "RegisterJobDefinitionRequest.jobDefinitionName", "It can be up to 128 letters long"),
)
def jobs_are_named_without_revision(system: System) -> Iterator[str]:
    """An update deregisters the revision that it replaces, so a redrive must find the newest by name."""
    variables = system.named("LaunchGangFunction").properties["Environment"]["Variables"]
    names = [state["Parameters"]["JobDefinition"] for state in system.states.values() if state.get("Resource") == _SYNC]
    for name in [*names, variables["SPOT_JOB_DEFINITION"], variables["ON_DEMAND_JOB_DEFINITION"]]:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", name):
            yield f"jobs are submitted with the definition {name}, which is no name"


RULES = (
    multi_node_jobs_stay_away_from_spot,
    each_market_has_its_own_way_to_form_a_gang,
    gangs_do_not_retry_by_themselves,
    both_gangs_are_one_program,
    nothing_but_a_reclaimed_host_is_retried,
    every_job_ends,
    tasks_outlast_their_jobs,
    a_gang_is_an_array_that_batch_takes,
    whole_gangs_fit,
    resources_are_asked_for_in_whole_numbers,
    jobs_on_the_main_queue_fit,
    fargate_jobs_ask_for_what_fargate_has,
    containers_write_to_tmp_only,
    jobs_are_named_without_revision,
)
