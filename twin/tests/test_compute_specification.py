"""What a container runs with (AWS Batch API Reference, ContainerOverrides, NodeOverrides) and its variables."""

from __future__ import annotations

from typing import Any

import pytest

from twin.compute.resources import Resources
from twin.compute.specification import container_spec, node_specs, substitute, target_nodes
from twin.compute.variables import Node, Placed, batch_variables

CONTAINER = {
    "image": "shell",
    "command": ["run", "--day", "Ref::day"],
    "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "1024"}],
    "jobRoleArn": "arn:aws:iam::123456789012:role/job",
}


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerOverrides.html")
def test_overrides_win_by_name_and_by_type() -> None:
    overrides = {
        "environment": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
        "resourceRequirements": [{"type": "MEMORY", "value": "2048"}, {"type": "GPU", "value": "1"}],
    }
    spec = container_spec(CONTAINER, overrides, {})
    assert spec.environment == {"A": "1", "B": "3", "C": "4"}
    assert spec.resources == Resources(2.0, 2048, 1)
    assert spec.job_role == "arn:aws:iam::123456789012:role/job"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerOverrides.html")
def test_an_overriding_command_replaces_the_whole_command() -> None:
    assert container_spec(CONTAINER, {"command": ["other"]}, {}).command == ("other",)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html")
def test_parameters_are_put_into_the_command() -> None:
    assert container_spec(CONTAINER, None, {"day": "20130209"}).command == ("run", "--day", "20130209")
    assert substitute("s3://Ref::bucket/Ref::key", {"bucket": "b", "key": "k"}) == "s3://b/k"


@pytest.mark.ours
def test_a_parameter_without_a_value_stays_as_written() -> None:
    assert container_spec(CONTAINER, None, {}).command == ("run", "--day", "Ref::day")


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerOverrides.html")
def test_deprecated_vcpus_and_memory_count_as_requirements() -> None:
    spec = container_spec({"image": "x", "vcpus": 1, "memory": 512}, {"vcpus": 4}, {})
    assert spec.resources == Resources(4.0, 512, 0)
    assert "vcpus" not in spec.properties


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerOverrides.html")
def test_a_deprecated_override_never_wins_over_a_stated_requirement() -> None:
    assert container_spec(CONTAINER, {"vcpus": 8, "memory": 9000}, {}).resources == Resources(2.0, 1024, 0)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeRangeProperty.html")
@pytest.mark.parametrize(
    ("target", "nodes"), [("0", [0]), ("1:", [1, 2, 3]), (":2", [0, 1, 2]), ("0:", [0, 1, 2, 3]), ("1:2", [1, 2])]
)
def test_target_nodes(target: str, nodes: list[int]) -> None:
    assert list(target_nodes(target, 4)) == nodes


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeRangeProperty.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodePropertyOverride.html",
)
def test_each_node_gets_its_range_and_the_narrower_of_nested_ranges() -> None:
    """AWS Batch API Reference, NodeRangeProperty: a nested range is used instead of the one around it."""
    properties: dict[str, Any] = {
        "numNodes": 3,
        "mainNode": 0,
        "nodeRangeProperties": [
            {"targetNodes": "0:", "container": {**CONTAINER, "command": ["work"]}},
            {"targetNodes": "0:0", "container": {**CONTAINER, "command": ["lead"]}},
        ],
    }
    overrides = {
        "numNodes": 4,
        "nodePropertyOverrides": [
            {"targetNodes": "0:", "containerOverrides": {"environment": [{"name": "RUN_ID", "value": "r"}]}}
        ],
    }
    specs = node_specs(properties, overrides, {})
    assert [spec.command for spec in specs] == [("lead",), ("work",), ("work",), ("work",)]
    assert all(spec.environment["RUN_ID"] == "r" for spec in specs)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html")
def test_a_container_job_gets_batch_s_variables_and_no_others() -> None:
    """AWS Batch User Guide, "AWS Batch job environment variables"."""
    assert batch_variables(Placed("id", 2, "queue", "env")) == {
        "AWS_BATCH_JOB_ID": "id",
        "AWS_BATCH_JOB_ATTEMPT": "2",
        "AWS_BATCH_JQ_NAME": "queue",
        "AWS_BATCH_CE_NAME": "env",
    }


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html")
def test_an_array_s_child_knows_its_index_and_the_array_s_size() -> None:
    variables = batch_variables(Placed("id:3", 1, "queue", "env", array_index=3, array_size=8))
    assert variables["AWS_BATCH_JOB_ID"] == "id:3"
    assert variables["AWS_BATCH_JOB_ARRAY_INDEX"] == "3"
    assert variables["AWS_BATCH_JOB_ARRAY_SIZE"] == "8"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/mnp-env-vars.html")
def test_only_child_nodes_are_told_the_main_node_s_address() -> None:
    """AWS Batch User Guide, "Environment variables" (multi-node): "This variable isn't present on the main node"."""
    main, child = (
        batch_variables(Placed("id", 1, "queue", "env", node=Node(index, 2, 0, "127.9.9.9"))) for index in (0, 1)
    )
    assert child["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] == "127.9.9.9"
    assert "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS" not in main
    assert child["AWS_BATCH_JOB_NODE_INDEX"] == "1"
    assert main["AWS_BATCH_JOB_NUM_NODES"] == child["AWS_BATCH_JOB_NUM_NODES"] == "2"
    assert main["AWS_BATCH_JOB_MAIN_NODE_INDEX"] == "0"
    assert child["AWS_BATCH_JOB_ID"] == "id#1"
