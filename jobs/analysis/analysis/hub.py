"""The leader's connections: it accepts the members, reads their heartbeats and sends messages to all of them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.outcomes import ExitReason
from analysis.protocol import Message, read_messages, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.membership import Member

HELLO_SECONDS = 10


@dataclass
class _Peer:
    writer: asyncio.StreamWriter
    serving: asyncio.Task[None]
    last_message: float
    stalled: bool = False
    done: bool = False


class Hub:
    """The members that the leader is connected to.

    `on_message` gets a member's messages except its heartbeats; `conclude` gets the exit reason when a member is lost.
    """

    def __init__(
        self,
        member: Member,
        generation: int,
        heartbeat_timeout: float,
        on_message: Callable[[int, Message], None],
        conclude: Callable[[ExitReason], None],
    ) -> None:
        self._member = member
        self._generation = generation
        self._heartbeat_timeout = heartbeat_timeout
        self._on_message = on_message
        self._conclude = conclude
        self._peers: dict[int, _Peer] = {}
        self._server: asyncio.Server | None = None

    async def open(self, address: str) -> int:
        """Listen on the leader's address; returns the port, which the operating system chose."""
        self._server = await asyncio.start_server(self._serve, address, 0)
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def missing(self) -> list[int]:
        """The members that are not connected yet."""
        return [index for index in range(1, self._member.size) if index not in self._peers]

    @property
    def addresses(self) -> list[str]:
        """Where the connected members connect from."""
        return [str(peer.writer.get_extra_info("peername")[0]) for peer in self._peers.values()]

    @property
    def all_done(self) -> bool:
        """Whether every other member has finished its work."""
        return not self.missing and all(peer.done for peer in self._peers.values())

    @property
    def all_stalled(self) -> bool:
        """Whether no other member makes progress. In a gang of one, there is no other, and the leader alone decides."""
        return all(peer.stalled or peer.done for peer in self._peers.values())

    def broadcast(self, message: Message) -> None:
        """Send a message to every member."""
        for peer in self._peers.values():
            send(peer.writer, message)

    def tick(self, now: float) -> None:
        """Send a heartbeat to every member, and find members whose heartbeat timeout is over."""
        self.broadcast({"heartbeat": {}})
        for index, peer in self._peers.items():
            silent = now - peer.last_message
            if not peer.done and silent > self._heartbeat_timeout:
                self._conclude(ExitReason.lost(f"member {index} was lost: no heartbeat for {silent:.0f} s"))

    async def close(self, linger: float) -> None:
        """Let the members leave by themselves for a moment, then close every connection."""
        if self._server is not None:
            self._server.close()
        serving = [peer.serving for peer in self._peers.values()]
        if serving:
            await asyncio.wait(serving, timeout=linger)
        for peer in self._peers.values():
            peer.writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages = read_messages(reader)
        hello: Message = {}
        with contextlib.suppress(TimeoutError, StopAsyncIteration):
            async with asyncio.timeout(HELLO_SECONDS):
                hello = (await anext(messages)).get("hello", {})
        if objection := self._find_objection(hello):
            send(writer, {"refused": objection})
            writer.close()
            return
        index = hello["member"]
        serving = asyncio.current_task()
        assert serving is not None  # noqa: S101  a server's callback always runs in a task
        peer = self._peers[index] = _Peer(writer, serving, asyncio.get_running_loop().time())
        self._on_message(index, {"connected": True})
        with contextlib.suppress(asyncio.CancelledError):
            async for message in messages:
                peer.last_message = asyncio.get_running_loop().time()
                if "heartbeat" in message:
                    peer.stalled = message["heartbeat"]["stalled"]
                    continue
                peer.done = peer.done or "done" in message
                self._on_message(index, message)
        del self._peers[index]
        writer.close()
        self._on_message(index, {"closed": True})

    def _find_objection(self, hello: object) -> str | None:
        """Why this is no member of the gang, or None."""
        if not isinstance(hello, dict) or (hello.get("job_id"), hello.get("generation")) != (
            self._member.job_id,
            self._generation,
        ):
            return "this is the gang of another job or generation"
        index = hello.get("member")
        if not isinstance(index, int) or not 0 < index < self._member.size or hello.get("size") != self._member.size:
            return f"this gang has {self._member.size} members"
        if index in self._peers:
            return f"member {index} is here already"
        return None
