"""Where the outcome of an asynchronous invocation goes: on-success and on-failure destinations, dead-letter queue.

Source: "Capturing records of Lambda asynchronous invocations" (Lambda developer guide). Everything is sent with the
credentials of the function's role, because that is who needs the permission on AWS.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError

from twin import credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.functions.execution import Execution
    from twin.functions.retries import Attempt, Settings

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sender:
    """The function that something is sent for."""

    function_arn: str
    version: str
    role_arn: str

    def client(self, service: str) -> Any:
        """A client of a service with the credentials of the function's role."""
        keys = credentials.role_credentials(self.role_arn)
        return credentials.botocore_session().create_client(
            service,
            region_name=credentials.region(),
            endpoint_url=credentials.endpoint(),
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys["AWS_SESSION_TOKEN"],
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )


def report_success(sender: Sender, settings: Settings, attempt: Attempt, execution: Execution) -> None:
    """The function handled the event."""
    if settings.on_success:
        _send(sender, settings.on_success, invocation_record(sender, attempt, execution, "Success"))


def report_failure(
    sender: Sender, settings: Settings, attempt: Attempt, execution: Execution | None, condition: str
) -> None:
    """The event is given up.

    Parameters
    ----------
    execution
        The last one, when it is what the event is given up for.
    condition
        Why, as Lambda writes it: ``RetriesExhausted``, ``EventAgeExceeded`` or ``ZeroReservedConcurrency``.
    """
    if settings.on_failure:
        _send(sender, settings.on_failure, invocation_record(sender, attempt, execution, condition))
    if settings.dead_letter:
        _deliver(sender, settings.dead_letter, lambda: _send_dead_letter(sender, settings, attempt, execution))
    if not settings.on_failure and not settings.dead_letter:
        _logger.warning(
            "%s gave up an event that nothing catches (request %s)", sender.function_arn, attempt.request_id
        )


def invocation_record(sender: Sender, attempt: Attempt, execution: Execution | None, condition: str) -> dict[str, Any]:
    """The JSON that a destination receives."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": attempt.request_id,
            "functionArn": f"{sender.function_arn}:{sender.version}",
            "condition": condition,
            "approximateInvokeCount": attempt.executions,
        },
        "requestPayload": json.loads(attempt.payload),
    }
    if execution is not None:
        record["responseContext"] = {"statusCode": 200, "executedVersion": sender.version}
        if execution.outcome.failed:
            record["responseContext"]["functionError"] = "Unhandled"
        record["responsePayload"] = json.loads(execution.outcome.payload or b"null")
    return record


def _send(sender: Sender, destination: str, record: dict[str, Any]) -> None:
    service = destination.split(":")[2]
    body = json.dumps(record)
    succeeded = record["requestContext"]["condition"] == "Success"
    sends: dict[str, Callable[[], Any]] = {
        "sqs": lambda: sender.client("sqs").send_message(QueueUrl=_queue_url(destination), MessageBody=body),
        "sns": lambda: sender.client("sns").publish(TopicArn=destination, Message=body),
        "lambda": lambda: sender.client("lambda").invoke(
            FunctionName=destination, InvocationType="Event", Payload=body.encode()
        ),
        "events": lambda: sender.client("events").put_events(
            Entries=[
                {
                    "Source": "lambda",
                    "DetailType": f"Lambda Function Invocation Result - {'Success' if succeeded else 'Failure'}",
                    "Resources": [destination, f"{sender.function_arn}:{sender.version}"],
                    "Detail": body,
                    "EventBusName": destination,
                }
            ]
        ),
    }
    if service in sends:
        _deliver(sender, destination, sends[service])
    else:
        _logger.error("%s: the twin does not deliver to destination %s", sender.function_arn, destination)


def _send_dead_letter(sender: Sender, settings: Settings, attempt: Attempt, execution: Execution | None) -> None:
    """Send the event itself. Source: "Adding a dead-letter queue", section on the message's attributes."""
    code, message = "200", ""
    if execution is not None:
        message = json.loads(execution.outcome.payload).get("errorMessage", "")
    elif attempt.executions == 0:
        code, message = "429", "Rate Exceeded."  # it was throttled and no more; 429 is the status of that
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": attempt.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": code},
    }
    if message:
        attributes["ErrorMessage"] = {"DataType": "String", "StringValue": message[:1024]}
    body, target = attempt.payload.decode(), settings.dead_letter
    if target.split(":")[2] == "sqs":
        sender.client("sqs").send_message(QueueUrl=_queue_url(target), MessageBody=body, MessageAttributes=attributes)
    else:
        sender.client("sns").publish(TopicArn=target, Message=body, MessageAttributes=attributes)


def _deliver(sender: Sender, destination: str, send: Callable[[], Any]) -> None:
    """Lambda drops what it cannot deliver and counts it (DestinationDeliveryFailures); the twin says so."""
    try:
        send()
    except ClientError as error:
        _logger.warning("%s could not deliver to %s: %s", sender.function_arn, destination, error)


def _queue_url(queue_arn: str) -> str:
    *_, account, name = queue_arn.split(":")
    return f"{credentials.endpoint()}/{account}/{name}"
