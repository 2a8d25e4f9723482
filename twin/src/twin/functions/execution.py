"""One invocation of a function from borrowed instance to REPORT line."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twin.functions import logs
from twin.functions.instance import INIT_LIMIT_SECONDS, Instance, Outcome
from twin.functions.runtime_api import Invocation

if TYPE_CHECKING:
    from twin.functions.definition import Definition
    from twin.functions.pool import InstancePool


@dataclass(frozen=True)
class Execution:
    """A finished invocation: what came of it, and the end of its log."""

    request_id: str
    outcome: Outcome
    log_tail: bytes


def execute(
    pool: InstancePool, definition: Definition, request_id: str, payload: bytes, client_context: str | None = None
) -> Execution:
    """Run the handler on an instance of the pool and log what Lambda logs about it.

    An initialisation that fails is repeated once within the invocation, then under the function's own time limit.
    Source: "Understanding the Lambda execution environment lifecycle", section "Failures during the Init phase".
    """
    ready = _ready_instance(pool, definition, request_id)
    instance = ready.instance
    try:
        instance.stream.say(logs.start_line(request_id, definition.version))
        started = time.monotonic()
        outcome = ready.failure or instance.invoke(
            _invocation(definition, request_id, payload, client_context), definition.timeout_seconds
        )
        milliseconds = ready.failed_milliseconds if ready.failure else _milliseconds_since(started)
        _log_end(instance, request_id, outcome, milliseconds, ready.init_milliseconds)
        tail = instance.stream.tail()
        instance.settle()
    finally:
        pool.give_back(instance)
    return Execution(request_id, outcome, tail)


@dataclass(frozen=True)
class _Ready:
    """An instance for an invocation: warm, freshly initialised, or (with the failure) not to be initialised."""

    instance: Instance
    init_milliseconds: float | None = None
    failure: Outcome | None = None
    failed_milliseconds: float = 0.0


def _ready_instance(pool: InstancePool, definition: Definition, request_id: str) -> _Ready:
    first = _initialised(pool, definition, request_id, "init", INIT_LIMIT_SECONDS)
    if first.failure is None:
        return first
    pool.give_back(first.instance)
    return _initialised(pool, definition, request_id, "invoke", float(definition.timeout_seconds))


def _initialised(
    pool: InstancePool, definition: Definition, request_id: str, phase: str, limit_seconds: float
) -> _Ready:
    instance, warm = pool.borrow(definition)
    instance.stream.forget_tail()
    if warm:
        return _Ready(instance)
    started = time.monotonic()
    failure = instance.initialise(request_id, limit_seconds)
    milliseconds = _milliseconds_since(started)
    if failure is None:
        return _Ready(instance, init_milliseconds=milliseconds)
    instance.stream.say(logs.init_report_line(milliseconds, phase, failure.status, failure.error_type))
    return _Ready(instance, failure=failure, failed_milliseconds=milliseconds)


def _invocation(definition: Definition, request_id: str, payload: bytes, client_context: str | None) -> Invocation:
    return Invocation(
        request_id=request_id,
        payload=payload,
        deadline_epoch_ms=int((time.time() + definition.timeout_seconds) * 1000),
        function_arn=definition.arn,
        trace_id=f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0",
        client_context=client_context,
    )


def _log_end(
    instance: Instance, request_id: str, outcome: Outcome, milliseconds: float, init_milliseconds: float | None
) -> None:
    definition = instance.definition
    if outcome.status == "timeout":
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        instance.stream.say(f"{now} {request_id} Task timed out after {definition.timeout_seconds:.2f} seconds\n")
    instance.stream.say(logs.end_line(request_id))
    instance.stream.say(
        logs.report_line(
            request_id,
            milliseconds=milliseconds,
            init_milliseconds=init_milliseconds,
            memory_mib=definition.memory_mib,
            used_mib=instance.peak_memory_mib(),
            status=outcome.status,
            error_type=outcome.error_type if outcome.status == "error" else "",
        )
    )


def _milliseconds_since(started: float) -> float:
    return (time.monotonic() - started) * 1000
