"""The side of every other member: connects to the leader, beats, and does what the leader says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from analysis.lines import Message, messages, say
from analysis.outcomes import ExitReason
from spotline.exits import ExitCode

if TYPE_CHECKING:
    from analysis.config import Settings
    from analysis.membership import Member
    from analysis.supervisor import Supervisor

_RETRY_SECONDS = 0.2


class Follower:
    """A member that is not the leader."""

    def __init__(self, settings: Settings, member: Member, supervisor: Supervisor) -> None:
        self._settings = settings
        self._member = member
        self._supervisor = supervisor
        self._writer: asyncio.StreamWriter | None = None
        self._heard = 0.0
        self._following: asyncio.Task[None] | None = None
        self._accepted = False
        self._told_the_end = False

    async def open(self, address: str) -> int | None:  # noqa: ARG002  nobody connects to a follower
        """Nothing to listen on."""
        return None

    def on_leader(self, record: dict[str, Any]) -> None:
        """A record was found: connect, at the address that Batch gave, if it gave one.

        A first record may be what a leader before this one left, so a newer one replaces it until there is a connection.
        """
        if self._accepted:
            return
        if self._following is not None:
            self._following.cancel()
        address = self._member.leader_address or record["address"]
        self._following = asyncio.create_task(self._follow(address, record["port"]))

    def on_ready(self) -> None:
        """Tell the leader that this member's workers are ready, as soon as there is a connection."""
        if self._writer is not None and self._supervisor.ready:
            say(self._writer, {"ready": 1})

    def on_done(self) -> None:
        """Tell the leader that this member's workers have finished; the leader says when the gang has."""
        self._say({"done": 1})

    def noticed(self, reason: str) -> None:
        """Tell the leader that this member must leave soon."""
        self._say({"notice": reason})

    def give_up(self, reason: str) -> None:
        """The limit for forming is over: have the leader end the gang, who knows who is missing, unless there is none."""
        if self._accepted:
            self._say({"overdue": reason})
            return
        silent = "the leader was not found" if self._writer is None else "the leader did not answer"
        self._supervisor.conclude(ExitReason(ExitCode.GANG_NOT_FORMED, f"{reason}: {silent}"))

    def tick(self, now: float) -> None:
        """Beat, and look whether the leader still does."""
        self._say({"beat": {"stalled": self._supervisor.stalled}})
        if self._accepted and now - self._heard > self._settings.gang_silence_seconds:
            self._supervisor.conclude(
                ExitReason.lost(f"the leader was lost: nothing heard for {now - self._heard:.0f} s")
            )

    async def close(self, exit_reason: ExitReason) -> None:
        """Tell the leader, unless it was the leader who said so."""
        if self._writer is None:
            return
        if not self._told_the_end:
            self._say({"leaving": exit_reason.to_message()})
        self._writer.close()

    def _say(self, message: Message) -> None:
        if self._writer is not None:
            say(self._writer, message)

    async def _follow(self, address: str, port: int) -> None:
        reader, writer = await self._connect(address, port)
        try:
            self._writer = writer
            self._say(
                {
                    "hello": {
                        "job_id": self._member.job_id,
                        "generation": self._settings.generation,
                        "member": self._member.index,
                        "size": self._member.size,
                    }
                }
            )
            self.on_ready()
            async for message in messages(reader):
                self._heard = asyncio.get_running_loop().time()
                self._obey(message)
            if self._accepted:
                self._supervisor.conclude(ExitReason.lost("the leader was lost: its connection closed"))
        finally:
            if not self._accepted:
                writer.close()
                self._writer = None

    async def _connect(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Keep trying: how long is the forming limit's business."""
        while True:
            try:
                async with asyncio.timeout(self._settings.gang_silence_seconds):
                    return await asyncio.open_connection(address, port)
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)

    def _obey(self, message: Message) -> None:
        if "refused" in message:
            self._supervisor.log("refused", reason=message["refused"])
            return
        self._accepted = True
        if "formed" in message:
            address, port = message["formed"]
            self._supervisor.formed((address, port))
        elif "stop" in message:
            self._supervisor.stop(message["stop"])
        elif "end" in message:
            self._told_the_end = True
            self._supervisor.conclude(ExitReason(**message["end"]))
