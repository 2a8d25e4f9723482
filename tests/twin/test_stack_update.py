"""A stack is updated under a failed execution, whose redrive then runs what is deployed now."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from cli.deployment import make_twin
from cli.slack import SlackWebhook
from tests.twin.deployed import ROOT, Deployed, sample
from twin import TwinOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spotline.runs import Run

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NEVER_PUSHED = f"{REGISTRY}/spotline-nowhere:1"
MENDED = f"{REGISTRY}/spotline-postprocess@sha256:{'0' * 64}"

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def system() -> Iterator[Deployed]:
    """The template, deployed with an image that does not exist."""
    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=60)) as twin:
        parameters = {"GangMembers": "2", "PostprocessImage": NEVER_PUSHED, "PostprocessOn": "fargate"}
        yield Deployed(twin, twin.deploy(ROOT / "template.yaml", stack_name="spotline", parameters=parameters), slack)


def jobs(system: Deployed, run: Run, stage: str) -> list[dict[str, Any]]:
    """The run's jobs of a stage, the oldest first."""
    batch = system.twin.client("batch")
    named = [{"name": "JOB_NAME", "values": [f"{run.run_id}-{stage}"]}]
    queues = dict.fromkeys(system.stack.outputs[queue] for queue in ("MainQueue", "PostprocessQueue"))
    listed = itertools.chain.from_iterable(
        batch.list_jobs(jobQueue=queue, filters=named)["jobSummaryList"] for queue in queues
    )
    ids = [job["jobId"] for job in listed]
    described = batch.describe_jobs(jobs=ids)["jobs"] if ids else []
    return sorted(described, key=lambda job: int(job["createdAt"]))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-batch-jobdefinition.html",
)
def test_a_redrive_after_an_update_runs_the_new_revision(system: Deployed) -> None:
    # Given a run that failed because of an image, on Fargate as this stack has it
    system.agree("updated", rounds=None)
    run = system.land("updated", sample())
    system.until(
        lambda: system.twin.client("stepfunctions").list_executions(
            stateMachineArn=system.stack.outputs["StateMachineArn"]
        )["executions"],
        "the run to start",
    )
    assert system.ended(run) == "FAILED"
    [failed] = jobs(system, run, "postprocess")
    assert "CannotPullContainerError" in failed["attempts"][0]["container"]["reason"]

    # When the stack is updated with another image, and the execution redriven
    system.stack.redeploy({"PostprocessImage": MENDED})
    system.redrive(run)

    # Then the new revision runs, the old one is gone, and what was finished is not repeated
    assert system.ended(run) == "SUCCEEDED"
    again = jobs(system, run, "postprocess")[-1]
    assert again["container"]["image"] == MENDED
    revisions = [job["jobDefinition"].rsplit(":", 1) for job in (failed, again)]
    assert revisions[0][0] == revisions[1][0]
    assert int(revisions[0][1]) < int(revisions[1][1])
    old = system.twin.client("batch").describe_job_definitions(jobDefinitions=[failed["jobDefinition"]])
    assert [definition["status"] for definition in old["jobDefinitions"]] == ["INACTIVE"]
    assert len(jobs(system, run, "preprocess")) == 1


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/fargate.html")
def test_postprocess_by_parameter_has_a_queue_and_definition_on_fargate(system: Deployed) -> None:
    # Given the same stack, whose parameter says so
    assert system.stack.outputs["PostprocessQueue"] != system.stack.outputs["MainQueue"]
    system.stack.redeploy({"PostprocessImage": MENDED})
    system.agree("on-fargate", rounds=None)
    run = system.land("on-fargate", sample())
    system.until(lambda: jobs(system, run, "postprocess"), "postprocess to be submitted")
    # Then postprocess runs there, and preprocess on instances
    assert system.ended(run) == "SUCCEEDED"
    [preprocess], [postprocess] = (jobs(system, run, stage) for stage in ("preprocess", "postprocess"))
    assert postprocess["jobQueue"] == system.stack.outputs["PostprocessQueue"]
    assert postprocess["platformCapabilities"] == ["FARGATE"]
    assert postprocess["container"]["fargatePlatformConfiguration"] == {"platformVersion": "LATEST"}
    assert preprocess["jobQueue"] == system.stack.outputs["MainQueue"]
