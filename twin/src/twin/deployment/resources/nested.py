"""Nested stacks."""

from __future__ import annotations

from twin import credentials
from twin.deployment.errors import ResourceFailed
from twin.deployment.resource import NAME, Request, Resource, resource_type

_NAME_LIMIT = 128
_CREATED = "CREATE_COMPLETE"
_UPDATED = "UPDATE_COMPLETE"


def _update_nested_stack(request: Request) -> Resource:
    name = request.existing.attributes[NAME]
    request.call("cloudformation", "UpdateStack", {"StackName": name, **_arguments(request)})
    return _outcome(request, name, _UPDATED)


@resource_type("AWS::CloudFormation::Stack", update=_update_nested_stack)
def _nested_stack(request: Request) -> Resource:
    name = request.generated_name(limit=_NAME_LIMIT)
    request.call("cloudformation", "CreateStack", {"StackName": name, **_arguments(request)})
    return _outcome(request, name, _CREATED)


def _arguments(request: Request) -> dict[str, object]:
    request.accept("TimeoutInMinutes", "a stack is made in seconds here, or fails")
    parameters = [
        {"ParameterKey": key, "ParameterValue": ",".join(value) if isinstance(value, list) else value}
        for key, value in request.take("Parameters", {}).items()
    ]
    return {
        "TemplateURL": request.need("TemplateURL"),
        "Parameters": parameters,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        **request.take_some("Tags", "NotificationARNs"),
    }


def _outcome(request: Request, name: str, success: str) -> Resource:
    stack = credentials.internal_client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    if stack["StackStatus"] != success:
        raise ResourceFailed(request.logical_id, request.kind, stack.get("StackStatusReason", stack["StackStatus"]))
    outputs = {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in stack.get("Outputs", [])}
    return Resource(stack["StackId"], {NAME: name, **outputs})
