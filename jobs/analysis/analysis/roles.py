"""The roles of a gang's members, leader and follower, as types: what a supervisor asks of its role, and a role of its supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.outcomes import ExitReason


class Role(Protocol):
    """What a supervisor asks of its role, which connects it to the other members."""

    async def open(self, address: str) -> int | None:
        """Start to connect; returns the port to announce to the others, if there is one."""

    def on_ready(self) -> None:
        """A worker of this member got ready to join the others."""

    def on_leader(self, record: dict[str, Any]) -> None:
        """A worker found the leader's record."""

    def on_done(self) -> None:
        """All workers of this member have finished."""

    def on_notice(self, reason: str) -> None:
        """Handle a notice: this member must leave soon."""

    def give_up(self, reason: str) -> None:
        """The limit for forming the gang is over."""

    def tick(self, now: float) -> None:
        """Send heartbeats, and check those of the others."""

    async def close(self, exit_reason: ExitReason) -> None:
        """Report how this member leaves, and close every connection."""


class MemberControl(Protocol):
    """What a role asks of its own member's supervisor."""

    @property
    def per_member(self) -> int:
        """Workers of each member."""

    @property
    def log(self) -> Callable[..., None]:
        """Write a log line that carries this member's number."""

    @property
    def ready(self) -> bool:
        """Whether every worker of this member has what it needs to join the others."""

    @property
    def done(self) -> bool:
        """Whether every worker of this member has finished."""

    @property
    def stalled(self) -> bool:
        """Whether no worker of this member makes progress."""

    def on_formed(self, tracker: tuple[str, int]) -> None:
        """All members are connected: let the workers join each other."""

    def stop(self, reason: str) -> None:
        """Leave at the next boundary."""

    def conclude(self, exit_reason: ExitReason) -> None:
        """Set how this member ends, unless that is set already."""
