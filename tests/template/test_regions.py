"""Each environment of samconfig.toml keeps every rule in every region that offers the instance type of its gangs.

EC2's own answers say which region offers what and which zones it has; CloudFormation's schemas say which resource types it has there.
"""

from __future__ import annotations

from functools import cache

import pytest

from tests.template import schemas
from tests.template.instances import REGIONS, read_offerings
from tests.template.rules import RULES
from tests.template.rules.jobs import gangs
from tests.template.system import System, load
from tests.template.test_environments import ENVIRONMENTS, overrides
from tests.template.test_zones import ZONES


@cache
def deployed(environment: str, region: str) -> System:
    return load(overrides(environment), region=region, zones=ZONES[region])


def list_gang_types(environment: str) -> set[str]:
    """The instance types that gangs of an environment run on, on either market."""
    system = load(overrides(environment))
    return {
        kind for _, queue in gangs(system) for found in system.environments(queue) for kind in found["InstanceTypes"]
    }


PLACES = [
    (environment, region)
    for environment in ENVIRONMENTS
    for region in REGIONS
    if list_gang_types(environment) <= read_offerings(region).keys()
]


@pytest.mark.parametrize(("environment", "region"), PLACES)
def test_every_rule_is_kept_in_every_region_that_offers_the_gang(environment: str, region: str) -> None:
    system = deployed(environment, region)
    assert {rule: found for rule in RULES if (found := list(RULES[rule](system)))} == {}


@pytest.mark.parametrize(("environment", "region"), PLACES)
def test_cloudformation_has_every_resource_type_there(environment: str, region: str) -> None:
    """But those of the stack for images: where a region has no CodeBuild, images are built on a machine with Docker."""
    types = {resource.type for resource in deployed(environment, region).resources if resource.stack != "Images"}
    assert types - schemas.list_types(region) == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_deploys_in_several_regions(environment: str) -> None:
    assert len([region for name, region in PLACES if name == environment]) >= 3


def test_a_region_without_the_gangs_type_is_none_of_them() -> None:
    assert ("prod", "eu-central-2") not in PLACES
    assert "p5.48xlarge" not in read_offerings("eu-central-2")
