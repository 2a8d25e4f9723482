"""Deploying a template, with the artefacts beside it, into the twin."""

from __future__ import annotations

from twin.deployment.errors import (
    DeploymentError,
    NotModelled,
    ParameterError,
    ResourceFailed,
    RuleViolated,
    TemplateError,
)
from twin.deployment.resource import Accepted, Resource
from twin.deployment.stack import Stack, deploy

__all__ = [
    "Accepted",
    "DeploymentError",
    "NotModelled",
    "ParameterError",
    "Resource",
    "ResourceFailed",
    "RuleViolated",
    "Stack",
    "TemplateError",
    "deploy",
]
