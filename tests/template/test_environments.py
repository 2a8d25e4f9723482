"""The environments of samconfig.toml deploy, and each is what it is said to be."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

import pytest

from tests.template.rules import RULES
from tests.template.rules.hosts import tags_replace
from tests.template.rules.jobs import gangs, resources_of
from tests.template.system import ROOT, System, load

CONFIG: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = ("dev", "prod")


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
    ("environment", "instances", "vcpus"), [("dev", "g6.2xlarge", 16), ("prod", "p5.48xlarge", 768)]
)
def test_an_environment_has_room_for_the_gang_that_is_promised(environment: str, instances: str, vcpus: int) -> None:
    system = deployed(environment)
    for _, queue in gangs(system):
        (found,) = system.environments(queue)
        assert (found["InstanceTypes"], int(found["MaxvCpus"])) == ([instances], vcpus)


def test_prod_uses_every_gpu_of_its_instances() -> None:
    for definition, _ in gangs(deployed("prod")):
        assert resources_of(definition) == {"VCPU": 192, "MEMORY": 1_900_544, "GPU": 8}


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
