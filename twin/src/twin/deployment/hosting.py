"""Stacks of moto's CloudFormation that are brought about by the twin's engine.

CreateStack, UpdateStack and DescribeStack* go through moto's API and its list of stacks; reading the template,
expanding it, resolving it and creating its resources is the engine's.
"""

from __future__ import annotations

from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import CloudFormationBackend, cloudformation_backends
from moto.cloudformation.models import Stack as MotoStack
from moto.cloudformation.parsing import Export

import twin.deployment.resources  # noqa: F401 - registers the resource types
from twin import credentials
from twin.deployment import engine
from twin.deployment import template as templates
from twin.deployment.errors import DeploymentError


class HostedResource:
    """A resource as moto's DescribeStackResources and ListStackResources read it."""

    def __init__(self, logical_id: str, physical_id: str, kind: str) -> None:
        self.logical_resource_id = logical_id
        self.physical_resource_id = physical_id
        self.cf_resource_type = kind


class HostedStack(MotoStack):
    """moto's stack, with the engine in the place of moto's own parser and creators.

    As on AWS, what can be checked beforehand refuses the call, and what a service refuses later fails the stack.
    """

    live: engine.LiveStack
    planned: engine.Plan
    stack_status_reason: str | None = None

    @staticmethod
    def parse_template(template: str) -> dict[str, Any]:
        """The template's text, read."""
        try:
            return templates.read(template)
        except DeploymentError as error:
            raise ValidationError(message=str(error)) from error

    def _create_resource_map(self) -> Any:
        """Called by moto's constructor once the template is read."""
        self.live = engine.LiveStack(self.name, self.stack_id)
        self._take(self._plan(self.template_dict, self.parameters))

    def _create_output_map(self) -> Any:
        """Called by moto's constructor; outputs are the engine's."""

    def create_resources(self) -> None:
        """Called by moto once the stack is in its list."""
        self.status = "CREATE_IN_PROGRESS"
        self._apply("CREATE")

    def update(
        self,
        template: str,
        role_arn: str | None = None,
        parameters: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Bring the stack to what another template, or the same with other parameters, says."""
        read = self.parse_template(template)
        self._take(self._plan(read, parameters or {}))
        self.template, self.template_dict = template, read
        self.role_arn = role_arn
        self.tags = self.tags if tags is None else tags
        self._add_stack_event("UPDATE_IN_PROGRESS", resource_status_reason="User Initiated")
        self._apply("UPDATE")

    @property
    def stack_resources(self) -> Any:
        """For DescribeStackResources."""
        return [HostedResource(it.logical_id, it.physical_id, it.kind) for it in self.live.resources.values()]

    @property
    def parameter_list(self) -> list[dict[str, Any]]:
        """For DescribeStacks; NoEcho values masked."""
        shown = self.planned.shown_parameters
        return [{"ParameterKey": key, "ParameterValue": value} for key, value in shown.items()]

    @property
    def stack_parameters(self) -> dict[str, Any]:
        """Where moto finds the previous value that an update asks for."""
        return dict(self.parameters)

    @property
    def outputs(self) -> list[dict[str, Any]] | None:
        """For DescribeStacks."""
        return [
            {
                "OutputKey": key,
                "OutputValue": output.value,
                "Description": output.description,
                "ExportName": output.export,
            }
            for key, output in self.live.outputs.items()
        ]

    @property
    def exports(self) -> list[Export]:
        """Outputs that other stacks may import; none before they exist."""
        return [
            Export(self.stack_id, output.export, output.value) for output in self.live.outputs.values() if output.export
        ]

    def _take(self, planned: engine.Plan) -> None:
        self.planned = planned
        # Defaults included: an update may ask for the previous value of a parameter that was never given.
        self.parameters = planned.parameters

    def _plan(self, template: templates.Template, parameters: dict[str, str]) -> engine.Plan:
        try:
            return engine.plan(
                template, parameters, stack_name=self.name, stack_id=self.stack_id, account=_account(self.region_name)
            )
        except DeploymentError as error:
            raise ValidationError(message=str(error)) from error

    def _apply(self, what: str) -> None:
        try:
            self.live.apply(self.planned)
        except DeploymentError as error:
            self.stack_status_reason = str(error)
            self.status = f"{what}_FAILED"
        else:
            self.stack_status_reason = None
            self.status = f"{what}_COMPLETE"
            for export in self.exports:
                backend().exports[export.name] = export
        self._add_stack_event(self.status, resource_status_reason=self.stack_status_reason)


def backend() -> CloudFormationBackend:
    """CloudFormation as moto keeps it, in the twin's account and region."""
    return cloudformation_backends[credentials.account()][credentials.region()]


def find(name_or_id: str) -> HostedStack | None:
    """The stack of that name or id."""
    stacks = backend().stacks.values()
    return next((it for it in stacks if isinstance(it, HostedStack) and name_or_id in (it.name, it.stack_id)), None)


def _account(region: str) -> engine.Account:
    return engine.Account(
        account=credentials.account(),
        region=region,
        zones=_zones,
        stored_parameter=_stored_parameter,
        exports={export.name: export.value for export in backend().exports.values()},
    )


def _zones(region: str) -> list[str]:
    answer = credentials.internal_client("ec2").describe_availability_zones()
    return sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"] if zone["RegionName"] == region)


def _stored_parameter(name: str) -> str:
    value: str = credentials.internal_client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    return value
