"""The environments of samconfig.toml deploy, and each is what it is said to be."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from typing import Any

import botocore.session
import pytest

from tests.template.rules import RULES
from tests.template.rules.hosts import tags_replace
from tests.template.rules.jobs import container, gangs, resources_of, submissions
from tests.template.system import ROOT, Resource, System, load

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = ("dev", "trial", "prod")

# "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances" and "All Standard Spot Instance Requests", in vCPUs:
# https://docs.aws.amazon.com/general/latest/gr/ec2-service.html. Fargate's number stands in Batch's own service model.
STANDARD_VCPUS = {"EC2": 5, "SPOT": 5}
STANDARD_FAMILIES = "acdhimrtz"


def overrides(environment: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in CONFIG[environment]["deploy"]["parameters"]["parameter_overrides"])


@cache
def deployed(environment: str) -> System:
    return load(overrides(environment))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("rule", RULES)
def test_an_environment_keeps_our_rules(environment: str, rule: str) -> None:
    assert list(RULES[rule](deployed(environment))) == []


@pytest.mark.parametrize(
    ("environment", "instances", "vcpus"),
    [("dev", "g6.2xlarge", 16), ("trial", "c7i.large", 4), ("prod", "p5.48xlarge", 768)],
)
def test_an_environment_has_room_for_the_gang_that_is_promised(environment: str, instances: str, vcpus: int) -> None:
    system = deployed(environment)
    for _, queue in gangs(system):
        (found,) = system.environments(queue)
        assert (found["InstanceTypes"], int(found["MaxvCpus"])) == ([instances], vcpus)


def test_prod_uses_every_gpu_of_its_instances() -> None:
    for definition, _ in gangs(deployed("prod")):
        assert resources_of(definition) == {"VCPU": 192, "MEMORY": 1_900_544, "GPU": 8}


def fargate_vcpus() -> int:
    """Fargate's default quota of On-Demand vCPUs, as Batch's service model says it."""
    model = botocore.session.get_session().get_service_model("batch")
    shape: Any = model.shape_for("ResourceRequirement")
    text = shape.members["value"].documentation
    found = re.search(r"default for the Fargate On-Demand vCPU resource count quota is (\d+) vCPUs", text)
    assert found, "Batch's service model says it no longer"
    return int(found[1])


def most_vcpus(system: System) -> dict[str, int]:
    """The vCPUs that all environments of a kind may have at one time."""
    most: Counter[str] = Counter()
    for environment in system.all("AWS::Batch::ComputeEnvironment"):
        resources = environment.properties["ComputeResources"]
        assert all(name[0] in STANDARD_FAMILIES for name in resources.get("InstanceTypes", []))
        most[resources["Type"]] += int(resources["MaxvCpus"])
    return dict(most)


def test_trial_fits_into_the_quotas_of_a_new_account() -> None:
    quotas = {**STANDARD_VCPUS, "FARGATE": fargate_vcpus()}

    most = most_vcpus(deployed("trial"))

    assert most.keys() == quotas.keys()
    assert all(most[kind] <= quotas[kind] for kind in quotas), (most, quotas)


def on_fargate(system: System) -> list[Resource]:
    """The job definitions that run on Fargate."""
    definitions = system.all("AWS::Batch::JobDefinition")
    return [it for it in definitions if it.properties.get("PlatformCapabilities") == ["FARGATE"]]


def test_an_image_that_runs_on_fargate_owns_its_volume() -> None:
    """Else only root may write to it (ECS Developer Guide, "Bind mounts")."""
    images = [container(definition)["Image"] for definition in on_fargate(deployed("trial"))]
    jobs = [re.sub(r".*/spotline-(\w+):.*", r"\1", image) for image in images]
    assert sorted(jobs) == ["postprocess", "preprocess"]
    for job in jobs:
        assert 'VOLUME ["/tmp"]' in (ROOT / "jobs" / job / "Dockerfile").read_text().splitlines()


def test_trial_has_room_for_each_job() -> None:
    """Preprocess of one run and postprocess of another fit at one time."""
    system = deployed("trial")
    tasks = on_fargate(system)
    assert sum(resources_of(task)["VCPU"] for task in tasks) <= most_vcpus(system)["FARGATE"]
    for definition, queue in submissions(system):
        (environment,) = system.environments(queue)
        assert resources_of(definition)["VCPU"] <= int(environment["MaxvCpus"])


def test_trial_costs_nothing_at_rest_for_its_network() -> None:
    system = deployed("trial")
    paid = ("AWS::EC2::NatGateway", "AWS::EC2::EIP")
    assert [resource.path for kind in paid for resource in system.all(kind)] == []
    assert {endpoint.properties["VpcEndpointType"] for endpoint in system.all("AWS::EC2::VPCEndpoint")} == {"Gateway"}


def test_a_plain_sam_deploy_is_dev() -> None:
    for section in ("global", "deploy"):
        assert CONFIG["default"][section] == CONFIG["dev"][section]


def test_a_deployment_changes_no_stack_tag() -> None:
    # Given types that CloudFormation replaces when a tag of their stack changes
    # (aws-cloudformation/cloudformation-coverage-roadmap issue 2270)
    replaced = {resource.type for resource in deployed("prod").resources if tags_replace(resource.type)}
    assert {"AWS::Batch::ComputeEnvironment", "AWS::EC2::PlacementGroup"} <= replaced
    # Then no environment sets tags that a later one could set otherwise
    for environment in ("default", *ENVIRONMENTS):
        assert "tags" not in CONFIG[environment]["deploy"]["parameters"]


def test_environments_do_not_share_a_stack() -> None:
    names = [CONFIG[environment]["global"]["parameters"]["stack_name"] for environment in ENVIRONMENTS]
    assert len(set(names)) == len(names)
