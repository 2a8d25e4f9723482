"""Calls to the services that a rule or a schedule can have as its target."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from twin.credentials import endpoint, internal_client
from twin.events.clients import client_of_role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = Any

_NO_RESOURCE = {
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
    "NotFound",
    "NotFoundException",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "ClientException",
}
_NO_PERMISSIONS = {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"}
_THROTTLING = {"ThrottlingException", "TooManyRequestsException", "RequestThrottled", "Throttling"}


class Undeliverable(Exception):
    """A target did not take what was sent.

    Parameters
    ----------
    code
        One of the error codes that EventBridge writes into a dead-letter message ("Using dead-letter queues to process
        undelivered events", EventBridge user guide).
    message
        What the target said.
    retriable
        Whether trying again can help. A missing permission or target is given up at once.
    """

    def __init__(self, code: str, message: str, *, retriable: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retriable = retriable


class UnsupportedTarget(ValueError):
    """The twin has no delivery to this kind of target."""


def check(target: Mapping[str, Json]) -> None:
    """Refuse a target that could never be delivered to.

    Raises
    ------
    UnsupportedTarget
        Naming the ARN and the kinds of target there are.
    """
    arn = str(target.get("Arn", ""))
    if _kind(arn) not in _SENDERS:
        raise UnsupportedTarget(
            f"the twin delivers to {', '.join(sorted(_SENDERS))} targets, not to {arn!r}; "
            "point the rule at one of those, or test this rule in a real account"
        )
    for unsupported in ("EcsParameters", "KinesisParameters", "RunCommandParameters", "HttpParameters"):
        if target.get(unsupported):
            raise UnsupportedTarget(f"the twin does not know {unsupported} of target {arn!r}")


def send(target: Mapping[str, Json], payload: str) -> None:
    """Give `payload` to the target once.

    Parameters
    ----------
    target
        A target as PutTargets (EventBridge) or CreateSchedule (EventBridge Scheduler) takes it.
    payload
        The text for the target; Lambda and Step Functions need it to be JSON.

    Raises
    ------
    Undeliverable
        The target refused it or is not there.
    """
    arn = target["Arn"]
    try:
        _SENDERS[_kind(arn)](target, payload)
    except ClientError as error:
        raise _explained(error, arn) from error
    except LookupError as error:
        raise Undeliverable("NO_PERMISSIONS", str(error), retriable=False) from error
    except (EndpointConnectionError, HTTPClientError) as error:
        raise Undeliverable("CONNECTION_FAILURE", str(error), retriable=True) from error


def _kind(arn: str) -> str:
    parts = arn.split(":", 5)
    return parts[2] if len(parts) == 6 else ""


def _explained(error: ClientError, arn: str) -> Undeliverable:
    code = error.response["Error"].get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    message = f"{error.response['Error'].get('Message', '')} (target {arn})"
    if code in _NO_RESOURCE or (status == 404):
        return Undeliverable("NO_RESOURCE", message, retriable=False)
    if code in _NO_PERMISSIONS:
        return Undeliverable("NO_PERMISSIONS", message, retriable=False)
    if code in _THROTTLING or status == 429:
        return Undeliverable("THROTTLING", message, retriable=True)
    if status >= 500:
        return Undeliverable("ERROR_FROM_TARGET", message, retriable=True)
    return Undeliverable("SDK_CLIENT_ERROR", f"{code}: {message}", retriable=False)


def _to_lambda(target: Mapping[str, Json], payload: str) -> None:
    _client("lambda", target).invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=payload.encode())


def _to_states(target: Mapping[str, Json], payload: str) -> None:
    _client("stepfunctions", target).start_execution(stateMachineArn=target["Arn"], input=payload)


def _to_sqs(target: Mapping[str, Json], payload: str) -> None:
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    extra = {"MessageGroupId": group} if group else {}
    _client("sqs", target).send_message(QueueUrl=queue_url(target["Arn"]), MessageBody=payload, **extra)


def _to_sns(target: Mapping[str, Json], payload: str) -> None:
    _client("sns", target).publish(TopicArn=target["Arn"], Message=payload)


def _to_batch(target: Mapping[str, Json], payload: str) -> None:
    """Batch takes no payload; job parameters come from a `Parameters` object in it (user guide, "Targets")."""
    settings = target["BatchParameters"]
    request: dict[str, Json] = {
        "jobName": settings["JobName"],
        "jobQueue": target["Arn"],
        "jobDefinition": settings["JobDefinition"],
    }
    if settings.get("ArrayProperties"):
        request["arrayProperties"] = {"size": settings["ArrayProperties"]["Size"]}
    if settings.get("RetryStrategy"):
        request["retryStrategy"] = {"attempts": settings["RetryStrategy"]["Attempts"]}
    try:
        given = json.loads(payload)
    except json.JSONDecodeError:
        given = None
    if isinstance(given, dict) and isinstance(given.get("Parameters"), dict):
        request["parameters"] = given["Parameters"]
    _client("batch", target).submit_job(**request)


def _to_logs(target: Mapping[str, Json], payload: str) -> None:
    group = target["Arn"].split(":log-group:", 1)[1].removesuffix(":*")
    client = internal_client("logs")
    stream = str(uuid.uuid4())
    client.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": int(time.time() * 1000), "message": payload}]
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def queue_url(arn: str) -> str:
    """The address of the queue with this ARN."""
    _, _, _, _, owner, name = arn.split(":", 5)
    return f"{endpoint()}/{owner}/{name}"


def _client(service: str, target: Mapping[str, Json]) -> Any:
    """With a role EventBridge acts as that role; without one the target's own policy lets the service in."""
    role = target.get("RoleArn")
    return client_of_role(service, role) if role else internal_client(service)


_SENDERS: dict[str, Callable[[Mapping[str, Json], str], None]] = {
    "lambda": _to_lambda,
    "states": _to_states,
    "sqs": _to_sqs,
    "sns": _to_sns,
    "batch": _to_batch,
    "logs": _to_logs,
}
