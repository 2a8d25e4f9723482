"""What the Lambda service does with an Invoke: validate it, run it at once, or queue it."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from typing import TYPE_CHECKING

from moto.awslambda.models import lambda_backends

from twin import credentials
from twin.events.pool import Pool
from twin.functions import definition as definitions
from twin.functions import destinations, retries, sandbox
from twin.functions.destinations import Sender
from twin.functions.execution import Execution, execute
from twin.functions.instance import Instance
from twin.functions.logs import LogStream, init_start_line
from twin.functions.pool import Closed, InstancePool, Throttled
from twin.functions.retries import Attempt, Settings
from twin.functions.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.awslambda.models import LambdaFunction

    from twin.clock import Clock
    from twin.functions.definition import Definition

_logger = logging.getLogger(__name__)

SYNCHRONOUS_LIMIT_BYTES = 6 * 1024 * 1024
ASYNCHRONOUS_LIMIT_BYTES = 1024 * 1024
"""The largest payloads of an invocation. Source: "Lambda quotas"."""

INSTANCES_A_FUNCTION = 3
"""Processes a function may have at a time: Lambda would start hundreds, which a laptop has not the memory for."""

_KEPT_WARM = 1
IDLE_SECONDS = 10.0
"""How long an instance that nobody needs is kept."""


class PayloadTooLarge(Exception):
    """The payload is beyond Lambda's quota."""


class PayloadNotJson(Exception):
    """The payload is not JSON."""


class Service:
    """The functions of one twin at work; made by `twin.functions.install`.

    Parameters
    ----------
    clock
        For the waits of asynchronous invocation.
    may_log
        Whether the role of a function may write its log.
    """

    def __init__(self, clock: Clock, may_log: Callable[[Definition], bool]) -> None:
        self._clock = clock
        self._may_log = may_log
        self._api = RuntimeApi()
        self._lock = threading.Lock()
        self._pools: dict[str, InstancePool] = {}
        self._queues: dict[str, Pool] = {}
        self._housekeeping = Pool(workers=1, name="twin-functions-housekeeping")
        self._housekeeping.submit(self._keep_house, delay=IDLE_SECONDS)

    def invoke(self, function: LambdaFunction, payload: bytes, client_context: str | None = None) -> Execution:
        """Run the function and wait for it (``RequestResponse``).

        Raises
        ------
        PayloadTooLarge, PayloadNotJson
            Lambda refuses the payload.
        Throttled
            The reserved concurrency is in use.
        UnsupportedFunction
            The twin cannot run it.
        """
        _check(payload, SYNCHRONOUS_LIMIT_BYTES)
        return self._run(function, str(uuid.uuid4()), payload or b"{}", client_context)

    def queue(self, function: LambdaFunction, payload: bytes) -> str:
        """Run the function later (``Event``), with Lambda's retries and destinations; the id of the request."""
        _check(payload, ASYNCHRONOUS_LIMIT_BYTES)
        definitions.read_definition(function)
        request_id = str(uuid.uuid4())
        self._submit(function, Attempt(request_id, payload or b"{}", self._clock.now()))
        return request_id

    def wait_idle(self, name: str, timeout: float) -> bool:
        """Wait until every queued event of a function has been handled or given up; False after `timeout` seconds."""
        with self._lock:
            queue = self._queues.get(name)
        return queue is None or queue.wait_idle(timeout)

    def stop(self) -> None:
        """Kill every instance and forget what is queued."""
        with self._lock:
            pools, queues = list(self._pools.values()), list(self._queues.values())
        self._housekeeping.stop()
        for pool in pools:
            pool.close()
        for queue in queues:
            queue.stop()
        self._api.close()

    def _run(self, function: LambdaFunction, request_id: str, payload: bytes, client_context: str | None) -> Execution:
        definition = definitions.read_definition(function)
        pool = self._pool(function)
        reserved = function.reserved_concurrency
        pool.enter(None if reserved is None else int(reserved))
        try:
            return execute(pool, definition, request_id, payload, client_context)
        finally:
            pool.leave()

    def _submit(self, function: LambdaFunction, attempt: Attempt, aws_delay: float = 0.0) -> None:
        name = function.function_name
        with self._lock:
            queue = self._queues.setdefault(name, Pool(INSTANCES_A_FUNCTION, f"twin-functions-queue-{name}"))
        queue.submit(lambda: self._attempt(function, attempt.waited(aws_delay)), self._clock.real(aws_delay))

    def _attempt(self, function: LambdaFunction, attempt: Attempt) -> None:
        """Try a queued event once, and do what follows from it."""
        definition, settings = definitions.read_definition(function), Settings.from_function(function)
        sender = Sender(definition.arn, definition.version, definition.role_arn)
        if function.reserved_concurrency is not None and int(function.reserved_concurrency) == 0:
            # It is not kept until the function may run again ("Capturing records of Lambda asynchronous invocations").
            destinations.report_failure(sender, settings, attempt, None, "ZeroReservedConcurrency")
            return
        if attempt.age_seconds(self._clock) > settings.max_age_seconds:
            destinations.report_failure(sender, settings, attempt, None, "EventAgeExceeded")
            return
        try:
            execution = self._run(function, attempt.request_id, attempt.payload, None)
        except Closed:
            return
        except (Throttled, OSError) as error:  # OSError: no memory, disk or process left to start it
            _logger.warning("%s could not be run and will be later: %s", definition.name, error)
            self._submit(function, attempt.throttled(), retries.throttled_delay_seconds(attempt))
            return
        attempt = attempt.executed()
        delay = retries.failed_delay_seconds(attempt, settings)
        if not execution.outcome.failed:
            destinations.report_success(sender, settings, attempt, execution)
        elif delay is None:
            destinations.report_failure(sender, settings, attempt, execution, "RetriesExhausted")
        else:
            self._submit(function, attempt, delay)

    def _pool(self, function: LambdaFunction) -> InstancePool:
        with self._lock:
            return self._pools.setdefault(
                function.function_name, InstancePool(self._start_instance, INSTANCES_A_FUNCTION)
            )

    def _start_instance(self, definition: Definition) -> Instance:
        stream = LogStream(definition, allowed=self._may_log(definition))
        stream.say(init_start_line(definition.runtime))
        keys = credentials.role_credentials(definition.role_arn)
        environment = {
            **sandbox.environment(definition, stream.name),
            **keys,
            "AWS_ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"],
            "AWS_ENDPOINT_URL": credentials.endpoint(),
            **dict(definition.environment),
        }
        return Instance(definition, self._api, environment, stream)

    def _keep_house(self) -> None:
        """Give back the memory of instances that a burst, or a function since deleted, has left behind."""
        with self._lock:
            pools = list(self._pools.items())
        deployed = {function.function_name for function in _functions()}
        for name, pool in pools:
            pool.retire(IDLE_SECONDS, keep=_KEPT_WARM if name in deployed else 0)
        self._housekeeping.submit(self._keep_house, delay=IDLE_SECONDS)


def _functions() -> list[LambdaFunction]:
    return list(lambda_backends[credentials.account()][credentials.region()].list_functions())


def _check(payload: bytes, limit_bytes: int) -> None:
    if len(payload) > limit_bytes:
        raise PayloadTooLarge(f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation")
    try:
        json.loads(payload or b"{}")
    except ValueError as error:
        raise PayloadNotJson(f"Could not parse request body into json: {error}") from error
