"""Which permissions an API call needs, on which resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.iam.permissions import batch, dynamodb, messaging, s3, services
from twin.iam.policies import Ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.iam.requests import Call

_SERVICES: dict[str, Callable[[Call], list[Ask]]] = {
    "batch": batch.asks,
    "dynamodb": dynamodb.asks,
    "events": messaging.events,
    "iam": services.iam,
    "lambda": services.lambda_,
    "logs": services.logs,
    "s3": s3.asks,
    "scheduler": messaging.scheduler,
    "secretsmanager": services.secretsmanager,
    "sns": messaging.sns,
    "sqs": messaging.sqs,
    "ssm": services.ssm,
    "states": services.states,
    "sts": services.sts,
}


def needed(call: Call) -> list[Ask]:
    """The permissions a call needs; all of them must be allowed.

    For a service whose resources the twin does not know, the resource is ``*``: only a statement with ``Resource: "*"``
    allows it.
    """
    if call.service in _SERVICES:
        return _SERVICES[call.service](call)
    return [Ask(f"{call.service}:{call.operation}")]
