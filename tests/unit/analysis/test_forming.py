"""A gang that does not form in time: whoever notices first, the leader reports who is missing. Both sides, without workers."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from analysis.follower import Follower
from analysis.leader import Leader
from analysis.membership import Formation, Member
from analysis.outcomes import ExitReason
from analysis.settings import Settings
from spotline.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine


SETTINGS = Settings(log_format="text", generation=1)
SIZE = 3
OVERDUE = "the gang did not form within 300 s"


@dataclass
class Host:
    """Stands in for the supervisor, and keeps what a side reports to it."""

    ready: bool = True
    stalled: bool = False
    done: bool = False
    per_member: int = 1
    logged: dict[str, dict[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exit_reason: asyncio.Future[ExitReason] = asyncio.get_running_loop().create_future()
        self.tracker: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()

    def log(self, event: str, **fields: object) -> None:
        self.logged[event] = fields

    def on_formed(self, tracker: tuple[str, int]) -> None:
        self.tracker.set_result(tracker)

    def stop(self, reason: str) -> None:
        raise AssertionError(reason)

    def conclude(self, exit_reason: ExitReason) -> None:
        if not self.exit_reason.done():
            self.exit_reason.set_result(exit_reason)


@dataclass
class Sides:
    """A leader that listens, and whoever follows it."""

    leader: Leader
    host: Host
    port: int
    followers: dict[int, tuple[Follower, Host]] = field(default_factory=dict)

    async def follow(self, index: int, *, ready: bool = True) -> tuple[Follower, Host]:
        """A member that has found the leader and was accepted."""
        host = Host(ready=ready)
        follower = Follower(SETTINGS, member(index), host)
        self.followers[index] = (follower, host)
        follower.on_leader({"address": "127.0.0.1", "port": self.port})
        await until(lambda: 0 < len(self.leader._hub._peers) == len(self.followers))
        self.leader.tick(0)  # a heartbeat is the first message that a follower gets
        await until(lambda: follower._accepted)
        return follower, host


def member(index: int) -> Member:
    return Member(index, SIZE, "job", Formation.ARRAY)


@contextlib.asynccontextmanager
async def sides(*, ready: bool = True) -> AsyncIterator[Sides]:
    host = Host(ready=ready)
    leader = Leader(SETTINGS, member(0), host)
    port = await leader.open("127.0.0.1")
    assert port is not None
    made = Sides(leader, host, port)
    try:
        yield made
    finally:
        for follower, theirs in made.followers.values():
            if theirs.exit_reason.done():
                await follower.close(theirs.exit_reason.result())
            elif follower._writer is not None:
                follower._writer.close()
        await leader.close(host.exit_reason.result())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  no event marks what the sides are at
        await asyncio.sleep(0.01)


def in_a_loop(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_the_leader_names_who_never_came() -> None:
    async def scene() -> None:
        async with sides() as gang:
            await gang.follow(1)
            gang.leader.give_up(OVERDUE)
            exit_reason = await gang.host.exit_reason
            assert (exit_reason.code, exit_reason.reason) == (ExitCode.GANG_NOT_FORMED, f"{OVERDUE}: missing members 2")

    in_a_loop(scene())


def test_a_follower_whose_limit_is_over_first_has_the_leader_give_the_reason() -> None:
    async def scene() -> None:
        async with sides() as gang:
            follower, host = await gang.follow(1)
            follower.give_up(OVERDUE)
            exit_reason = await gang.host.exit_reason
            assert (exit_reason.code, exit_reason.reason) == (ExitCode.GANG_NOT_FORMED, f"{OVERDUE}: missing members 2")
            closing = asyncio.create_task(gang.leader.close(exit_reason))
            assert await host.exit_reason == exit_reason, "all members have the same reason"
            await follower.close(exit_reason)
            await closing

    in_a_loop(scene())


def test_members_that_came_but_never_got_ready_are_listed_apart_from_missing_ones() -> None:
    async def scene() -> None:
        async with sides(ready=False) as gang:
            await gang.follow(1, ready=False)
            gang.leader.give_up(OVERDUE)
            exit_reason = await gang.host.exit_reason
            assert exit_reason.reason == f"{OVERDUE}: missing members 2; members that were not ready 0, 1"

    in_a_loop(scene())


def test_a_member_of_another_generation_is_not_let_in() -> None:
    async def scene() -> None:
        async with sides() as gang:
            host = Host()
            stranger = Follower(replace(SETTINGS, generation=2), member(1), host)
            stranger.on_leader({"address": "127.0.0.1", "port": gang.port})
            await until(lambda: "refused" in host.logged)
            assert host.logged["refused"] == {"reason": "this is the gang of another job or generation"}
            gang.leader.give_up(OVERDUE)
            assert (await gang.host.exit_reason).reason.endswith("missing members 1, 2")
            stranger.give_up(OVERDUE)
            assert (await host.exit_reason).code == ExitCode.GANG_NOT_FORMED

    in_a_loop(scene())


def test_a_follower_without_a_leader_gives_up_by_itself() -> None:
    async def scene() -> None:
        host = Host()
        Follower(SETTINGS, member(1), host).give_up(OVERDUE)
        exit_reason = await host.exit_reason
        assert (exit_reason.code, exit_reason.reason) == (
            ExitCode.GANG_NOT_FORMED,
            f"{OVERDUE}: the leader was not found",
        )

    in_a_loop(scene())


def test_a_limit_that_passes_while_the_gang_forms_ends_nothing() -> None:
    """The message that the limit is over and the message that the gang has formed cross on their way."""

    async def scene() -> None:
        async with sides() as gang:
            follower, host = await gang.follow(1)
            await gang.follow(2)
            await gang.host.tracker
            follower.give_up(OVERDUE)
            await host.tracker
            follower.on_done()
            await until(lambda: gang.leader._hub._peers[1].done)  # the message before it has arrived, too
            assert not gang.host.exit_reason.done()
            gang.host.conclude(ExitReason.done())

    in_a_loop(scene())
