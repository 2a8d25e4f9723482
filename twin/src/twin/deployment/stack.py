"""From a template's file to a stack that runs."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from twin import credentials
from twin.deployment import hosting, packaging, survey
from twin.deployment.errors import DeploymentError, NotModelled
from twin.deployment.resource import Accepted, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ARTEFACT_BUCKET = "aws-sam-cli-managed-default-samclisourcebucket"
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_NESTED = "AWS::CloudFormation::Stack"
_NOTHING_TO_DO = "No updates are to be performed."


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Parameters
    ----------
    name
        The stack's name.
    template
        The file it was deployed from.
    parameters
        What it was deployed with; the rest are the template's defaults.
    outputs
        The template's outputs.
    resources
        Every resource by its logical id; one of a nested stack as ``Compute.SpotQueue``.
    """

    name: str
    template: Path
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    resources: Mapping[str, Resource]

    @property
    def accepted(self) -> list[Accepted]:
        """What the template asks for and what has no effect on this machine."""
        return [
            Accepted(path, item.kind, item.what, item.because)
            for path, resource in self.resources.items()
            for item in resource.accepted
        ]

    def redeploy(self, parameters: Mapping[str, str] | None = None) -> Stack:
        """Update the stack from the template's file as it is now, with some parameters changed.

        Raises
        ------
        DeploymentError
            As in `deploy`, or a change that the twin cannot make to a running stack.
        """
        return deploy(self.template, stack_name=self.name, parameters={**self.parameters, **(parameters or {})})


def deploy(template: Path, *, stack_name: str, parameters: Mapping[str, str]) -> Stack:
    """Package a template's artefacts, then create the stack, or update it where one of that name exists.

    Parameters
    ----------
    template
        A SAM or CloudFormation template.
    stack_name
        The stack's name.
    parameters
        Values of the template's parameters; the rest keep their defaults.

    Raises
    ------
    DeploymentError
        Something in the template or a parameter is wrong, or not modelled; the message names it. Every resource type and API
        that is not modelled is found, also in nested templates, before anything is uploaded or created.
    """
    artefacts: dict[str, bytes] = {}
    packaged = packaging.package(template, partial(_keep, artefacts))
    unmodelled = list(survey.find_unmodelled(packaged, parameters, artefacts))
    if unmodelled:
        raise NotModelled(*unmodelled)
    address = _keep(artefacts, json.dumps(packaged).encode())
    _upload(artefacts)
    _create_or_update(
        {
            "StackName": stack_name,
            "TemplateURL": packaging.template_url(address),
            "Parameters": [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()],
            "Capabilities": _CAPABILITIES,
        }
    )
    hosted = hosting.find(stack_name)
    if hosted is None:
        raise DeploymentError(f"the stack {stack_name} was not created")
    if hosted.stack_status_reason:
        raise DeploymentError(hosted.stack_status_reason)
    return Stack(
        name=stack_name,
        template=template,
        parameters=dict(parameters),
        outputs={name: output.value for name, output in hosted.live.outputs.items()},
        resources=dict(_flat(hosted)),
    )


def _create_or_update(request: dict[str, Any]) -> None:
    cloudformation = credentials.internal_client("cloudformation")
    exists = hosting.find(request["StackName"]) is not None
    try:
        (cloudformation.update_stack if exists else cloudformation.create_stack)(**request)
    except ClientError as error:
        message = error.response["Error"]["Message"]
        if message != _NOTHING_TO_DO:
            raise DeploymentError(message) from error


def _flat(hosted: hosting.HostedStack, path: str = "") -> Iterator[tuple[str, Resource]]:
    for logical_id, resource in hosted.live.resources.items():
        yield f"{path}{logical_id}", resource
        nested = hosting.find(resource.physical_id) if resource.kind == _NESTED else None
        if nested is not None:
            yield from _flat(nested, f"{path}{logical_id}.")


def _keep(artefacts: dict[str, bytes], body: bytes) -> str:
    """Take a body in, and answer the address that it is uploaded to."""
    address = f"s3://{ARTEFACT_BUCKET}/{packaging.build_key(body)}"
    artefacts[address] = body
    return address


def _upload(artefacts: Mapping[str, bytes]) -> None:
    s3 = credentials.internal_client("s3")
    region = credentials.region()
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket=ARTEFACT_BUCKET, **place)
    for address, body in artefacts.items():
        s3.put_object(Bucket=ARTEFACT_BUCKET, Key=address.rpartition("/")[2], Body=body)
