"""The role of every other member: it connects to the leader, sends heartbeats, and follows the leader's messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from analysis.outcomes import ExitReason
from analysis.protocol import Message, read_messages, send
from spotline.exits import ExitCode

if TYPE_CHECKING:
    from analysis.membership import Member
    from analysis.roles import MemberControl
    from analysis.settings import Settings

_RETRY_SECONDS = 0.2


class Follower:
    """A member that is not the leader."""

    def __init__(self, settings: Settings, member: Member, control: MemberControl) -> None:
        self._settings = settings
        self._member = member
        self._control = control
        self._writer: asyncio.StreamWriter | None = None
        self._last_message = 0.0
        self._following: asyncio.Task[None] | None = None
        self._accepted = False
        self._ended_by_leader = False

    async def open(self, address: str) -> int | None:  # noqa: ARG002  nobody connects to a follower
        """Nothing to listen on."""
        return None

    def on_leader(self, record: dict[str, Any]) -> None:
        """Connect to the leader, at the address that Batch gave, if it gave one, or else at the record's.

        A first record may be what a leader before this one left, so a newer one replaces it until there is a connection.
        """
        if self._accepted:
            return
        if self._following is not None:
            self._following.cancel()
        address = self._member.leader_address or record["address"]
        self._following = asyncio.create_task(self._follow(address, record["port"]))

    def on_ready(self) -> None:
        """Report to the leader that this member's workers are ready, as soon as there is a connection."""
        if self._writer is not None and self._control.ready:
            send(self._writer, {"ready": 1})

    def on_done(self) -> None:
        """Report to the leader that this member's workers have finished; the leader decides when the gang has."""
        self._send({"done": 1})

    def on_notice(self, reason: str) -> None:
        """Report to the leader that this member must leave soon."""
        self._send({"notice": reason})

    def give_up(self, reason: str) -> None:
        """End the gang: through the leader, which can list the missing members, unless there is none."""
        if self._accepted:
            self._send({"overdue": reason})
            return
        missing = "the leader was not found" if self._writer is None else "the leader did not answer"
        self._control.conclude(ExitReason(ExitCode.GANG_NOT_FORMED, f"{reason}: {missing}"))

    def tick(self, now: float) -> None:
        """Send a heartbeat, and check the leader's."""
        self._send({"heartbeat": {"stalled": self._control.stalled}})
        silent = now - self._last_message
        if self._accepted and silent > self._settings.gang_silence_seconds:
            self._control.conclude(ExitReason.lost(f"the leader was lost: no heartbeat for {silent:.0f} s"))

    async def close(self, exit_reason: ExitReason) -> None:
        """Send the leader the exit reason, unless it came from there, and disconnect."""
        if self._writer is None:
            return
        if not self._ended_by_leader:
            self._send({"leaving": exit_reason.to_message()})
        self._writer.close()

    def _send(self, message: Message) -> None:
        if self._writer is not None:
            send(self._writer, message)

    async def _follow(self, address: str, port: int) -> None:
        reader, writer = await self._connect(address, port)
        try:
            self._writer = writer
            self._send(
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
            async for message in read_messages(reader):
                self._last_message = asyncio.get_running_loop().time()
                self._on_message(message)
            if self._accepted:
                self._control.conclude(ExitReason.lost("the leader was lost: its connection closed"))
        finally:
            if not self._accepted:
                writer.close()
                self._writer = None

    async def _connect(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Try until it works: the limit for forming the gang ends the attempts."""
        while True:
            try:
                async with asyncio.timeout(self._settings.gang_silence_seconds):
                    return await asyncio.open_connection(address, port)
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)

    def _on_message(self, message: Message) -> None:
        if "refused" in message:
            self._control.log("refused", reason=message["refused"])
            return
        self._accepted = True
        if "formed" in message:
            address, port = message["formed"]
            self._control.on_formed((address, port))
        elif "stop" in message:
            self._control.stop(message["stop"])
        elif "end" in message:
            self._ended_by_leader = True
            self._control.conclude(ExitReason(**message["end"]))
