"""What can go wrong with the twin itself, shown in one clear line instead of a traceback."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from cli.journey import NoOutcome
from cli.project import UnusableInput
from twin import DeploymentError, PortTaken

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def exit_in_one_line() -> Iterator[None]:
    """End the command with exit code 1 and one line for the errors that a user can fix."""
    try:
        yield
    except (DeploymentError, NoOutcome, PortTaken, UnusableInput) as error:
        sys.exit(f"spotline: {error}")
