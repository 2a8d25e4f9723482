"""Permissions of EventBridge, EventBridge Scheduler, SQS and SNS.

Source: their pages "Actions, resources, and condition keys for ..." (Service Authorization Reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.iam.permissions.roles import pass_role
from twin.iam.policies import Ask

if TYPE_CHECKING:
    from twin.iam.requests import Call

_BATCHED = ("SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "PublishBatch")


def sqs(call: Call) -> list[Ask]:
    """A queue's operations; those on a batch of messages have the action of the single one."""
    if call.operation == "ListQueues":
        return [Ask("sqs:ListQueues")]
    name = call.parameters.get("QueueName") or str(call.parameters.get("QueueUrl", "")).rsplit("/", 1)[-1]
    return [Ask(f"sqs:{_single(call.operation)}", call.arn(name))]


def sns(call: Call) -> list[Ask]:
    """A topic's operations."""
    parameters = call.parameters
    if (name := parameters.get("Name")) and call.operation != "CreatePlatformApplication":
        return [Ask(f"sns:{call.operation}", call.arn(name))]
    arn = next(
        (parameters[key] for key in ("TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn") if parameters.get(key)),
        "*",
    )
    # A subscription's ARN is its topic's with an id behind it; the topic is the resource.
    return [Ask(f"sns:{_single(call.operation)}", ":".join(arn.split(":")[:6]))]


def events(call: Call) -> list[Ask]:
    """Rules and buses, and the roles that rules hand to EventBridge."""
    parameters, operation = call.parameters, call.operation
    if operation == "PutEvents":
        buses = {entry.get("EventBusName") or "default" for entry in parameters.get("Entries", [])}
        return [Ask("events:PutEvents", _bus(call, bus)) for bus in sorted(buses)]
    if "ResourceARN" in parameters:
        return [Ask(f"events:{operation}", parameters["ResourceARN"])]
    if rule := parameters.get("Rule") or ("Name" in parameters and "Rule" in operation and parameters["Name"]):
        roles = [parameters.get("RoleArn"), *(target.get("RoleArn") for target in _dicts(parameters.get("Targets")))]
        asks = [Ask(f"events:{operation}", _rule(call, rule, parameters.get("EventBusName") or "default"))]
        return asks + [pass_role(role, "events.amazonaws.com") for role in roles if role]
    if "EventBus" in operation and parameters.get("Name"):
        return [Ask(f"events:{operation}", _bus(call, parameters["Name"]))]
    return [Ask(f"events:{operation}")]


def scheduler(call: Call) -> list[Ask]:
    """Schedules and their groups, and the role that a schedule passes to EventBridge Scheduler."""
    parameters, operation = call.parameters, call.operation
    if "ResourceArn" in parameters:
        return [Ask(f"scheduler:{operation}", parameters["ResourceArn"])]
    if "Name" not in parameters:
        return [Ask(f"scheduler:{operation}")]
    if "ScheduleGroup" in operation:
        return [Ask(f"scheduler:{operation}", call.arn(f"schedule-group/{parameters['Name']}"))]
    group = parameters.get("GroupName") or parameters.get("groupName") or "default"
    role = (parameters.get("Target") or {}).get("RoleArn")
    passed = [pass_role(role, "scheduler.amazonaws.com")] if role else []
    return [Ask(f"scheduler:{operation}", call.arn(f"schedule/{group}/{parameters['Name']}")), *passed]


def _single(operation: str) -> str:
    return operation.removesuffix("Batch") if operation in _BATCHED else operation


def _bus(call: Call, bus: str) -> str:
    return bus if bus.startswith("arn:") else call.arn(f"event-bus/{bus}")


def _rule(call: Call, rule: str, bus: str) -> str:
    name = bus.rsplit("/", 1)[-1]
    return call.arn(f"rule/{rule}" if name == "default" else f"rule/{name}/{rule}")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value or [] if isinstance(item, dict)]
