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
        The things, each with its logical id and type where it has one.
    """

    def __init__(self, *what: str) -> None:
        if len(what) == 1:
            message = f"the twin does not model {what[0]}: deploy to AWS to use it, or teach twin.deployment about it"
        else:
            listed = "".join(f"\n  {item}" for item in what)
            message = (
                f"the twin does not model{listed}\nDeploy to AWS to use them, or teach twin.deployment about them."
            )
        super().__init__(message)


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
