"""moto's CloudFormation: what the twin corrects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from moto.cloudformation import models
from moto.cloudformation.exceptions import ValidationError
from moto.iam.policy_validation import BaseIAMPolicyValidator

from twin import patches
from twin.deployment.hosting import HostedStack

if TYPE_CHECKING:
    from collections.abc import Callable


def engine_instead_of_parser() -> None:
    """Stacks are brought about by the twin's engine.

    moto skips a resource whose type it does not know, drops properties that its creators do not read (a bucket's
    EventBridge notifications, a job definition's nodes), leaves unknown intrinsic functions such as Fn::Cidr in place,
    runs no transform, checks no parameter constraint and no rule: all of it without an error.
    """
    patches.replace(models, "Stack", lambda _: HostedStack)


def no_change_sets() -> None:
    """A change set is refused: moto would hand it to the parser that the engine has replaced."""
    reason = "the twin takes no change sets: use CreateStack or UpdateStack, or `twin up`, which deploys by itself"
    patches.replace(models.CloudFormationBackend, "create_change_set", lambda _: _refuse(reason))


def no_deletion() -> None:
    """A stack is not deleted: moto takes it off its list first and then fails on resources that the engine made."""
    reason = "the twin does not delete stacks: end the twin, and all of it is gone"
    patches.replace(models.CloudFormationBackend, "delete_stack", lambda _: _refuse(reason))


def policies_without_version() -> None:
    """A policy may leave out its Version, which then is 2008-10-17: IAM's user guide, "IAM JSON policy elements: Version".

    SAM's policy templates (LambdaInvokePolicy, DynamoDBCrudPolicy…) have none; moto refuses such a policy.
    """
    patches.replace(BaseIAMPolicyValidator, "_validate_version", lambda _: lambda _validator: None)


def install() -> None:
    """Apply every patch of this module."""
    engine_instead_of_parser()
    no_change_sets()
    no_deletion()
    policies_without_version()


def _refuse(reason: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise ValidationError(message=reason)

    return refuse
