"""What a rule rests on, so that none rests on memory or on a note of our own.

AWS's machine-readable data comes first, then AWS's pages, then live reports. Where two of AWS's sources differ, a rule satisfies the
stricter reading of both and names both. A rule that AWS does not set is a choice of this project and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tests.template.system import System


@dataclass(frozen=True)
class Data:
    """Data that AWS publishes for machines, read by the rule itself: the package that ships it, and what is read from it."""

    package: str
    what: str


@dataclass(frozen=True)
class Model:
    """Words of AWS's API reference, as botocore ships it: the service, the shape with its member or the operation, and what stands there."""

    service: str
    where: str
    says: str


@dataclass(frozen=True)
class Page:
    """A page of AWS's documentation: the guide, the page's title, and its address."""

    guide: str
    title: str
    url: str


@dataclass(frozen=True)
class Report:
    """What somebody saw in a real account: the address of the public issue, and what it shows."""

    url: str
    shows: str


@dataclass(frozen=True)
class Choice:
    """A rule that this project sets itself, with the reason. AWS would accept a template that breaks it."""

    reason: str


Source = Data | Model | Page | Report | Choice

_Rule = TypeVar("_Rule", bound=Callable[["System"], Iterator[str]])

SOURCES: dict[str, tuple[Source, ...]] = {}


def rests_on(*sources: Source) -> Callable[[_Rule], _Rule]:
    """Record the sources of a rule."""

    def record(rule: _Rule) -> _Rule:
        SOURCES[rule.__name__] = sources
        return rule

    return record
