"""Whether EventBridge or Scheduler may call a target: by the target's own policy, or by the role that the target names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twin import iam
from twin.events.targets import Undeliverable

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any

# Logs have resource policies of their own kind, which the twin does not model; Step Functions and Batch need a role.
_ACTIONS = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish"}
_ROLE_NEEDED = ("states", "batch")


def authorise(target: Mapping[str, Json], service: str, source_arn: str) -> None:
    """Let a delivery pass, or say what is missing ("Using resource-based policies" in the EventBridge user guide).

    Parameters
    ----------
    service
        ``events.amazonaws.com`` or ``scheduler.amazonaws.com``.
    source_arn
        The rule or schedule, which the target's policy may name.

    Raises
    ------
    Undeliverable
        Not to be tried again, as AWS does not try again what it has no permission for.
    """
    arn, role = target["Arn"], target.get("RoleArn")
    kind = arn.split(":")[2]
    if role:
        # What the role itself may do is decided where it calls.
        ask, decision = iam.Ask("sts:AssumeRole", role), iam.service_may_assume(service, role, source_arn)
    elif kind in _ACTIONS:
        ask = iam.Ask(_ACTIONS[kind], arn)
        decision = iam.service_may(service, source_arn, ask)
    elif kind in _ROLE_NEEDED:
        raise Undeliverable("NO_PERMISSIONS", f"a {kind} target needs a RoleArn: {arn}", retriable=False)
    else:
        return
    if not decision.allowed:
        missing = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": ask.action,
            "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
        }
        message = f"{service} may not {ask.action} on {ask.resource}; missing in its policy: {json.dumps(missing)}"
        raise Undeliverable("NO_PERMISSIONS", message, retriable=False)


def anybody(_target: Mapping[str, Json], _service: str, _source_arn: str) -> None:
    """Let every delivery pass: IAM is not enforced."""
