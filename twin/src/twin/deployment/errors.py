"""What can be wrong with a template or its parameters, in one sentence each."""

from __future__ import annotations


class DeploymentError(Exception):
    """The template cannot be deployed."""


class TemplateError(DeploymentError):
    """The template is not one that CloudFormation takes."""


class ParameterError(DeploymentError):
    """A stack's parameters are missing, unknown or out of bounds."""


class RuleViolated(DeploymentError):
    """An assertion of the template's Rules section does not hold."""


class NotModelled(DeploymentError):
    """The template is good, but asks for something that the twin does not have.

    Parameters
    ----------
    what
        The thing, with its logical id and type where it has one.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"the twin does not model {what}: deploy to AWS to use it, or teach twin.deployment about it")


class ResourceFailed(DeploymentError):
    """A service refused to create or update a resource.

    Parameters
    ----------
    logical_id, kind
        The resource and its CloudFormation type.
    reason
        What the service said.
    """

    def __init__(self, logical_id: str, kind: str, reason: str) -> None:
        super().__init__(f"{logical_id} ({kind}): {reason}")
        self.logical_id = logical_id
        self.kind = kind
