"""What the tests of the twin share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from twin import Twin, TwinOptions

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def small_template() -> Path:
    """A template with a resource of each type that the twin models, and the artefacts beside it."""
    return Path(__file__).parent / "projects" / "small" / "template.yaml"


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    """An empty twin in which a minute takes a second and jobs end at once, for all tests of a module."""
    with Twin(TwinOptions(time_scale=60, jobs="noop")) as running:
        yield running
