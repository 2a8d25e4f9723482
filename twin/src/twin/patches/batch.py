"""Patches to moto's Batch (5.2.5): jobs as `twin.compute` runs them, and what moto drops of queues, environments and definitions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.batch.exceptions import ClientException
from moto.batch.models import BatchBackend, JobDefinition, JobQueue
from moto.batch.responses import BatchResponse
from moto.ec2.exceptions import EC2ClientError

from twin.compute.environment_validation import environment_problems, read_offered
from twin.compute.scheduler import Reason
from twin.compute.service import Refused
from twin.compute.validation import definition_problems
from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twin.compute.service import JobService

_TIME_LIMIT_REASONS = frozenset(Reason)
_TIME_LIMIT_SECONDS = range(600, 86_401)


def install(jobs: JobService, capacity_changed: Callable[[], None]) -> None:
    """Apply every patch.

    Parameters
    ----------
    jobs
        Answers all requests about jobs.
    capacity_changed
        Called when queues or environments have changed, so that waiting jobs are looked at again.
    """
    answers: dict[str, Callable[[BatchBackend, dict[str, Any]], Any]] = {
        "submitjob": jobs.submit,
        "describejobs": lambda moto, body: {"jobs": jobs.describe(moto, body.get("jobs"))},
        "listjobs": jobs.list_jobs,
        "canceljob": lambda _, body: jobs.cancel(body),
        "terminatejob": lambda _, body: jobs.terminate(body),
    }
    for name, handle in answers.items():
        replace(BatchResponse, name, _answer(handle))
    replace(BatchResponse, "createjobqueue", _keep_time_limits("jobQueueName"))
    replace(BatchResponse, "updatejobqueue", _keep_time_limits("jobQueue", capacity_changed))
    replace(JobQueue, "describe", _show_time_limits)
    replace(BatchResponse, "createschedulingpolicy", _refuse_other_policies)
    replace(BatchResponse, "updateschedulingpolicy", _refuse_other_policies)
    replace(BatchBackend, "_validate_compute_resources", _check_environments_as_aws_does)
    replace(BatchBackend, "find_min_instances_to_meet_vcpus", _launch_nothing_beforehand)
    replace(BatchBackend, "update_compute_environment", _apply_updates(capacity_changed))
    replace(BatchBackend, "get_job_definition_by_name", _newest_active)
    replace(BatchBackend, "register_job_definition", _inherit_nothing)
    replace(BatchResponse, "registerjobdefinition", _keep_scheduling_priority)
    replace(JobDefinition, "_validate", _refuse_what_aws_refuses)
    replace(JobDefinition, "describe", _show_what_is_dropped)


def _answer(handle: Callable[[BatchBackend, dict[str, Any]], Any]) -> Callable[..., Callable[[Any], str]]:
    """Moto runs a job in Docker, one thread each, with no capacity, attempts, node overrides or reclaims."""

    def respond(self: Any) -> str:
        try:
            reply = handle(self.batch_backend, json.loads(self.body or "{}"))
        except Refused as refusal:
            raise ClientException(str(refusal)) from refusal
        return json.dumps(reply or {})

    return lambda _: respond


def _keep_time_limits(
    name_field: str, changed: Callable[[], None] | None = None
) -> Callable[..., Callable[[Any], str]]:
    """Moto drops a queue's jobStateTimeLimitActions, so that a stuck job would wait for ever."""

    def make(original: Callable[[Any], str]) -> Callable[[Any], str]:
        def respond(self: Any) -> str:
            body = json.loads(self.body)
            actions = body.get("jobStateTimeLimitActions")
            for action in actions or ():
                _check_time_limit(action)
            reply = original(self)
            if actions is not None:
                self.batch_backend.get_job_queue(body[name_field]).job_state_time_limit_actions = actions
            if changed is not None:
                changed()
            return reply

        return respond

    return make


def _check_time_limit(action: Mapping[str, Any]) -> None:
    """API Reference, JobStateTimeLimitAction."""
    if action.get("reason") not in _TIME_LIMIT_REASONS:
        raise ClientException(f"jobStateTimeLimitActions.reason must be one of {', '.join(Reason)}")
    if action.get("state") != "RUNNABLE" or action.get("action") != "CANCEL":
        raise ClientException("jobStateTimeLimitActions must CANCEL in state RUNNABLE")
    if int(action.get("maxTimeSeconds") or 0) not in _TIME_LIMIT_SECONDS:
        raise ClientException("jobStateTimeLimitActions.maxTimeSeconds must be between 600 and 86400")


def _show_time_limits(original: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Moto's DescribeJobQueues knows nothing of jobStateTimeLimitActions."""

    def describe(self: Any) -> dict[str, Any]:
        return {**original(self), "jobStateTimeLimitActions": getattr(self, "job_state_time_limit_actions", [])}

    return describe


def _refuse_other_policies(original: Callable[[Any], str]) -> Callable[[Any], str]:
    """Moto takes any scheduling policy for one of fair shares, and a reservation that nothing keeps."""

    def respond(self: Any) -> str:
        body = json.loads(self.body)
        if body.get("quotaSharePolicy"):
            raise ClientException("quotaSharePolicy is not modelled by the twin; use fairsharePolicy")
        if (body.get("fairsharePolicy") or {}).get("computeReservation"):
            raise ClientException("fairsharePolicy.computeReservation is not modelled by the twin; leave it out")
        return original(self)

    return respond


def _check_environments_as_aws_does(original: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Moto demands minvCpus, instanceTypes and security groups, takes what regions lack, and reads no launch template."""

    def validate(self: Any, resources: dict[str, Any]) -> None:
        if "FARGATE" in resources["type"]:
            original(self, resources)
            return
        resources.setdefault("minvCpus", 0)
        resources.setdefault("instanceTypes", ["optimal"])
        interfaces = _interfaces(self.ec2_backend, resources.get("launchTemplate"))
        problems = environment_problems(resources, interfaces, read_offered(self.region_name))
        if problems:
            raise ClientException("; ".join(f"Error executing request, Exception : {problem}" for problem in problems))
        groups = [group for interface in interfaces for group in interface.get("Groups", ())]
        groups += resources.get("securityGroupIds") or []
        original(self, {**resources, "instanceTypes": ["optimal"], "securityGroupIds": groups})

    return validate


def _interfaces(ec2: Any, named: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """The network interfaces of a launch template's version; none of no launch template."""
    if not named:
        return []
    try:
        if "launchTemplateId" in named:
            template = ec2.get_launch_template(named["launchTemplateId"])
        else:
            template = ec2.get_launch_template_by_name(named["launchTemplateName"])
        version = template.get_version(named.get("version") or "$Default")
    except EC2ClientError as error:
        raise ClientException(f"Error executing request, Exception : {error.message}") from error
    interfaces: list[dict[str, Any]] = version.data.get("NetworkInterfaces") or []
    return interfaces


def _launch_nothing_beforehand(original: Any) -> Any:
    """Moto starts EC2 instances with an environment, on which nothing ever runs; here each job gets its own."""
    del original
    return staticmethod(lambda *_: [])


def _apply_updates(changed: Callable[[], None]) -> Callable[..., Callable[..., tuple[str, str]]]:
    """Moto's UpdateComputeEnvironment ignores computeResources, so that maxvCpus could never be raised."""

    def make(original: Callable[..., tuple[str, str]]) -> Callable[..., tuple[str, str]]:
        def update(
            self: Any, compute_environment_name: str, *, compute_resources: Any, **others: Any
        ) -> tuple[str, str]:
            reply = original(self, compute_environment_name, compute_resources=compute_resources, **others)
            environment = self.get_compute_environment(compute_environment_name)
            merged = {**environment.compute_resources, **(compute_resources or {})}
            merged.pop("updateToLatestImageVersion", None)  # says what the update does; no description shows it
            if compute_resources:
                self._validate_compute_resources(merged)
            environment.compute_resources = merged
            changed()
            return reply

        return update

    return make


def _newest_active(original: Callable[..., Any]) -> Callable[[Any, str], JobDefinition | None]:
    """Moto takes a name without revision for the newest one, deregistered or not."""
    del original

    def find(self: Any, name: str) -> JobDefinition | None:
        active = [found for found in _revisions(self, name) if found.status == "ACTIVE"]
        return max(active, key=lambda found: int(found.revision), default=None)

    return find


def _revisions(backend: Any, name: str) -> list[JobDefinition]:
    definitions: dict[str, JobDefinition] = backend._job_definitions  # noqa: SLF001  the only place that has them all
    return [definition for definition in list(definitions.values()) if definition.name == name]


def _inherit_nothing(original: Callable[..., JobDefinition]) -> Callable[..., JobDefinition]:
    """Moto gives a new revision what the older one had and the new one does not state; on AWS each stands alone."""

    def register(self: Any, def_name: str, *, _type: str, **stated: Any) -> JobDefinition:
        revisions = _revisions(self, def_name)
        if not revisions:
            return original(self, def_name, _type=_type, **stated)
        for rule in (stated.get("retry_strategy") or {}).get("evaluateOnExit") or ():
            rule["action"] = rule["action"].lower()
        newest = max(int(definition.revision) for definition in revisions)
        make: Any = JobDefinition  # its abstract methods are CloudFormation's, which moto never calls here
        definition: JobDefinition = make(def_name, _type=_type, revision=newest, backend=self, **stated)
        self._job_definitions[definition.arn] = definition
        return definition

    return register


def _keep_scheduling_priority(original: Callable[[Any], str]) -> Callable[[Any], str]:
    """Moto drops a definition's schedulingPriority."""

    def respond(self: Any) -> str:
        reply = original(self)
        definition: Any = self.batch_backend.get_job_definition(json.loads(reply)["jobDefinitionArn"])
        definition.scheduling_priority = json.loads(self.body).get("schedulingPriority")
        return reply

    return respond


def _refuse_what_aws_refuses(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Moto takes any multi-node definition, any retry strategy and any timeout."""

    def validate(self: Any) -> None:
        original(self)
        problems = definition_problems(
            {
                "type": self.type,
                "containerProperties": self.container_properties,
                "nodeProperties": self.node_properties,
                "eksProperties": self.eks_properties,
                "retryStrategy": self.retry_strategy,
                "timeout": self.timeout,
                "platformCapabilities": self.platform_capabilities,
            }
        )
        if problems:
            raise ClientException("; ".join(problems))

    return validate


def _show_what_is_dropped(original: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Moto's DescribeJobDefinitions leaves out nodeProperties and schedulingPriority."""

    def describe(self: Any) -> dict[str, Any]:
        added = {
            "nodeProperties": self.node_properties,
            "schedulingPriority": getattr(self, "scheduling_priority", None),
        }
        return {**original(self), **{name: value for name, value in added.items() if value is not None}}

    return describe
