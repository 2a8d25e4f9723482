"""The role of member 0: it brings the gang together, decides for the gang as a whole, and sends all members the exit reason."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from analysis.hub import Hub
from analysis.outcomes import ExitReason
from spotline.exits import ExitCode

if TYPE_CHECKING:
    from analysis.membership import Member
    from analysis.protocol import Message
    from analysis.roles import MemberControl
    from analysis.settings import Settings

TRACKER = (sys.executable, "-m", "analysis.tracker")
_LINGER_SECONDS = 3


class Leader:
    """Member 0."""

    def __init__(self, settings: Settings, member: Member, control: MemberControl) -> None:
        self._member = member
        self._control = control
        self._hub = Hub(member, settings.generation, settings.gang_silence_seconds, self._on_message, control.conclude)
        self._ready: set[int] = set()
        self._tracker_process: asyncio.subprocess.Process | None = None
        self._complete = False
        self._formed = False

    async def open(self, address: str) -> int | None:
        """Listen for the members, and start the tracker, which listens later; returns the port to announce."""
        port = await self._hub.open(address)
        workers = self._member.size * self._control.per_member
        process = self._tracker_process = await asyncio.create_subprocess_exec(
            *TRACKER, address, str(workers), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        if process.stdout is not None:
            self._waiting_for_tracker = asyncio.create_task(self._wait_for_tracker(address, process.stdout))
        self._form_if_complete()  # a gang of one may have been ready before
        return port

    async def _wait_for_tracker(self, address: str, stdout: asyncio.StreamReader) -> None:
        line = await stdout.readline()
        if not line:
            self._control.conclude(ExitReason.lost("the tracker did not start"))
            return
        self._formed = True
        tracker = (address, int(line))
        self._hub.broadcast({"formed": tracker})
        self._control.on_formed(tracker)

    def on_ready(self) -> None:
        """The leader's own workers are ready."""
        self._form_if_complete()

    def on_leader(self, record: dict[str, object]) -> None:
        """The leader connects to nobody."""

    def on_done(self) -> None:
        """The leader's own workers have finished: the analysis is published."""
        self._end_if_done()

    def on_notice(self, reason: str) -> None:
        """A member must leave soon: all stop at the next boundary."""
        self._hub.broadcast({"stop": reason})
        self._control.stop(reason)

    def give_up(self, reason: str) -> None:
        """End the gang: the limit for forming is over, here or at a connected member. The reason lists who is missing."""
        self._control.conclude(ExitReason(ExitCode.GANG_NOT_FORMED, f"{reason}: {self._describe_missing()}"))

    def tick(self, now: float) -> None:
        """Send and check heartbeats, and end a gang in which nobody makes progress."""
        self._hub.tick(now)
        if self._formed and self._control.stalled and self._hub.all_stalled:
            self._control.conclude(ExitReason.lost("the gang stalled: no member makes progress"))

    async def close(self, exit_reason: ExitReason) -> None:
        """Send every member the exit reason, and stop the tracker."""
        self._hub.broadcast({"end": exit_reason.to_message()})
        await self._hub.close(_LINGER_SECONDS)
        if self._tracker_process is not None and self._tracker_process.returncode is None:
            self._tracker_process.kill()
            await self._tracker_process.wait()

    def _describe_missing(self) -> str:
        """Which members are not there yet, in words."""
        missing = self._hub.missing
        ready = self._ready | ({0} if self._control.ready else set())
        unready = sorted(set(range(self._member.size)) - set(missing) - ready)
        absent = {"missing members": missing, "members that were not ready": unready}
        lists = [f"{what} {', '.join(map(str, members))}" for what, members in absent.items() if members]
        return "; ".join(lists) or "the tracker was not ready"

    def _on_message(self, index: int, message: Message) -> None:
        if "connected" in message:
            self._control.log("joined", peer=index, missing=len(self._hub.missing))
        elif "ready" in message:
            self._ready.add(index)
            self._form_if_complete()
        elif "overdue" in message:
            if not self._formed:
                self.give_up(message["overdue"])
        elif "notice" in message:
            self.on_notice(message["notice"])
        elif "leaving" in message:
            leaving = ExitReason(**message["leaving"])
            self._control.conclude(ExitReason(leaving.code, f"member {index}: {leaving.reason}"))
        elif "closed" in message:
            self._control.conclude(ExitReason.lost(f"member {index} was lost: its connection closed"))
        elif "done" in message:
            self._end_if_done()

    def _form_if_complete(self) -> None:
        complete = self._control.ready and len(self._ready) == self._member.size - 1
        process = self._tracker_process
        if complete and not self._complete and process is not None and process.stdin is not None:
            self._complete = True
            process.stdin.write(f"{json.dumps(self._hub.addresses)}\n".encode())

    def _end_if_done(self) -> None:
        if self._control.done and self._hub.all_done:
            self._control.conclude(ExitReason.done())
