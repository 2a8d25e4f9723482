"""Spotline on a twin: its images, its template, and a Slack that listens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cli.noop import leave_manifest
from cli.project import JOBS, LAYER, STACK_NAME, TEMPLATE
from twin import FolderImages, Twin, TwinOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cli.slack import SlackWebhook
    from twin import Stack
    from twin.compute.jobs import Job
    from twin.images import ResolveImage


IMAGES = FolderImages(JOBS, python_path=(LAYER,))
"""This checkout's ``jobs/<name>`` stands in for the image ``…/spotline-<name>``."""


def make_twin(
    options: TwinOptions | None = None,
    *,
    resolve_image: ResolveImage = IMAGES,
    stand_in: Callable[[Job], None] = leave_manifest,
) -> Twin:
    """Make a twin in which this checkout's folders stand in for the images, and manifests for jobs that do nothing.

    Parameters
    ----------
    options
        How the twin behaves.
    resolve_image
        Finds the program that stands in for an image.
    stand_in
        Called in the place of each job's program where the options say ``jobs="noop"``.
    """
    return Twin(replace(options or TwinOptions(), resolve_image=resolve_image, stand_in=stand_in))


def deploy(twin: Twin, slack: SlackWebhook, parameters: Mapping[str, str] | None = None) -> Stack:
    """Deploy the template, and let it post to `slack`."""
    stack = twin.deploy(TEMPLATE, stack_name=STACK_NAME, parameters=parameters)
    secret = stack.outputs["SlackWebhookSecret"]
    twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
    return stack
