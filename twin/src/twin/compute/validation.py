"""What AWS Batch refuses: SubmitJob and RegisterJobDefinition, as pure functions that return what is wrong.

The rules are those of the AWS Batch API Reference (SubmitJob, RegisterJobDefinition, ArrayProperties, NodeOverrides,
JobTimeout, RetryStrategy); the wording of a message is AWS's where AWS publishes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twin.compute import attempts, fargate
from twin.compute.resources import requested
from twin.compute.specification import target_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MINIMUM_TIMEOUT_SECONDS = 60
MAX_DEPENDENCIES = 20
MAX_TAGS = 50
MAX_NODES = 1000
MAX_NODE_RANGES = 5
ARRAY_SIZES = range(2, 10_001)
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SHARE = re.compile(r"[A-Za-z0-9]{1,255}\*?")
_FILE_SYSTEMS = ("efsVolumeConfiguration", "s3filesVolumeConfiguration")
_NOT_MODELLED = ("eksPropertiesOverride", "ecsPropertiesOverride", "consumableResourcePropertiesOverride")


def submission_problems(
    request: Mapping[str, Any], definition: Mapping[str, Any], *, fair_share: bool, without_instances: bool
) -> list[str]:
    """What is wrong with a SubmitJob request.

    Parameters
    ----------
    request
        The request's body.
    definition
        The job definition it names, as DescribeJobDefinitions shows it.
    fair_share, without_instances
        Whether its queue has a scheduling policy, and whether it has Fargate environments.
    """
    found = []
    if not _JOB_NAME.fullmatch(request.get("jobName") or ""):
        found.append("Job name should match valid pattern")
    found += [f"{name} is not modelled by the twin" for name in _NOT_MODELLED if request.get(name)]
    found += _array_problems(request, definition)
    found += _dependency_problems(request)
    found += _share_problems(request, fair_share)
    found += attempts.problems(request.get("retryStrategy"))
    found += _timeout_problems(request.get("timeout"))
    if len(request.get("tags") or {}) > MAX_TAGS:
        found.append(f"A job can have at most {MAX_TAGS} tags")
    if definition["type"] == "multinode":
        found += _multinode_problems(request, definition["nodeProperties"], without_instances)
    else:
        found += _container_override_problems(request.get("containerOverrides"))
        if request.get("nodeOverrides"):
            found.append("nodeOverrides can only be set for a multi-node parallel job")
        if fargate.is_for_fargate(definition) != without_instances:
            found.append(
                "The job definition's platform capabilities and the compute environments of the job queue do not match: "
                "one is for Fargate, the other is not"
            )
    return found


def _array_problems(request: Mapping[str, Any], definition: Mapping[str, Any]) -> list[str]:
    size = (request.get("arrayProperties") or {}).get("size")
    if size is None:
        return []
    if definition["type"] == "multinode":
        return ["A multi-node parallel job cannot be an array job"]
    if int(size) not in ARRAY_SIZES:
        return [f"Array size must be between {ARRAY_SIZES.start} and {ARRAY_SIZES.stop - 1}, not {size}"]
    return []


def _dependency_problems(request: Mapping[str, Any]) -> list[str]:
    dependencies: Sequence[Mapping[str, str]] = request.get("dependsOn") or []
    is_array = bool((request.get("arrayProperties") or {}).get("size"))
    found = []
    if len(dependencies) > MAX_DEPENDENCIES:
        found.append(f"A job can depend upon a maximum of {MAX_DEPENDENCIES} jobs")
    for dependency in dependencies:
        kind = dependency.get("type")
        if kind not in (None, "N_TO_N", "SEQUENTIAL"):
            found.append(f"dependsOn.type must be N_TO_N or SEQUENTIAL, not {kind}")
        elif kind and not is_array:
            found.append(f"A {kind} dependency needs an array job")
        elif kind != "SEQUENTIAL" and not dependency.get("jobId"):
            found.append("dependsOn.jobId must be set")
    return found


def _share_problems(request: Mapping[str, Any], fair_share: bool) -> list[str]:
    share = request.get("shareIdentifier")
    found = []
    if fair_share and not share:
        found.append("shareIdentifier must be set for a job queue with a scheduling policy")
    if share and not fair_share:
        found.append("shareIdentifier must not be set for a job queue without a scheduling policy")
    if share and not _SHARE.fullmatch(share):
        found.append(f"shareIdentifier must be alphanumeric, not {share}")
    priority = request.get("schedulingPriorityOverride")
    if priority is not None and not 0 <= int(priority) <= 9999:
        found.append(f"schedulingPriorityOverride must be between 0 and 9999, not {priority}")
    return found


def _timeout_problems(timeout: Mapping[str, Any] | None) -> list[str]:
    seconds = (timeout or {}).get("attemptDurationSeconds")
    if seconds is not None and int(seconds) < MINIMUM_TIMEOUT_SECONDS:
        return [f"attemptDurationSeconds must be at least {MINIMUM_TIMEOUT_SECONDS}, not {seconds}"]
    return []


def _container_override_problems(overrides: Mapping[str, Any] | None) -> list[str]:
    return _environment_problems((overrides or {}).get("environment")) + _requirement_problems(overrides or {})


def _environment_problems(environment: Sequence[Mapping[str, str]] | None) -> list[str]:
    return [
        f"Environment variable {pair['name']} must not start with AWS_BATCH: the prefix is reserved"
        for pair in environment or ()
        if pair.get("name", "").startswith("AWS_BATCH")
    ]


def _requirement_problems(properties: Mapping[str, Any]) -> list[str]:
    found = []
    for item in properties.get("resourceRequirements") or ():
        if item.get("type") not in ("VCPU", "MEMORY", "GPU"):
            found.append(f"resourceRequirements.type must be VCPU, MEMORY or GPU, not {item.get('type')}")
        elif not re.fullmatch(r"\d+(\.\d+)?", str(item.get("value"))) or float(item["value"]) <= 0:
            found.append(f"resourceRequirements: {item['type']} must be a positive number, not {item.get('value')}")
    return found


def _multinode_problems(
    request: Mapping[str, Any], properties: Mapping[str, Any], without_instances: bool
) -> list[str]:
    found = []
    if without_instances:
        found.append("Multi-node parallel jobs are not supported on Fargate")
    if request.get("containerOverrides"):
        found.append("containerOverrides must not be set for a multi-node parallel job, set nodeOverrides instead")
    overrides = request.get("nodeOverrides") or {}
    stated = [entry["targetNodes"] for entry in properties["nodeRangeProperties"]]
    count = int(overrides.get("numNodes") or properties["numNodes"])
    if count != properties["numNodes"]:
        if not any(str(target).endswith(":") for target in stated):
            found.append("numNodes can only be overridden when a node range of the job definition has no upper limit")
        if not properties["mainNode"] < count <= MAX_NODES:
            found.append(f"numNodes must be above the main node's index {properties['mainNode']}, not {count}")
        if any(target_nodes(target, count).start >= count for target in stated):
            found.append(
                f"numNodes must be above the lower boundary of each node range ({', '.join(stated)}), not {count}"
            )
    for entry in overrides.get("nodePropertyOverrides") or ():
        if entry.get("targetNodes") not in stated:
            found.append(
                f"nodePropertyOverrides: targetNodes {entry.get('targetNodes')} is not a node range of the job definition "
                f"({', '.join(stated)})"
            )
        found += _container_override_problems(entry.get("containerOverrides"))
    return found


def definition_problems(definition: Mapping[str, Any]) -> list[str]:
    """What is wrong with a job definition, given as in RegisterJobDefinition.

    Image, memory and vCPUs of a container definition are not looked at: moto checks these.
    """
    found = attempts.problems(definition.get("retryStrategy")) + _timeout_problems(definition.get("timeout"))
    if definition.get("eksProperties") is not None:
        found.append("eksProperties are not modelled by the twin")
    if definition["type"] == "multinode":
        found += _node_property_problems(definition)
    elif properties := definition.get("containerProperties"):
        found += _container_problems(properties)
        if fargate.is_for_fargate(definition):
            found += fargate.problems(properties)
    return found


def _container_problems(properties: Mapping[str, Any]) -> list[str]:
    return (
        _environment_problems(properties.get("environment"))
        + _requirement_problems(properties)
        + _volume_problems(properties.get("volumes"))
    )


def _volume_problems(volumes: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Refuse what the twin cannot mount: a process that found no file system at its path would write to this machine's disk."""
    return [
        f"volumes: {kind} of the volume {volume.get('name')} is not modelled by the twin, which mounts no file systems: deploy without it"
        for volume in volumes or ()
        for kind in _FILE_SYSTEMS
        if volume.get(kind) is not None
    ]


def _node_property_problems(definition: Mapping[str, Any]) -> list[str]:
    properties = definition.get("nodeProperties")
    if not properties:
        return ["nodeProperties must be provided for a multi-node parallel job definition"]
    if definition.get("containerProperties"):
        return ["containerProperties must not be set for a multi-node parallel job definition"]
    if "FARGATE" in (definition.get("platformCapabilities") or []):
        return ["Multi-node parallel jobs are not supported on Fargate"]
    missing = [name for name in ("numNodes", "mainNode", "nodeRangeProperties") if properties.get(name) is None]
    if missing:
        return [f"nodeProperties must contain {name}" for name in missing]
    count, main = int(properties["numNodes"]), int(properties["mainNode"])
    found = []
    if not 1 <= count <= MAX_NODES:
        found.append(f"numNodes must be between 1 and {MAX_NODES}, not {count}")
    if not 0 <= main < count:
        found.append(f"mainNode must be smaller than numNodes {count}, not {main}")
    if len(properties["nodeRangeProperties"]) > MAX_NODE_RANGES:
        found.append(f"A multi-node parallel job can have at most {MAX_NODE_RANGES} node ranges")
    covered: set[int] = set()
    for entry in properties["nodeRangeProperties"]:
        covered.update(target_nodes(entry["targetNodes"], count))
        found += _node_range_problems(entry)
    if covered != set(range(count)):
        found.append(f"The node ranges must hold each of the nodes 0 to {count - 1}")
    return found


def _node_range_problems(entry: Mapping[str, Any]) -> list[str]:
    target = entry["targetNodes"]
    container = entry.get("container")
    if container is None:
        return [f"nodeRangeProperties {target}: the twin models container, not ecsProperties or eksProperties"]
    asked = requested(container)
    found = [f"nodeRangeProperties {target}: {problem}" for problem in _container_problems(container)]
    if not container.get("image"):
        found.append(f"nodeRangeProperties {target}: container must contain image")
    if asked.vcpus <= 0:
        found.append(f"nodeRangeProperties {target}: container must contain vcpus")
    if asked.memory < 4:
        found.append(f"nodeRangeProperties {target}: container memory limit must be at least 4")
    return found
