"""Lambda: functions and what SAM makes around them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from twin import credentials
from twin.deployment.errors import NotModelled
from twin.deployment.resource import NAME, Request, Resource, resource_type

_NAME_LIMIT = 64
_LAYER_NAME_LIMIT = 140


def _update_function(request: Request) -> Resource:
    for fixed in ("PackageType", "Tags"):
        if request.has_changed(fixed):
            raise NotModelled(f"an update of {request.where}.{fixed} (start the twin afresh)")
        request.take(fixed)
    name = request.name("FunctionName", limit=_NAME_LIMIT)
    new_code = request.has_changed("Code") or request.has_changed("Architectures")
    code = {**_code(request), **request.take_some("Architectures")}
    if new_code:
        request.call("lambda", "UpdateFunctionCode", {"FunctionName": name, **code})
    _limit_concurrency(request, name)
    request.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": name, **_configuration(request)})
    return Resource(name, request.existing.attributes)


@resource_type("AWS::Lambda::Function", update=_update_function)
def _function(request: Request) -> Resource:
    name = request.name("FunctionName", limit=_NAME_LIMIT)
    code = _code(request)
    reserved = request.take_some("ReservedConcurrentExecutions")
    made = request.call("lambda", "CreateFunction", {"FunctionName": name, "Code": code, **_configuration(request)})
    if reserved:
        request.call("lambda", "PutFunctionConcurrency", {"FunctionName": name, **reserved})
    return Resource(name, {"Arn": made["FunctionArn"]})


@resource_type("AWS::Lambda::LayerVersion", repeatable=True)
def _layer_version(request: Request) -> Resource:
    name = request.name("LayerName", limit=_LAYER_NAME_LIMIT)
    made = request.call("lambda", "PublishLayerVersion", {"LayerName": name, **request.take_rest()})
    return Resource(made["LayerVersionArn"], {"LayerVersionArn": made["LayerVersionArn"], NAME: name})


def _update_permission(request: Request) -> Resource:
    function_name = request.existing.properties["FunctionName"]
    credentials.internal_client("lambda").remove_permission(
        FunctionName=function_name, StatementId=request.existing.physical_id
    )
    return _permission(request)


@resource_type("AWS::Lambda::Permission", update=_update_permission)
def _permission(request: Request) -> Resource:
    statement = request.logical_id
    request.call("lambda", "AddPermission", {"StatementId": statement, **request.take_rest()})
    return Resource(statement, {"Id": statement})


@resource_type("AWS::Lambda::EventInvokeConfig", repeatable=True)
def _event_invoke_config(request: Request) -> Resource:
    request.call("lambda", "PutFunctionEventInvokeConfig", request.take_rest())
    return Resource(request.logical_id)


@resource_type("AWS::Lambda::Version")
def _version(request: Request) -> Resource:
    request.refuse("ProvisionedConcurrencyConfig")
    made = request.call("lambda", "PublishVersion", request.take_rest())
    arn, number = made["FunctionArn"], made["Version"]
    qualified = arn if arn.endswith(f":{number}") else f"{arn}:{number}"
    return Resource(qualified, {"Version": number, "FunctionArn": qualified})


def _update_alias(request: Request) -> Resource:
    request.refuse("ProvisionedConcurrencyConfig")
    arn = request.call("lambda", "UpdateAlias", request.take_rest())["AliasArn"]
    return Resource(arn, {"AliasArn": arn})


@resource_type("AWS::Lambda::Alias", update=_update_alias)
def _alias(request: Request) -> Resource:
    request.refuse("ProvisionedConcurrencyConfig")
    arn = request.call("lambda", "CreateAlias", request.take_rest())["AliasArn"]
    return Resource(arn, {"AliasArn": arn})


@resource_type("AWS::Lambda::EventSourceMapping")
def _event_source_mapping(request: Request) -> Resource:
    made = request.call("lambda", "CreateEventSourceMapping", request.take_rest())
    return Resource(made["UUID"], {"Id": made["UUID"]})


def _code(request: Request) -> dict[str, Any]:
    code: dict[str, Any] = dict(request.need("Code"))
    if "ZipFile" in code:
        code["ZipFile"] = _zipped(code["ZipFile"])
    return code


def _configuration(request: Request) -> dict[str, Any]:
    """What is left of a function's properties once its name and code are taken."""
    for unknown in ("FileSystemConfigs", "ImageConfig", "CapacityProviderConfig", "DurableConfig"):
        request.refuse(unknown)
    request.accept("KmsKeyArn", "nothing is encrypted at rest here")
    request.accept("SnapStart", "functions start without snapshots")
    request.accept("CodeSigningConfigArn", "code is not signed here")
    left = request.take_rest()
    if left.get("TracingConfig"):
        request.note("TracingConfig", "no trace is recorded")
    return left


def _limit_concurrency(request: Request, name: str) -> None:
    changed = request.has_changed("ReservedConcurrentExecutions")
    reserved = request.take_some("ReservedConcurrentExecutions")
    if changed:
        request.call("lambda", "PutFunctionConcurrency", {"FunctionName": name, **reserved})


def _zipped(source: str) -> bytes:
    """Inline code as the file that Lambda makes of it: "CloudFormation places it in a file named index"."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("index.py", source)
    return file.getvalue()
