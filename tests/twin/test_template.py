"""The project's own template on the twin, and what its functions cannot see there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cli.deployment import make_twin
from cli.project import ROOT, TEMPLATE
from clouds.functions import functions_cloud
from twin import TwinOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin import Twin


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    with make_twin(TwinOptions(time_scale=60, jobs="noop")) as running:
        yield running


@pytest.mark.ours
def test_the_projects_own_template_deploys_unchanged_within_its_budget() -> None:
    # Given a process of its own, in which no service has been used yet
    program = """
import json, time
from cli.deployment import make_twin
from cli.project import TEMPLATE
with make_twin() as twin:
    began = time.process_time()
    stack = twin.deploy(TEMPLATE, stack_name="spotline")
    print(json.dumps([time.process_time() - began, len(stack.resources), sorted(stack.outputs)]))
"""
    # When the template is deployed
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, resources, outputs = json.loads(done.stdout.splitlines()[-1])
    # Then all of it exists, within 5 s of one processor, which other programs cannot stretch
    assert resources > 80
    assert {"IngestBucket", "StateMachineArn", "RunsTable"} <= set(outputs)
    assert seconds < 5


@pytest.mark.documented("https://github.com/aws/aws-cdk/issues/21577")
@pytest.mark.parametrize(
    "market", [{}, {"CapacityReservationType": "capacity-block", "CapacityReservationId": "cr-0123"}]
)
def test_the_projects_own_template_deploys_with_efa_and_reserved_capacity(twin: Twin, market: dict[str, str]) -> None:
    # Given what prod deploys: interfaces in the launch template of a gang
    large = {"Stage": "prod", "GangMembers": "4", "GangInstanceType": "p5.48xlarge", "Efa": "on", "Egress": "endpoints"}
    # When it is deployed
    stack = twin.deploy(TEMPLATE, stack_name=f"large-{len(market)}", parameters={**large, **market})
    # Then its environments exist, those of gangs without security groups of their own
    arns = stack.outputs["ComputeEnvironments"].split(",")
    found = twin.client("batch").describe_compute_environments(computeEnvironments=arns)["computeEnvironments"]
    resources = {it["computeEnvironmentName"].split("-")[-2]: it["computeResources"] for it in found}
    groups = {name: bool(it.get("securityGroupIds")) for name, it in resources.items()}
    assert groups == {"MainOnDemand": True, "MainSpot": True, "GpuSpot": False, "GpuOnDemand": False}
    assert resources["GpuOnDemand"]["maxvCpus"] == 768


@pytest.mark.ours
@pytest.mark.parametrize("module", ["spotline", "preprocess", "ingest", "cli"])
def test_a_function_cannot_import_what_is_installed_beside_the_twin_and_not_deployed(module: str) -> None:
    with functions_cloud() as cloud:
        name = cloud.deploy(f"import {module}")
        assert cloud.invoke(name).value["errorMessage"].endswith(f"No module named '{module}'")
