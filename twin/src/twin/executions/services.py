"""What botocore knows of the services that Tasks call, and which of them the twin models."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from twin.credentials import botocore_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, ServiceModel

Json = Any

# "Run AWS Batch workloads with Step Functions" lists them; NodeOverrides is not among them.
BATCH_PARAMETERS = frozenset(
    {
        "ArrayProperties",
        "ContainerOverrides",
        "DependsOn",
        "JobDefinition",
        "JobName",
        "JobQueue",
        "Parameters",
        "PropagateTags",
        "RetryStrategy",
        "SchedulingPriorityOverride",
        "ShareIdentifier",
        "Tags",
        "Timeout",
    }
)
# "Invoke an AWS Lambda function with Step Functions".
LAMBDA_PARAMETERS = frozenset({"ClientContext", "FunctionName", "InvocationType", "Payload", "Qualifier"})

# Where the SDK for Java, whose names definitions use, and botocore differ.
_BOTOCORE_NAMES = {
    "sfn": "stepfunctions",
    "eventbridge": "events",
    "cloudwatchlogs": "logs",
}


# The services whose permissions the twin knows, by botocore's names, each with moto's name of it. moto answers for many more: it keeps
# what it is given and does nothing about it, and an execution would go on as if a Glue job had run.
_MODELLED = {
    "batch": "batch",
    "dynamodb": "dynamodb",
    "events": "events",
    "iam": "iam",
    "lambda": "awslambda",
    "logs": "logs",
    "s3": "s3",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "stepfunctions": "stepfunctions",
    "sts": "sts",
}
_FOUND_BY_PATH = frozenset({"lambda", "s3"})
"""Services whose operations moto finds by a request's path, not by a method of the operation's name."""


class UnknownAction(ValueError):
    """No such service or API action; the text names it."""


def botocore_name(api_name: str) -> str:
    """botocore's name for the service that a definition calls `api_name`."""
    return _BOTOCORE_NAMES.get(api_name.lower(), api_name.lower())


@functools.cache
def service_model(api_name: str) -> ServiceModel:
    """The model of the service that a definition calls `api_name`.

    Raises
    ------
    UnknownAction
        AWS has no such service.
    """
    session = botocore_session()
    name = botocore_name(api_name)
    if name not in session.get_available_services():
        raise UnknownAction(f"there is no AWS service {api_name}")
    return session.get_service_model(name)


def service_id(api_name: str) -> str:
    """Such as ``S3`` or ``Secrets Manager``."""
    return str(service_model(api_name).service_id)


def operation(model: ServiceModel, api_action: str) -> OperationModel:
    """The operation that a definition calls `api_action`, in camelCase.

    Raises
    ------
    UnknownAction
        The service has no such action.
    """
    name = api_action[:1].upper() + api_action[1:]
    if name not in model.operation_names:
        raise UnknownAction(f"{model.service_id} has no API action {api_action}")
    return model.operation_model(name)


def is_modelled(api_name: str, api_action: str) -> bool:
    """Whether the twin does what this API action does on AWS, as far as moto implements it."""
    service = botocore_name(api_name)
    if service not in _MODELLED or service in _FOUND_BY_PATH:
        return service in _MODELLED
    paths = importlib.import_module(f"moto.{_MODELLED[service]}.urls").url_paths
    responses = [getattr(answer, "__self__", None) for answer in paths.values()]
    methods = {name.replace("_", "").lower() for response in responses if response for name in dir(response)}
    return api_action.lower() in methods


def call(client: Any, model: OperationModel, parameters: Mapping[str, Json]) -> dict[str, Json]:
    """Call one operation, without what botocore adds to the answer."""
    answer: dict[str, Json] = getattr(client, xform_name(model.name))(**parameters) or {}
    answer.pop("ResponseMetadata", None)
    return answer
