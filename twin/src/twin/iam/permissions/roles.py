"""Handing a role to a service needs a permission on the role: ``iam:PassRole``.

Source: "Grant a user permissions to pass a role to an AWS service" (IAM user guide).
"""

from __future__ import annotations

from twin import credentials
from twin.iam.policies import Ask


def pass_role(role: str, service: str) -> Ask:
    """The permission to hand a role, by ARN or name, to a service such as ``batch.amazonaws.com``."""
    arn = role if role.startswith("arn:") else f"arn:aws:iam::{credentials.account()}:role/{role}"
    return Ask("iam:PassRole", arn, {"iam:passedtoservice": (service,)})
