"""The names that errors have in a state machine, and which Retry and Catch they fall under. Pure functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from botocore.model import ServiceModel

# "Handling errors in Step Functions workflows": a runtime error always fails the execution.
_FATAL = frozenset({"States.Runtime"})
_NOT_IN_ALL = _FATAL | {"States.DataLimitExceeded"}

# botocore has only the status of an answer without a body; the Java SDK, which Step Functions uses, names these two.
_BODYLESS = {"HeadObject": "NoSuchKey", "HeadBucket": "NoSuchBucket"}


def catches(names: Collection[str], error: str) -> bool:
    """Whether an ErrorEquals list with these names applies to `error`.

    ``States.ALL`` is everything but what is terminal, ``States.TaskFailed`` everything but a timeout, and a missed heartbeat
    is a timeout too ("Handling errors in Step Functions workflows").
    """
    if error in _FATAL:
        return False
    if error in names:
        return True
    if "States.ALL" in names:
        return error not in _NOT_IN_ALL
    if error == "States.HeartbeatTimeout":
        return "States.Timeout" in names
    return "States.TaskFailed" in names and error not in (*_NOT_IN_ALL, "States.Timeout")


def sdk_error(model: ServiceModel, operation: str, code: str, prefix: str = "", base: str = "") -> str:
    """The error name of a failed API call, as the AWS SDK for Java names its exception.

    An exception that the service's model declares has its own name, every other is the service's general one:
    ``S3.NoSuchKeyException``, ``S3.S3Exception``.

    Parameters
    ----------
    operation
        Such as ``HeadObject``.
    code
        The code botocore found in the answer.
    prefix, base
        Where an optimised integration differs from the SDK's names: ``Batch`` and ``AWSBatchException``.
    """
    name = java_name(model.service_id)
    if code in ("404", "NotFound") and operation in _BODYLESS:
        code = _BODYLESS[operation]
    declared = {
        code: shape.name for shape in model.error_shapes for code in (shape.name, getattr(shape, "error_code", ""))
    }
    own = declared.get(code)
    exception = _with_suffix(own) if own else base or f"{name}Exception"
    return f"{prefix or name}.{exception}"


def java_name(service_id: str) -> str:
    """A service's name in the SDK for Java: ``DynamoDB`` is ``DynamoDb``, ``Secrets Manager`` ``SecretsManager``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", service_id)
    return "".join(word[:1].upper() + word[1:].lower() for word in words)


def _with_suffix(name: str) -> str:
    return name if name.endswith("Exception") else f"{name}Exception"
