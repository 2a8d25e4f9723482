"""Permissions of AWS Batch's operations.

Source: "Actions, resources, and condition keys for AWS Batch" (Service Authorization Reference), "Supported resource-level
permissions for AWS Batch API actions" and "Resource: Restrict to job definition prefix on job submission" (Batch user
guide). Where they differ, the stricter reading of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.batch.models import batch_backends

from twin import credentials
from twin.iam.conditions import RESOURCE_TAGS_KNOWN
from twin.iam.permissions.roles import pass_role
from twin.iam.policies import Ask

if TYPE_CHECKING:
    from twin.iam.conditions import Context
    from twin.iam.requests import Call

_BY_NAME = {
    # operation: (parameter, resource type)
    "CreateComputeEnvironment": ("computeEnvironmentName", "compute-environment"),
    "UpdateComputeEnvironment": ("computeEnvironment", "compute-environment"),
    "DeleteComputeEnvironment": ("computeEnvironment", "compute-environment"),
    "CreateJobQueue": ("jobQueueName", "job-queue"),
    "UpdateJobQueue": ("jobQueue", "job-queue"),
    "DeleteJobQueue": ("jobQueue", "job-queue"),
    "GetJobQueueSnapshot": ("jobQueue", "job-queue"),
    "DeregisterJobDefinition": ("jobDefinition", "job-definition"),
    "RegisterJobDefinition": ("jobDefinitionName", "job-definition"),
    "TerminateJob": ("jobId", "job"),
    "CancelJob": ("jobId", "job"),
}


def asks(call: Call) -> list[Ask]:
    """The permissions that a Batch call needs."""
    parameters, operation = call.parameters, call.operation
    if operation == "SubmitJob":
        return _submit_job(call)
    if "resourceArn" in parameters:
        return [Ask(f"batch:{operation}", parameters["resourceArn"])]
    if operation not in _BY_NAME:  # DescribeJobs, ListJobs and the like know no resource
        return [Ask(f"batch:{operation}")]
    name, kind = _BY_NAME[operation]
    roles = [pass_role(role, "batch.amazonaws.com") for role in (parameters.get("serviceRole"),) if role]
    roles += [pass_role(role, "ecs-tasks.amazonaws.com") for role in _job_roles(parameters)]
    arn = _arn(call, kind, str(parameters.get(name, "")))
    return [Ask(f"batch:{operation}", arn, _read_tags(call, arn)), *roles]


def _submit_job(call: Call) -> list[Ask]:
    """The job, the queue and the definition must all be allowed, for the submission and, if it has tags, for these as well.

    AWS's sources differ. The Service Authorization Reference requires the job and the queue and calls the definition optional; the
    user guide's policies name queue and definition, with a revision and elsewhere without one; live reports show TagResource checked
    on the definition's revision (wri/gfw-data-api, pull request 175). All are asked for, so that what passes here passes on AWS
    whichever is right.
    """
    parameters = call.parameters
    tags = parameters.get("tags") or {}
    context = {f"aws:requesttag/{name.lower()}": (str(value),) for name, value in tags.items()}
    if tags:
        context["aws:tagkeys"] = tuple(tags)
    if share := parameters.get("shareIdentifier"):
        context["batch:shareidentifier"] = (share,)
    definition = _arn(call, "job-definition", parameters.get("jobDefinition", ""))
    definitions = [definition]
    if ":" not in definition.rsplit("/", 1)[-1] and (revision := _newest_revision(call, definition.rsplit("/", 1)[-1])):
        definitions.append(f"{definition}:{revision}")
    resources = [call.arn("job/*"), _arn(call, "job-queue", parameters.get("jobQueue", "")), *definitions]
    actions = ["batch:SubmitJob", "batch:TagResource"] if tags else ["batch:SubmitJob"]
    return [Ask(action, resource, context) for action in actions for resource in resources]


def _read_tags(call: Call, arn: str) -> Context:
    """The tags of a resource as condition keys; "ARNs for child jobs … aren't supported" (API Reference, TagResource)."""
    is_child = ":job/" in arn and ":" in arn.rsplit("/", 1)[-1]
    tags = {} if is_child else batch_backends[credentials.account()][call.region].list_tags_for_resource(arn)
    return {RESOURCE_TAGS_KNOWN: (), **{f"aws:resourcetag/{name.lower()}": (value,) for name, value in tags.items()}}


def _newest_revision(call: Call, name: str) -> int | None:
    backend = batch_backends[credentials.account()][call.region]
    definitions = list(backend._job_definitions.values())  # noqa: SLF001
    revisions = [
        definition.revision for definition in definitions if (definition.name, definition.status) == (name, "ACTIVE")
    ]
    return max(revisions, default=None)


def _arn(call: Call, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else call.arn(f"{kind}/{name}")


def _job_roles(parameters: Any) -> list[str]:
    nodes = (parameters.get("nodeProperties") or {}).get("nodeRangeProperties", [])
    containers = [parameters.get("containerProperties") or {}, *(node.get("container") or {} for node in nodes)]
    names = ("jobRoleArn", "executionRoleArn")
    return sorted({container[name] for container in containers for name in names if container.get(name)})
