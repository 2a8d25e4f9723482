"""What AWS Batch refuses of a compute environment, in the words that live reports quote."""

from __future__ import annotations

from typing import Any

import pytest

from twin.compute.environment_validation import environment_problems, read_offered

INTERFACE = {"NetworkCardIndex": 0, "DeviceIndex": 0, "InterfaceType": "efa", "Groups": ["sg-1"]}


def find_problems(region: str = "us-east-1", interfaces: tuple[dict[str, Any], ...] = (), **resources: Any) -> str:
    found = environment_problems({"instanceTypes": ["optimal"], **resources}, interfaces, read_offered(region))
    return "; ".join(found)


@pytest.mark.documented("https://github.com/aws/aws-cdk/issues/21577")
def test_security_groups_and_network_interfaces_exclude_each_other() -> None:
    assert find_problems(interfaces=(INTERFACE,), securityGroupIds=["sg-1"]).startswith(
        "Either compute environment Security Groups or Network Interfaces in Launch template are exclusively allowed"
    )
    assert find_problems(interfaces=(INTERFACE,)) == find_problems(securityGroupIds=["sg-1"]) == ""


@pytest.mark.documented("https://github.com/aws-samples/aws-genai-llm-chatbot/issues/488")
@pytest.mark.parametrize(
    ("region", "names", "refused"),
    [
        ("eu-west-3", ["m6i", "c6a"], "c6a"),
        ("eu-west-3", ["m6i", "p5.48xlarge"], "p5.48xlarge"),
        ("me-south-1", ["c7i.large", "m7i"], "c7i.large, m7i"),
    ],
)
def test_one_type_that_the_region_lacks_refuses_the_whole_list(region: str, names: list[str], refused: str) -> None:
    problem = find_problems(region, instanceTypes=names)
    assert problem.startswith("Instance type can only be one of [")
    assert problem.endswith(f"; it cannot be {refused}")


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html")
@pytest.mark.parametrize("names", [["default_x86_64"], ["optimal", "m6i"], ["c7i.large"], ["m5.metal"]])
def test_bundles_families_and_types_of_the_region_are_taken(names: list[str]) -> None:
    assert find_problems("eu-central-1", instanceTypes=names) == ""


@pytest.mark.ours
def test_a_region_without_data_refuses_only_what_ec2_does_not_have() -> None:
    assert find_problems("us-gov-west-1", instanceTypes=["p5.48xlarge", "m6a"]) == ""
    assert find_problems("us-gov-west-1", instanceTypes=["z9"]).endswith("it cannot be z9")
