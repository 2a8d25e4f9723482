"""What came of one reconcile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spotline.runs import Market
    from spotline.strays import OurJob


@dataclass
class Seen:
    """The jobs and the number of runs it read, the gangs it launched, the markets in which it freed a slot, all it did, and what failed.

    `finished` names the gangs that it launched or closed: a listing that is older than that still says that they wait.
    """

    jobs: Sequence[OurJob] = ()
    runs: int = 0
    launched: list[Market] = field(default_factory=list)
    freed: set[Market] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
