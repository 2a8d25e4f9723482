"""IAM, enforced: every request to the twin is authenticated, and authorised with the policies that are deployed.

The twin's own work is done by its administrator, who passes always. Functions, jobs and executions call with their
role's credentials and pass only where its policies let them.

Modelled: identity policies, permissions boundaries, session policies, trust policies, policies of buckets, queues, topics,
functions and secrets, conditions on what a request says, PassRole. Not modelled, and therefore refused where a policy
rests on it: conditions on tags of resources, but for Batch's, and on the services' own keys, but for S3's. Sessions do not
expire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.iam import gate, principals
from twin.iam.gate import Exercise
from twin.iam.policies import Ask, Decision
from twin.patches import iam as patches

if TYPE_CHECKING:
    from twin.clock import Clock

__all__ = [
    "Ask",
    "Decision",
    "Exercise",
    "exercised",
    "install",
    "role_may",
    "service_may",
    "service_may_assume",
    "stop",
]


def install(options: Any, _clock: Clock | None = None) -> None:
    """Stand before moto's server; without ``enforce_iam`` only moto's own mistakes are corrected."""
    gate.exercised.clear()
    patches.install(guard=gate.guard if options.enforce_iam else None)


def stop() -> None:
    """There is nothing to stop: the twin takes patches back itself."""


def exercised() -> frozenset[Exercise]:
    """What roles and users have used of what their policies allow, since the twin started."""
    return frozenset(gate.exercised)


def role_may(role_arn: str, ask: Ask) -> Decision:
    """Whether a role has a permission that a service needs in its name, such as Lambda to write a function's log."""
    return gate.decide(principals.find_role(role_arn), ask)


def service_may(service: str, source_arn: str, ask: Ask) -> Decision:
    """Whether a resource's policy lets a service in: ``events.amazonaws.com`` for a rule to a queue or function."""
    return gate.decide(principals.service(service, source_arn), ask)


def service_may_assume(service: str, role_arn: str, source_arn: str) -> Decision:
    """Whether a role trusts a service, such as ``ecs-tasks.amazonaws.com`` for a job, that acts for `source_arn`."""
    return service_may(service, source_arn, Ask("sts:AssumeRole", role_arn))
