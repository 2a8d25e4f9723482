"""AWS Lambda: deployed functions run as processes under `awslambdaric`, with their role's credentials.

What is Lambda's: the Runtime API, one process an invocation at a time, warm instances, frozen between invocations, the
time limit, reserved concurrency, logs with START and REPORT, asynchronous retries, destinations and dead-letter queues.
What is not: the processor share that comes with memory, the memory limit itself (it is reported), the read-only file
system, growth beyond a few processes a function (further invocations wait), and the Python version: functions run on
the twin's own. A function imports what its package and layers hold, and any third-party package of the twin's
environment, but nothing else of this repository.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.logs.models import logs_backends

from twin import iam
from twin.functions import api
from twin.functions.service import Service
from twin.patches import awslambda

if TYPE_CHECKING:
    from twin.clock import Clock
    from twin.functions.definition import Definition

_logger = logging.getLogger(__name__)

_services: list[Service] = []
"""The running twin's, or none."""


def install(options: Any, clock: Clock) -> None:
    """Let moto's Lambda service run its functions.

    Parameters
    ----------
    options
        Of the twin; with `enforce_iam` a function's role must trust Lambda and allow the log.
    clock
        For the waits of asynchronous invocation.
    """
    enforced: bool = options.enforce_iam
    service = Service(clock, lambda definition: not enforced or _may_log(definition))
    awslambda.install(
        partial(api.invoke, service),
        partial(api.invoke_in_process, service),
        lambda role, function: not enforced or iam.service_may_assume("lambda.amazonaws.com", role, function).allowed,
    )
    _services.append(service)


def stop() -> None:
    """End every function's process and forget what is queued."""
    while _services:
        _services.pop().stop()


def wait_idle(name: str, timeout: float) -> bool:
    """Wait until every event that was queued for a function has been handled or given up; False after `timeout` seconds."""
    end = time.monotonic() + timeout
    return all(service.wait_idle(name, end - time.monotonic()) for service in _services)


def _may_log(definition: Definition) -> bool:
    """Whether the function's role allows what Lambda does to write a log.

    Source: "Sending Lambda function logs to CloudWatch Logs", section on required permissions (Lambda developer guide).
    """
    group = definition.log_group
    stream = f"arn:aws:logs:{definition.region}:{definition.account}:log-group:{group}:log-stream:"
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    if group not in logs_backends[definition.account][definition.region].groups:
        actions.insert(0, "logs:CreateLogGroup")
    for action in actions:
        decision = iam.role_may(definition.role_arn, iam.Ask(action, stream))
        if not decision.allowed:
            _logger.warning("%s logs nothing: its role may not %s on %s", definition.name, action, stream)
            return False
    return True
