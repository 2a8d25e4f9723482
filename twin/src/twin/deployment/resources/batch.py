"""Compute environments, queues, scheduling policies, job definitions."""

from __future__ import annotations

from typing import Any

from twin import credentials
from twin.deployment.resource import NAME, Request, Resource, resource_type

_NAME_LIMIT = 128
_SERVICE_ROLE_PATH = "/aws-service-role/batch.amazonaws.com/"
_SERVICE_ROLE = "AWSServiceRoleForBatch"


@resource_type("AWS::Batch::ComputeEnvironment")
def _compute_environment(request: Request) -> Resource:
    request.accept("ReplaceComputeEnvironment", "environments are made anew, never replaced in place")
    request.accept("UpdatePolicy", "environments are made anew, never updated in place")
    name = request.name("ComputeEnvironmentName", limit=_NAME_LIMIT)
    properties = {"ComputeEnvironmentName": name, "State": "ENABLED", **request.take_rest()}
    compute = dict(properties.get("ComputeResources", {}))
    # A property of CloudFormation and of UpdateComputeEnvironment only.
    if compute.pop("UpdateToLatestImageVersion", None) is not None:
        request.note("ComputeResources.UpdateToLatestImageVersion", "no machine image is started here")
        properties["ComputeResources"] = compute
    if not properties.get("ServiceRole"):
        # "If the account already uses the Batch service-linked role, that role is used by default": AWS makes it.
        properties["ServiceRole"] = _service_linked_role()
    arn = request.call("batch", "CreateComputeEnvironment", properties)["computeEnvironmentArn"]
    return Resource(arn, {"ComputeEnvironmentArn": arn})


@resource_type("AWS::Batch::JobQueue")
def _job_queue(request: Request) -> Resource:
    name = request.name("JobQueueName", limit=_NAME_LIMIT)
    properties = {"JobQueueName": name, "State": "ENABLED", **request.take_rest()}
    arn = request.call("batch", "CreateJobQueue", properties)["jobQueueArn"]
    return Resource(arn, {"JobQueueArn": arn})


@resource_type("AWS::Batch::SchedulingPolicy")
def _scheduling_policy(request: Request) -> Resource:
    name = request.name("Name", limit=_NAME_LIMIT)
    properties = request.take_rest()
    if "ShareDecaySeconds" in properties.get("FairsharePolicy", {}):
        request.note("FairsharePolicy.ShareDecaySeconds", "a share's use is what it runs now, not what it ran before")
    arn = request.call("batch", "CreateSchedulingPolicy", {"Name": name, **properties})["arn"]
    return Resource(arn, {"Arn": arn})


def _replace_job_definition(request: Request) -> Resource:
    """Register a new revision, then deregister the old one, as CloudFormation does.

    "SkipDeregisterOnUpdate: … false by default": ResourceRetentionPolicy of AWS::Batch::JobDefinition.
    """
    old = request.existing
    retention = old.properties.get("ResourceRetentionPolicy", {})
    made = _job_definition(request)
    if str(retention.get("SkipDeregisterOnUpdate", False)).lower() != "true":
        credentials.internal_client("batch").deregister_job_definition(jobDefinition=old.physical_id)
    return made


@resource_type("AWS::Batch::JobDefinition", update=_replace_job_definition)
def _job_definition(request: Request) -> Resource:
    request.take("ResourceRetentionPolicy")
    name = request.name("JobDefinitionName", limit=_NAME_LIMIT)
    made = request.call("batch", "RegisterJobDefinition", {"JobDefinitionName": name, **request.take_rest()})
    return Resource(made["jobDefinitionArn"], {"JobDefinitionArn": made["jobDefinitionArn"], NAME: name})


def _service_linked_role() -> str:
    iam: Any = credentials.internal_client("iam")
    arn = f"arn:aws:iam::{credentials.account()}:role{_SERVICE_ROLE_PATH}{_SERVICE_ROLE}"
    try:
        iam.get_role(RoleName=_SERVICE_ROLE)
    except iam.exceptions.NoSuchEntityException:
        iam.create_role(
            RoleName=_SERVICE_ROLE,
            Path=_SERVICE_ROLE_PATH,
            AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
            '"Principal": {"Service": "batch.amazonaws.com"}, "Action": "sts:AssumeRole"}]}',
        )
    return arn
