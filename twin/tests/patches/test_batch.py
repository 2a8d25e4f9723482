"""Each patch to moto's Batch: what stock moto does without it, and what it does with it.

A stock case fails once moto has closed the gap: then the patch can go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from clouds import clients
from clouds.compute import ACCOUNT, BatchCloud, account_network, batch_cloud, container_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIME_LIMIT = {
    "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "state": "RUNNABLE",
    "maxTimeSeconds": 600,
    "action": "CANCEL",
}


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Batch client of moto as it comes, with what environments need."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # thousands, which no test looks at
    with mock_aws():
        yield clients.client("batch")


@pytest.fixture
def patched(tmp_path: Path) -> Iterator[BatchCloud]:
    with batch_cloud(tmp_path) as cloud:
        yield cloud


def create_environment(client: Any, **resources: Any) -> str:
    described = {"type": "EC2", "maxvCpus": 4, "instanceRole": "instance-profile", **account_network(), **resources}
    made = client.create_compute_environment(
        computeEnvironmentName="env",
        type="MANAGED",
        state="ENABLED",
        computeResources=described,
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/service",
    )
    return str(made["computeEnvironmentArn"])


def create_queue(client: Any, **resources: Any) -> None:
    order = [
        {
            "order": 1,
            "computeEnvironment": create_environment(client, minvCpus=0, instanceTypes=["optimal"], **resources),
        }
    ]
    client.create_job_queue(
        jobQueueName="q",
        priority=1,
        state="ENABLED",
        computeEnvironmentOrder=order,
        jobStateTimeLimitActions=[TIME_LIMIT],
    )


def register(client: Any, *command: str, **others: Any) -> dict[str, Any]:
    return dict(
        client.register_job_definition(
            jobDefinitionName="d",
            type="container",
            **{"containerProperties": container_properties(*command), **others},
        )
    )


def register_gang(client: Any, target: str = "0:") -> None:
    ranges = [{"targetNodes": target, "container": container_properties("true")}]
    client.register_job_definition(
        jobDefinitionName="gang",
        type="multinode",
        nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges},
    )


def time_limits_are_shown(client: Any) -> bool:
    create_queue(client)
    return bool(client.describe_job_queues()["jobQueues"][0].get("jobStateTimeLimitActions") == [TIME_LIMIT])


def updated_time_limits_are_shown(client: Any) -> bool:
    create_queue(client)
    client.update_job_queue(jobQueue="q", jobStateTimeLimitActions=[{**TIME_LIMIT, "maxTimeSeconds": 900}])
    shown = client.describe_job_queues()["jobQueues"][0].get("jobStateTimeLimitActions") or [{}]
    return bool(shown[0].get("maxTimeSeconds") == 900)


def defaults_are_accepted(client: Any) -> bool:
    try:
        create_environment(client)
    except ClientError:
        return False
    return True


def newer_default_families_are_accepted(client: Any) -> bool:
    try:
        create_environment(client, minvCpus=0, instanceTypes=["default_x86_64"])
    except ClientError:
        return False
    return True


def no_instance_runs_before_a_job_does(client: Any) -> bool:
    create_environment(client, minvCpus=4, instanceTypes=["c4.large"])
    return not clients.client("ec2").describe_instances()["Reservations"]


def updates_are_applied(client: Any) -> bool:
    create_queue(client)
    client.update_compute_environment(computeEnvironment="env", computeResources={"maxvCpus": 99})
    described = client.describe_compute_environments()["computeEnvironments"][0]
    return bool(described["computeResources"]["maxvCpus"] == 99)


def a_deregistered_revision_is_not_the_newest(client: Any) -> bool:
    create_queue(client)
    register(client, "one")
    register(client, "two")
    client.deregister_job_definition(jobDefinition="d:2")
    job_id = client.submit_job(jobName="job", jobQueue="q", jobDefinition="d")["jobId"]
    return bool(client.describe_jobs(jobs=[job_id])["jobs"][0]["jobDefinition"].endswith(":1"))


def a_revision_stands_alone(client: Any) -> bool:
    register(client, "one", parameters={"p": "1"}, retryStrategy={"attempts": 3})
    on_fargate = {
        "image": "shell:latest",
        "command": ["two"],
        "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
    }
    made = register(client, platformCapabilities=["FARGATE"], propagateTags=True, containerProperties=on_fargate)
    newest = client.describe_job_definitions(jobDefinitions=[made["jobDefinitionArn"]])["jobDefinitions"][0]
    return (
        newest["revision"] == 2
        and not newest.get("parameters")
        and not newest.get("retryStrategy")
        and newest.get("platformCapabilities") == ["FARGATE"]
        and newest.get("propagateTags") is True
    )


def node_properties_are_shown(client: Any) -> bool:
    register_gang(client)
    return "nodeProperties" in client.describe_job_definitions()["jobDefinitions"][0]


def scheduling_priority_is_shown(client: Any) -> bool:
    register(client, "true", schedulingPriority=7)
    return bool(client.describe_job_definitions()["jobDefinitions"][0].get("schedulingPriority") == 7)


def an_unsound_gang_is_refused(client: Any) -> bool:
    try:
        register_gang(client, target="0:0")
    except ClientError:
        return True
    return False


def a_submission_is_described_with_all_it_states(client: Any) -> bool:
    create_queue(client)
    register(client, "true")
    job_id = client.submit_job(
        jobName="job", jobQueue="q", jobDefinition="d", retryStrategy={"attempts": 3}, propagateTags=True
    )["jobId"]
    job = client.describe_jobs(jobs=[job_id])["jobs"][0]
    return job.get("retryStrategy", {}).get("attempts") == 3 and job.get("propagateTags") is True


def unsound_submissions_are_refused(client: Any) -> bool:
    create_queue(client)
    register(client, "true")
    try:
        client.submit_job(jobName="job", jobQueue="q", jobDefinition="d", arrayProperties={"size": 1})
    except ClientError:
        return True
    return False


def only_running_jobs_are_listed_by_default(client: Any) -> bool:
    create_queue(client, maxvCpus=1)
    client.register_job_definition(
        jobDefinitionName="large", type="container", containerProperties=container_properties("true", vcpus=2)
    )
    client.submit_job(jobName="job", jobQueue="q", jobDefinition="large")
    return not client.list_jobs(jobQueue="q")["jobSummaryList"]


def nodes_can_be_listed(client: Any) -> bool:
    create_queue(client, maxvCpus=1)
    register_gang(client)
    job_id = client.submit_job(jobName="job", jobQueue="q", jobDefinition="gang")["jobId"]
    statuses = ("SUBMITTED", "RUNNABLE")  # it stays there, because it needs two vCPUs
    pages = [client.list_jobs(multiNodeJobId=job_id, jobStatus=status)["jobSummaryList"] for status in statuses]
    return any(pages)


def a_cancelled_job_says_so(client: Any) -> bool:
    create_queue(client, maxvCpus=1)
    client.register_job_definition(
        jobDefinitionName="large", type="container", containerProperties=container_properties("true", vcpus=2)
    )
    job_id = client.submit_job(jobName="job", jobQueue="q", jobDefinition="large")["jobId"]
    client.cancel_job(jobId=job_id, reason="not needed")
    return client.describe_jobs(jobs=[job_id])["jobs"][0].get("isCancelled") is True


def a_terminated_job_says_so(client: Any) -> bool:
    create_queue(client, maxvCpus=1)
    register(client, "sleep", "60")
    job_id = client.submit_job(jobName="job", jobQueue="q", jobDefinition="d")["jobId"]
    client.terminate_job(jobId=job_id, reason="enough")
    return client.describe_jobs(jobs=[job_id])["jobs"][0].get("isTerminated") is True


BEHAVIOURS = [
    time_limits_are_shown,
    updated_time_limits_are_shown,
    defaults_are_accepted,
    newer_default_families_are_accepted,
    no_instance_runs_before_a_job_does,
    updates_are_applied,
    a_deregistered_revision_is_not_the_newest,
    a_revision_stands_alone,
    node_properties_are_shown,
    scheduling_priority_is_shown,
    an_unsound_gang_is_refused,
    a_submission_is_described_with_all_it_states,
    unsound_submissions_are_refused,
    only_running_jobs_are_listed_by_default,
    nodes_can_be_listed,
    a_cancelled_job_says_so,
    a_terminated_job_says_so,
]


@pytest.mark.parametrize("behaves", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_stock_moto_still_lacks_it(behaves: Callable[[Any], bool], stock: Any) -> None:
    assert not behaves(stock)


@pytest.mark.parametrize("behaves", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
def test_the_patch_mends_it(behaves: Callable[[Any], bool], patched: BatchCloud) -> None:
    assert behaves(patched.client)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"reason": "BECAUSE"}, "reason must be one of"),
        ({"maxTimeSeconds": 599}, "between 600 and 86400"),
        ({"action": "TERMINATE"}, "must CANCEL in state RUNNABLE"),
    ],
)
def test_unsound_time_limits_are_refused(change: dict[str, Any], problem: str, patched: BatchCloud) -> None:
    """API Reference, JobStateTimeLimitAction."""
    environment = patched.environment("env")
    with pytest.raises(ClientError, match=problem):
        patched.queue("q", environment, jobStateTimeLimitActions=[{**TIME_LIMIT, **change}])


@pytest.mark.parametrize("name", ["z9.huge", "z9", "t3"], ids=["type", "family", "burstable"])
def test_an_instance_type_that_batch_does_not_take_is_refused(name: str, patched: BatchCloud) -> None:
    """Seen live: aws/amazon-genomics-cli issue 209, opensupplyhub/open-supply-hub pull request 1058."""
    refusal = r"Error executing request, Exception : Instance type can only be one of \[.*, m6i,"
    with pytest.raises(ClientError, match=refusal):
        patched.environment("env", instanceTypes=["m6i", name])


def test_security_groups_beside_network_interfaces_are_refused(patched: BatchCloud) -> None:
    """Seen live: aws/aws-cdk issue 21577."""
    # Given a launch template with a network interface
    (group,) = account_network()["securityGroupIds"]
    template = launch_template([{"NetworkCardIndex": 0, "DeviceIndex": 0, "InterfaceType": "efa", "Groups": [group]}])
    # When an environment names security groups besides, then it is refused as on AWS
    with pytest.raises(
        ClientError, match="Error executing request, Exception : Either compute environment Security Groups or"
    ):
        patched.environment("both", launchTemplate=template)
    # And one of the two is enough
    patched.environment("interfaces", launchTemplate=template, securityGroupIds=[])
    patched.environment("groups", launchTemplate=launch_template([]))


def test_an_environment_without_any_security_group_is_refused(patched: BatchCloud) -> None:
    """API Reference, ComputeResource, securityGroupIds."""
    with pytest.raises(ClientError, match="security group must be provided"):
        patched.environment("none", launchTemplate=launch_template([]), securityGroupIds=[])


def test_a_launch_template_that_does_not_exist_is_refused(patched: BatchCloud) -> None:
    with pytest.raises(ClientError, match="lt-0123"):
        patched.environment("env", launchTemplate={"launchTemplateId": "lt-0123", "version": "1"})


def launch_template(interfaces: list[dict[str, Any]]) -> dict[str, str]:
    """What an environment names a new launch template with these interfaces by."""
    ec2 = clients.client("ec2")
    name = f"template-{len(interfaces)}-{len(ec2.describe_launch_templates()['LaunchTemplates'])}"
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"NetworkInterfaces": interfaces})
    return {"launchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "version": "1"}
