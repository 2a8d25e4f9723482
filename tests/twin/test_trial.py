"""The environment `trial` of samconfig.toml, as a newcomer deploys it, takes a file the whole way: Fargate, and a gang without GPUs."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from cli.deployment import make_twin
from cli.slack import SlackWebhook
from spotline.runs import MarketChoice
from tests.twin.deployed import ROOT, Deployed, sample
from twin import TwinOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spotline.runs import Run

pytestmark = [pytest.mark.ours, pytest.mark.timeout(300)]

STAGES = ("MainQueue", "SpotGangQueue", "OnDemandGangQueue")


@pytest.fixture(scope="module")
def system() -> Iterator[Deployed]:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides = config["trial"]["deploy"]["parameters"]["parameter_overrides"]
    parameters = dict(entry.split("=", 1) for entry in overrides)
    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=60)) as twin:
        yield Deployed(
            twin, twin.deploy(ROOT / "template.yaml", stack_name="spotline-trial", parameters=parameters), slack
        )


def jobs(system: Deployed, run: Run) -> dict[str, dict[str, Any]]:
    """The run's jobs by the name of their definition."""
    batch = system.twin.client("batch")
    found: dict[str, dict[str, Any]] = {}
    for queue in STAGES:
        listed = batch.list_jobs(
            jobQueue=system.stack.outputs[queue], filters=[{"name": "JOB_NAME", "values": [f"{run.run_id}*"]}]
        )["jobSummaryList"]
        for job in batch.describe_jobs(jobs=[job["jobId"] for job in listed])["jobs"] if listed else ():
            found[job["jobDefinition"].rsplit("/", 1)[-1].rsplit(":", 1)[0]] = job
    return found


def test_a_file_goes_the_whole_way(system: Deployed) -> None:
    system.agree("tried", rounds=3)
    run = system.land("tried", sample())
    system.until(lambda: jobs(system, run), "the run's first job")

    assert system.ended(run) == "SUCCEEDED"

    ran = jobs(system, run)
    assert set(ran) == {
        "spotline-trial-preprocess-fargate",
        "spotline-trial-analysis-spot",
        "spotline-trial-postprocess-fargate",
    }
    for stage in ("preprocess", "postprocess"):
        container = ran[f"spotline-trial-{stage}-fargate"]["container"]
        assert container["networkConfiguration"] == {"assignPublicIp": "ENABLED"}
    gang = ran["spotline-trial-analysis-spot"]
    assert {entry["type"] for entry in gang["container"]["resourceRequirements"]} == {"VCPU", "MEMORY"}
    assert gang["arrayProperties"]["size"] == 2


def test_a_run_takes_on_demand_at_once_when_its_input_says_so(system: Deployed) -> None:
    system.agree("at-once", rounds=1)
    # Given a file that starts no run by itself, because its event goes nowhere
    rules, function = system.twin.client("events"), system.twin.client("lambda")
    name = system.stack.outputs["IngestFunction"]
    arn = function.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    [rule] = rules.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    rules.disable_rule(Name=rule)
    run = system.land("at-once", sample(), MarketChoice.ON_DEMAND)
    rules.enable_rule(Name=rule)

    # When its execution is started by hand
    assert system.start(run)

    # Then it succeeds with a multi-node job of two nodes without GPUs, and without a try on Spot
    assert system.ended(run) == "SUCCEEDED"
    ran = jobs(system, run)
    assert "spotline-trial-analysis-spot" not in ran
    gang = ran["spotline-trial-analysis-on-demand"]
    assert gang["nodeProperties"]["numNodes"] == 2
    for nodes in gang["nodeProperties"]["nodeRangeProperties"]:
        assert {entry["type"] for entry in nodes["container"]["resourceRequirements"]} == {"VCPU", "MEMORY"}
