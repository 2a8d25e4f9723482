"""What the tests of the twin share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clouds.iam import deny, iam_account
from clouds.steps import steps_cloud
from twin import Twin, TwinOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clouds.iam import Account
    from clouds.steps import StepsCloud


@pytest.fixture(scope="session")
def small_template() -> Path:
    """A template with a resource of each type that the twin models, and the artefacts beside it."""
    return Path(__file__).parent / "projects" / "small" / "template.yaml"


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    """An empty twin in which a minute takes a second and jobs end at once, for all tests of a module."""
    with Twin(TwinOptions(time_scale=60, jobs="noop")) as running:
        yield running


@pytest.fixture(scope="module")
def steps() -> Iterator[StepsCloud]:
    """Step Functions, EventBridge and Scheduler, a hundred times as fast as on AWS, for all tests of a module."""
    with steps_cloud(scale=100) as running:
        yield running


@pytest.fixture
def cloud(steps: StepsCloud) -> StepsCloud:
    """The module's Step Functions and what surrounds them, without anything of the test before.

    A module about another service has a fixture of this name of its own.
    """
    steps.clear()
    return steps


@pytest.fixture(scope="module")
def enforcing_account() -> Iterator[Account]:
    """An account in which IAM is enforced, for all tests of a module."""
    with iam_account() as account:
        yield account


@pytest.fixture
def account(enforcing_account: Account) -> Account:
    """The module's account in which IAM is enforced; its role may do nothing until the test grants it something."""
    enforcing_account.grant(deny("nothing:AtAll"))
    return enforcing_account
