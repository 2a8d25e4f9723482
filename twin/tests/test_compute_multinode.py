"""Multi-node parallel jobs (AWS Batch User Guide, "Multi-node parallel jobs" and "Job lifecycle for MNP jobs")."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from clouds.compute import BatchCloud, batch_cloud, container_properties

if TYPE_CHECKING:
    from collections.abc import Iterator

# A node that handles SIGTERM; it leaves by itself, with a code of its own, when a file named like its index appears.
NODE = 'trap "exit 75" TERM; echo ready; while [ ! -e $GATES/$AWS_BATCH_JOB_NODE_INDEX ]; do sleep 0.01; done; exit 4'


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchCloud]:
    with batch_cloud(tmp_path_factory.mktemp("project"), scale=60) as running:
        running.queue("main", running.environment("main-env", vcpus=8))
        yield running


def gang(cloud: BatchCloud, name: str, nodes: int, **others: object) -> str:
    """A running gang whose nodes all handle SIGTERM by now."""
    (cloud.root / name).mkdir()
    cloud.gang(name, nodes, "sh", "-c", f"GATES={cloud.root / name}; {NODE}", **others)
    job_id = cloud.submit(name, "main")
    for node in range(nodes):
        cloud.until(f"{job_id}#{node}", "RUNNING")
        cloud.when(f"{job_id}#{node}", lambda described: cloud.output(described) == ["ready"])
    return job_id


def leave(cloud: BatchCloud, name: str, node: int) -> None:
    (cloud.root / name / str(node)).touch()


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/mnp-env-vars.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html",
)
def test_nodes_know_their_places_and_have_addresses_of_their_own(cloud: BatchCloud) -> None:
    cloud.gang("env", 3, "env")
    job_id = cloud.submit("env", "main")
    assert cloud.ended(job_id)["status"] == "SUCCEEDED"
    nodes = []
    for index in range(3):
        node = cloud.ended(f"{job_id}#{index}")
        assert node["nodeDetails"] == {"nodeIndex": index, "isMainNode": index == 0}
        nodes.append(dict(line.split("=", 1) for line in cloud.output(node)))
    assert [node["AWS_BATCH_JOB_NODE_INDEX"] for node in nodes] == ["0", "1", "2"]
    assert [node["AWS_BATCH_JOB_ID"] for node in nodes] == [f"{job_id}#{index}" for index in range(3)]
    interface = cloud.job(f"{job_id}#0")["container"]["networkInterfaces"][0]
    main = interface["privateIpv4Address"]
    assert [node.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS") for node in nodes] == [None, main, main]
    assert len({node["ECS_CONTAINER_METADATA_URI_V4"] for node in nodes}) == 3


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job-lifecycle.html",
)
def test_the_job_is_what_its_main_node_is_and_the_others_are_stopped(cloud: BatchCloud) -> None:
    job_id = gang(cloud, "main-leaves", 3)
    leave(cloud, "main-leaves", 0)
    job = cloud.ended(job_id)
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 4)
    assert job["statusReason"] == "Essential container in task exited"
    for index in (1, 2):
        node = cloud.ended(f"{job_id}#{index}")
        assert (node["status"], node["container"]["exitCode"]) == ("FAILED", 75)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job-lifecycle.html")
def test_a_child_node_s_death_alone_ends_nothing(cloud: BatchCloud) -> None:
    """ "If a child node dies, AWS Batch doesn't take any action on the other nodes"."""
    job_id = gang(cloud, "child-dies", 3)
    leave(cloud, "child-dies", 1)
    assert cloud.ended(f"{job_id}#1")["container"]["exitCode"] == 4
    time.sleep(0.1)
    assert [cloud.job(f"{job_id}#{index}")["status"] for index in range(3)] == ["RUNNING", "FAILED", "RUNNING"]
    assert cloud.job(job_id)["status"] == "RUNNING"
    leave(cloud, "child-dies", 0)
    cloud.ended(job_id)


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html")
def test_only_the_main_node_s_failure_makes_another_attempt(cloud: BatchCloud) -> None:
    job_id = gang(cloud, "again", 2, retryStrategy={"attempts": 2})
    leave(cloud, "again", 0)
    job = cloud.ended(job_id)
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [4, 4]
    assert len(cloud.job(f"{job_id}#1")["attempts"]) == 2


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html",
)
def test_a_gang_holds_its_capacity_until_its_last_node_is_gone(cloud: BatchCloud) -> None:
    cloud.queue("small", cloud.environment("small-env", vcpus=2))
    (cloud.root / "holds").mkdir()
    cloud.gang(
        "holds",
        2,
        "sh",
        "-c",
        f"GATES={cloud.root / 'holds'}; [ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || exec sleep 60; {NODE}",
    )
    job_id = cloud.submit("holds", "small")
    cloud.until(f"{job_id}#1", "RUNNING")
    behind = cloud.submit(cloud.definition("behind", "true", vcpus=2), "small")
    leave(cloud, "holds", 0)
    stopped = cloud.ended(job_id)["stoppedAt"]
    # The child does not handle SIGTERM, so it is killed 30 seconds of AWS, half a second here, later.
    assert cloud.ended(behind)["startedAt"] >= stopped + 400


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job-lifecycle.html",
)
def test_terminating_a_gang_stops_all_its_nodes(cloud: BatchCloud) -> None:
    job_id = gang(cloud, "terminated", 2)
    cloud.client.terminate_job(jobId=job_id, reason="superseded")
    job = cloud.ended(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "superseded")
    assert cloud.ended(f"{job_id}#1")["container"]["exitCode"] == 75


@pytest.mark.ours
def test_a_node_cannot_be_terminated_by_itself(cloud: BatchCloud) -> None:
    with pytest.raises(ClientError, match="by itself"):
        cloud.client.terminate_job(jobId="x#1", reason="no")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeOverrides.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodePropertyOverride.html",
)
def test_node_overrides_change_number_and_environment(cloud: BatchCloud) -> None:
    cloud.gang("overridden", 4, "sh", "-c", "echo $GENERATION of $AWS_BATCH_JOB_NUM_NODES")
    overrides = {
        "numNodes": 2,
        "nodePropertyOverrides": [
            {"targetNodes": "0:", "containerOverrides": {"environment": [{"name": "GENERATION", "value": "3"}]}}
        ],
    }
    job = cloud.ended(cloud.submit("overridden", "main", nodeOverrides=overrides))
    assert cloud.output(job) == ["3 of 2"]
    assert job["nodeProperties"]["numNodes"] == 2
    (described,) = job["nodeProperties"]["nodeRangeProperties"]
    assert {"name": "GENERATION", "value": "3"} in described["container"]["environment"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeOverrides.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodePropertyOverride.html",
)
def test_overrides_that_do_not_fit_are_refused(cloud: BatchCloud) -> None:
    cloud.gang("strict", 4, "true")
    with pytest.raises(ClientError, match="set nodeOverrides instead"):
        cloud.submit("strict", "main", containerOverrides={"command": ["x"]})
    with pytest.raises(ClientError, match="not a node range"):
        cloud.submit("strict", "main", nodeOverrides={"nodePropertyOverrides": [{"targetNodes": "0:3"}]})


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeRangeProperty.html")
def test_a_definition_s_node_ranges_must_cover_its_nodes(cloud: BatchCloud) -> None:
    ranges = [{"targetNodes": "0:1", "container": container_properties("true")}]
    with pytest.raises(ClientError, match="each of the nodes 0 to 3"):
        cloud.client.register_job_definition(
            jobDefinitionName="gap",
            type="multinode",
            nodeProperties={"numNodes": 4, "mainNode": 0, "nodeRangeProperties": ranges},
        )


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_NodePropertiesSummary.html",
)
def test_nodes_are_listed_by_their_job(cloud: BatchCloud) -> None:
    job_id = gang(cloud, "listed", 2)
    nodes = cloud.client.list_jobs(multiNodeJobId=job_id)["jobSummaryList"]
    assert [node["jobId"] for node in nodes] == [f"{job_id}#0", f"{job_id}#1"]
    assert nodes[1]["nodeProperties"] == {"isMainNode": False, "numNodes": 2, "nodeIndex": 1}
    leave(cloud, "listed", 0)
    cloud.ended(job_id)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/mnp-env-vars.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html",
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-examples.html",
)
def test_the_main_node_finds_its_own_address_in_ecs_metadata(cloud: BatchCloud) -> None:
    """Batch gives it none; in awsvpc mode ECS's metadata has it, and the instance's is another."""
    program = (
        "import json, os, urllib.request as r; read = lambda path: json.load(r.urlopen(os.environ['ECS_CONTAINER_METADATA_URI_V4'] + path)); "
        "print(json.dumps([read('')['Networks'][0], len(read('/task')['Containers']), os.environ['AWS_EC2_METADATA_SERVICE_ENDPOINT']]))"
    )
    cloud.gang("asks", 2, "python", "-c", program)
    job = cloud.ended(cloud.submit("asks", "main"))
    network, containers, instance = json.loads(cloud.output(job)[0])
    address = job["container"]["networkInterfaces"][0]["privateIpv4Address"]
    assert network == {"NetworkMode": "awsvpc", "IPv4Addresses": [address]}
    assert containers == 1
    assert address not in instance or address == "127.0.0.1"
