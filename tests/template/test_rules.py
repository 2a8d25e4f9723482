"""Our rules hold for the templates, and each of them catches the mistake that it is there for, planted in a copy."""

from __future__ import annotations

from functools import cache

import pytest

from tests.template.instances import INSTANCE_TYPES
from tests.template.mistakes import MISTAKES
from tests.template.rules import RULES
from tests.template.system import (
    DEV,
    EFA_1,
    FARGATE,
    GUARDED,
    OWN_VPC,
    PROD,
    RESERVED,
    SHARED,
    TEMPLATE,
    TRIAL,
    System,
    load,
    parameters_of,
)
from twin.deployment.errors import ParameterError, RuleViolated, TemplateError

GANG_TYPES = parameters_of(TEMPLATE)["GangInstanceType"]["AllowedValues"]
SIZES = [
    {"GangMembers": members, "GangInstanceType": kind, "SpotMaxGangs": spot, "OnDemandMaxGangs": on_demand}
    for members, spot, on_demand in (
        ("2", "1", "1"),
        ("3", "2", "4"),
        ("5", "3", "1"),
        ("7", "4", "3"),
        ("8", "4", "2"),
    )
    for kind in GANG_TYPES
]
GROUP = "arn:aws:resource-groups:eu-central-1:111122223333:group/gangs"
DEPLOYMENTS = {
    "dev": DEV,
    "prod": PROD,
    "own-vpc": OWN_VPC,
    "trial": TRIAL,
    "fargate": FARGATE,
    "guarded": {**FARGATE, **GUARDED},
    "endpoints": {"Egress": "endpoints"},
    "public": {**FARGATE, "Egress": "public"},
    "efa-4": {**PROD, "GangInstanceType": "p4d.24xlarge"},
    "efa-1": EFA_1,
    "capacity-block": RESERVED,
    "shared-folder": {**FARGATE, **SHARED},
    "shared-folder-efa": {**PROD, **SHARED},
    "shared-folder-own-vpc": {**OWN_VPC, **SHARED},
    "reservations": {
        "CapacityReservationType": "on-demand",
        "CapacityReservationGroupArn": GROUP,
        "BidPercentage": "60",
    },
}


@cache
def as_deployed(deployment: str) -> System:
    return load(DEPLOYMENTS[deployment])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_the_templates_keep_our_rules(deployment: str, rule: str) -> None:
    assert list(RULES[rule](as_deployed(deployment))) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_caught_by_its_rule(mistake: str) -> None:
    planted = MISTAKES[mistake]
    assert list(RULES[planted.rule](load(planted.parameters, planted.planted())))


def test_every_rule_has_a_mistake_that_it_catches() -> None:
    assert set(RULES) == {mistake.rule for mistake in MISTAKES.values()}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "-".join(size.values()))
def test_gangs_of_every_size_fit_their_environments(size: dict[str, str]) -> None:
    assert list(RULES["whole_gangs_fit"](load(size))) == []


@pytest.mark.parametrize("kind", GANG_TYPES)
def test_capacity_blocks_are_offered_for_the_types_that_ec2_sells_them_of(kind: str) -> None:
    parameters = {**RESERVED, "GangInstanceType": kind, "Efa": "off"}
    if "capacity-block" in INSTANCE_TYPES[kind].usage:
        assert list(RULES["reserved_capacity_is_for_on_demand_gangs"](load(parameters))) == []
    else:
        with pytest.raises(RuleViolated, match="sells no Capacity Blocks"):
            load(parameters)


@pytest.mark.parametrize("kind", GANG_TYPES)
def test_every_instance_type_deploys_in_every_region_that_offers_it(kind: str) -> None:
    system = load({"GangInstanceType": kind})
    for rule in (
        "every_region_of_the_gang_offers_every_instance_type",
        "gangs_run_on_the_type_that_their_cost_names",
        "multi_node_jobs_stand_close",
    ):
        assert list(RULES[rule](system)) == []


@pytest.mark.parametrize("kind", GANG_TYPES)
@pytest.mark.parametrize("efa", ["off", "on"])
def test_every_instance_type_has_room_for_the_interfaces_of_a_gang(kind: str, efa: str) -> None:
    if efa == "on" and not INSTANCE_TYPES[kind].efa_interfaces:
        with pytest.raises(RuleViolated, match="must be one that has EFA"):
            load({"GangInstanceType": kind, "Efa": efa})
        return
    system = load({"GangInstanceType": kind, "Efa": efa})
    for rule in ("network_cards_have_room", "efa_is_complete", "security_groups_stand_in_one_place"):
        assert list(RULES[rule](system)) == []


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"VpcId": "vpc-1"}, RuleViolated, "SubnetIds must name"),
        ({"SubnetIds": "subnet-1"}, RuleViolated, "VpcId must name"),
        ({"SharedFileSystemId": SHARED["SharedFileSystemId"]}, RuleViolated, "SharedAccessPointId must name"),
        ({**SHARED, "SharedFileSystemSecurityGroup": ""}, RuleViolated, "SharedFileSystemSecurityGroup must name"),
        ({**SHARED, "SharedFileSystemId": ""}, RuleViolated, "SharedFileSystemId must name"),
        ({**SHARED, "SharedFileSystemId": "/shared"}, ParameterError, "SharedFileSystemId"),
        ({**SHARED, "SharedAccessPointId": "fs-0123456789abcdef0"}, ParameterError, "SharedAccessPointId"),
        ({**SHARED, "SharedFileSystemSecurityGroup": "default"}, ParameterError, "SharedFileSystemSecurityGroup"),
        ({"Efa": "on", "GangInstanceType": "g6.2xlarge"}, RuleViolated, "must be one that has EFA"),
        (
            {"Efa": "on", "GangInstanceType": "g6.12xlarge", "Egress": "public"},
            RuleViolated,
            "several network interfaces",
        ),
        ({"Zones": "eu-central-1a"}, ParameterError, "Zones"),
        ({"CapacityReservationType": "on-demand"}, RuleViolated, "name the reservation"),
        ({"CapacityReservationId": "cr-1"}, RuleViolated, "must say what it is"),
        ({"CapacityReservationGroupArn": GROUP}, RuleViolated, "must say what it is"),
        ({**RESERVED, "CapacityReservationGroupArn": GROUP}, RuleViolated, "takes one of them"),
        ({**RESERVED, "GangInstanceType": "g6.12xlarge"}, RuleViolated, "sells no Capacity Blocks"),
        ({"CapacityReservationId": "lt-1"}, ParameterError, "CapacityReservationId"),
        ({"BidPercentage": "0"}, ParameterError, "BidPercentage"),
        ({"BidPercentage": "101"}, ParameterError, "BidPercentage"),
        ({"MainInstanceTypes": "m6i, c6i"}, ParameterError, "MainInstanceTypes"),
        ({"GangMembers": "1"}, ParameterError, "GangMembers"),
        ({"SpotMaxWaitSeconds": "60"}, ParameterError, "SpotMaxWaitSeconds"),
        ({"GangInstanceType": "t3.micro"}, ParameterError, "GangInstanceType"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_parameters_that_do_not_go_together_are_refused(
    parameters: dict[str, str], error: type[TemplateError], said: str
) -> None:
    with pytest.raises(error, match=said):
        load(parameters)
