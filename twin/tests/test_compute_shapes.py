"""Jobs are described exactly as botocore's model of AWS Batch says, and events carry the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from clouds.compute import BatchCloud, batch_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCALARS: dict[str, type] = {"string": str, "integer": int, "long": int, "boolean": bool, "double": float}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchCloud]:
    with batch_cloud(tmp_path_factory.mktemp("project"), scale=60) as running:
        running.queue("main", running.environment("main-env", vcpus=16))
        rules = [{"onExitCode": "1", "action": "RETRY"}]
        running.definition(
            "fails",
            "sh",
            "-c",
            "exit 1",
            retryStrategy={"attempts": 2, "evaluateOnExit": rules},
            timeout={"attemptDurationSeconds": 60},
            container={"environment": [{"name": "A", "value": "1"}], "ulimits": [], "privileged": False},
            parameters={"p": "1"},
            tags={"a": "b"},
        )
        running.gang("gang", 2, "true")
        yield running


def mismatches(value: Any, shape: Shape, path: str = "$") -> list[str]:
    """Where a raw answer has what the service model does not know, or has it as another type."""
    if isinstance(shape, StructureShape):
        unknown = [f"{path}.{name}: unknown" for name in value if name not in shape.members]
        present = [(name, member) for name, member in shape.members.items() if name in value]
        return unknown + [
            found for name, member in present for found in mismatches(value[name], member, f"{path}.{name}")
        ]
    if isinstance(shape, ListShape):
        return [found for at, item in enumerate(value) for found in mismatches(item, shape.member, f"{path}[{at}]")]
    if isinstance(shape, MapShape):
        return [found for key, item in value.items() for found in mismatches(item, shape.value, f"{path}.{key}")]
    return [] if type(value) is _SCALARS[shape.type_name] else [f"{path}: {value!r} is no {shape.type_name}"]


def model(name: str) -> Shape:
    return botocore.session.get_session().get_service_model("batch").shape_for(name)


def raw_details(cloud: BatchCloud, job_id: str) -> list[dict[str, Any]]:
    """A job's events: they carry what DescribeJobs says before botocore drops what it does not know."""
    cloud.ended(job_id)
    cloud.statuses_when(job_id, "SUCCEEDED" if cloud.job(job_id)["status"] == "SUCCEEDED" else "FAILED")
    return [event["detail"] for event in cloud.changes(job_id)]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/batch_job_events.html",
)
@pytest.mark.parametrize(
    ("definition", "extra"),
    [
        ("fails", {"tags": {"k": "v"}, "dependsOn": []}),
        ("fails", {"arrayProperties": {"size": 2}, "containerOverrides": {"command": ["true"]}}),
        ("gang", {"nodeOverrides": {"numNodes": 3}}),
    ],
    ids=["container", "array", "multi-node"],
)
def test_job_details_fit_the_service_model(cloud: BatchCloud, definition: str, extra: dict[str, Any]) -> None:
    job_id = cloud.submit(definition, "main", **extra)
    for detail in raw_details(cloud, job_id):
        assert mismatches(detail, model("JobDetail")) == []
        assert {"jobArn", "jobName", "jobId", "jobQueue", "status", "createdAt", "jobDefinition"} <= set(detail)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobSummary.html",
)
def test_nodes_children_and_summaries_fit_the_service_model(cloud: BatchCloud) -> None:
    array = cloud.submit("fails", "main", arrayProperties={"size": 2})
    gang = cloud.submit("gang", "main")
    cloud.ended(array)
    cloud.ended(gang)
    from twin.compute import descriptions

    jobs = cloud.control.jobs
    details = [descriptions.node_detail(jobs[gang], 1, {}), descriptions.job_detail(jobs[f"{array}:1"], {})]
    assert [found for detail in details for found in mismatches(detail, model("JobDetail"))] == []
    summaries = [descriptions.job_summary(jobs[job_id]) for job_id in (array, f"{array}:0", gang)]
    summaries.append(descriptions.node_summary(jobs[gang], 1))
    assert [found for summary in summaries for found in mismatches(summary, model("JobSummary"))] == []


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html")
def test_describe_jobs_takes_up_to_a_hundred_ids_and_leaves_out_the_unknown(cloud: BatchCloud) -> None:
    job_id = cloud.submit("fails", "main")
    assert [job["jobId"] for job in cloud.client.describe_jobs(jobs=["x", job_id, "y#0"])["jobs"]] == [job_id]
    with pytest.raises(cloud.client.exceptions.ClientException, match="at most 100"):
        cloud.client.describe_jobs(jobs=["x"] * 101)
