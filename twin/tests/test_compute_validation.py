"""What AWS Batch refuses (AWS Batch API Reference, SubmitJob and RegisterJobDefinition)."""

from __future__ import annotations

from typing import Any

import pytest

from twin.compute.validation import definition_problems, submission_problems

CONTAINER = {
    "image": "shell",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
}
CONTAINER_DEFINITION = {"type": "container", "containerProperties": CONTAINER}
GANG = {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", "container": CONTAINER}]}
FIXED = {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:3", "container": CONTAINER}]}

SPLIT = {**GANG, "nodeRangeProperties": [{"targetNodes": at, "container": CONTAINER} for at in ("0:1", "2:")]}


def refused(definition: dict[str, Any], *, fair: bool = False, fargate: bool = False, **request: Any) -> str:
    request = {"jobName": "job", **request}
    return "; ".join(submission_problems(request, definition, fair_share=fair, without_instances=fargate))


def gang(properties: dict[str, Any] = GANG) -> dict[str, Any]:
    return {"type": "multinode", "nodeProperties": properties}


def node_overrides(target: str = "0:", **others: Any) -> dict[str, Any]:
    return {"nodePropertyOverrides": [{"targetNodes": target, "containerOverrides": {}}], **others}


ON_FARGATE = {
    "type": "container",
    "platformCapabilities": ["FARGATE"],
    "containerProperties": {**CONTAINER, "executionRoleArn": "arn", "resourceRequirements": []},
}


def on_fargate(vcpus: str = "2", memory: str = "8192", **more: Any) -> dict[str, Any]:
    asked = [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory}]
    return {
        **ON_FARGATE,
        "containerProperties": {**ON_FARGATE["containerProperties"], "resourceRequirements": asked, **more},  # type: ignore[dict-item]
    }


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html")
@pytest.mark.parametrize(("vcpus", "memory"), [("0.25", "512"), ("1", "2048"), ("2", "16384"), ("16", "122880")])
def test_fargate_lends_certain_pairs_of_vcpus_and_memory(vcpus: str, memory: str) -> None:
    assert definition_problems(on_fargate(vcpus, memory)) == []


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/fargate-job-definitions.html")
@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (on_fargate("2", "7680"), "does not lend 7680 MiB with 2 vCPUs"),
        (on_fargate("3", "8192"), "has no 3 vCPUs"),
        (on_fargate(executionRoleArn=None), "executionRoleArn must be set"),
        (on_fargate(ulimits=[{"name": "nofile"}]), "ulimits is not applicable"),
        (on_fargate(privileged=True), "privileged is not applicable"),
        (on_fargate(linuxParameters={"sharedMemorySize": 64}), "linuxParameters.sharedMemorySize"),
        (on_fargate(volumes=[{"name": "scratch", "host": {}}]), "volumes.host is not applicable"),
    ],
)
def test_what_fargate_does_not_have_is_refused(definition: dict[str, Any], problem: str) -> None:
    assert problem in "; ".join(definition_problems(definition))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeEnvironmentOrder.html",
)
def test_a_definition_and_its_queue_are_both_for_fargate_or_neither() -> None:
    assert refused(on_fargate(), fargate=True) == ""
    assert "do not match" in refused(on_fargate())
    assert "do not match" in refused(CONTAINER_DEFINITION, fargate=True)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeOverrides.html",
)
def test_a_plain_job_is_accepted() -> None:
    assert refused(CONTAINER_DEFINITION) == ""
    assert refused(gang(), nodeOverrides=node_overrides(numNodes=2)) == ""


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerOverrides.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobTimeout.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html",
)
@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"jobName": "a b"}, "valid pattern"),
        ({"jobName": "x" * 129}, "valid pattern"),
        ({"arrayProperties": {"size": 1}}, "between 2 and 10000"),
        ({"arrayProperties": {"size": 10_001}}, "between 2 and 10000"),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "maximum of 20"),
        ({"dependsOn": [{"jobId": "x", "type": "N_TO_N"}]}, "needs an array job"),
        ({"dependsOn": [{}]}, "jobId must be set"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
        ({"retryStrategy": {"attempts": 11}}, "between 1 and 10"),
        ({"shareIdentifier": "a"}, "without a scheduling policy"),
        ({"nodeOverrides": {"numNodes": 2}}, "only be set for a multi-node"),
        ({"containerOverrides": {"environment": [{"name": "AWS_BATCH_JOB_ID", "value": "x"}]}}, "reserved"),
        ({"containerOverrides": {"resourceRequirements": [{"type": "CPU", "value": "1"}]}}, "VCPU, MEMORY or GPU"),
        ({"containerOverrides": {"resourceRequirements": [{"type": "GPU", "value": "0"}]}}, "positive number"),
        ({"eksPropertiesOverride": {"podProperties": {}}}, "eksPropertiesOverride is not modelled"),
        ({"tags": {str(at): "x" for at in range(51)}}, "at most 50 tags"),
    ],
)
def test_an_unsound_request_is_refused(request_: dict[str, Any], problem: str) -> None:
    assert problem in refused(CONTAINER_DEFINITION, **request_)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html")
def test_a_fair_share_queue_needs_a_share() -> None:
    assert "must be set" in refused(CONTAINER_DEFINITION, fair=True)
    assert refused(CONTAINER_DEFINITION, fair=True, shareIdentifier="teamA*") == ""


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeOverrides.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodePropertyOverride.html",
)
@pytest.mark.parametrize(
    ("properties", "request_", "problem"),
    [
        (GANG, {"containerOverrides": {"command": ["x"]}}, "set nodeOverrides instead"),
        (GANG, {"arrayProperties": {"size": 2}}, "cannot be an array"),
        (GANG, {"nodeOverrides": node_overrides("0:3")}, "not a node range of the job definition"),
        (FIXED, {"nodeOverrides": {"numNodes": 2}}, "no upper limit"),
        ({**GANG, "mainNode": 3}, {"nodeOverrides": {"numNodes": 2}}, "above the main node's index"),
        (SPLIT, {"nodeOverrides": {"numNodes": 2}}, "above the lower boundary of each node range"),
    ],
)
def test_node_overrides_must_fit_the_definition(properties: dict[str, Any], request_: Any, problem: str) -> None:
    assert problem in refused(gang(properties), **request_)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html")
def test_a_gang_is_refused_on_fargate() -> None:
    assert "Fargate" in refused(gang(), fargate=True)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeProperties.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeRangeProperty.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/mnp-node-groups.html",
)
@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"type": "multinode"}, "nodeProperties must be provided"),
        (gang({**GANG, "mainNode": 4}), "mainNode must be smaller"),
        (gang({**GANG, "numNodes": 0}), "numNodes must be between"),
        (gang({**GANG, "nodeRangeProperties": [{"targetNodes": "0:1", "container": CONTAINER}]}), "each of the nodes"),
        (gang({**GANG, "nodeRangeProperties": [{"targetNodes": "0:", "ecsProperties": {}}]}), "twin models container"),
        (gang({**GANG, "nodeRangeProperties": [{"targetNodes": "0:", "container": {}}]}), "must contain image"),
        (gang({**GANG, "nodeRangeProperties": [{"targetNodes": "0:", "container": CONTAINER}] * 6}), "at most 5"),
        (gang() | {"containerProperties": CONTAINER}, "must not be set"),
        (CONTAINER_DEFINITION | {"timeout": {"attemptDurationSeconds": 1}}, "at least 60"),
        (CONTAINER_DEFINITION | {"eksProperties": {}}, "not modelled"),
    ],
)
def test_an_unsound_definition_is_refused(definition: dict[str, Any], problem: str) -> None:
    assert problem in "; ".join(definition_problems(definition))


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_Volume.html")
@pytest.mark.parametrize("kind", ["efsVolumeConfiguration", "s3filesVolumeConfiguration"])
def test_a_file_system_that_the_twin_cannot_mount_is_refused_by_name(kind: str) -> None:
    container = {**CONTAINER, "volumes": [{"name": "scratch", "host": {}}, {"name": "shared", kind: {}}]}
    ranges = [{"targetNodes": "0:", "container": container}]
    for definition in (
        {"type": "container", "containerProperties": container},
        gang({**GANG, "nodeRangeProperties": ranges}),
    ):
        (problem,) = definition_problems(definition)
        assert f"{kind} of the volume shared is not modelled by the twin" in problem


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html")
def test_sound_definitions_are_accepted() -> None:
    assert definition_problems(CONTAINER_DEFINITION) == []
    assert definition_problems(gang()) == []
