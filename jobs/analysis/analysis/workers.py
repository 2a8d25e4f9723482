"""A member's workers: the processes that hold data and engine, as their supervisor sees them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.lines import Message, encode, messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analysis.outcomes import ExitReason
    from analysis.watch import Watch

WORKER = (sys.executable, "-m", "analysis.worker")
_KILLED_SECONDS = 5


@dataclass
class Worker:
    """One worker process.

    It reads messages on its standard input, whose end tells it that its supervisor is gone, and writes messages to the pipe
    named by `BEATS`. `exit_reason` is what it said before it left; `ready`, `round` and `checkpoint` are what it reported of
    its work.
    """

    rank: int
    process: asyncio.subprocess.Process
    beats: asyncio.StreamReader
    watch: Watch
    exit_reason: ExitReason | None = None
    ready: bool = False
    round: int = 0
    checkpoint: int = 0

    def send(self, message: Message) -> None:
        """Say something to the worker; one that is gone does not hear it."""
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(encode(message))

    def kill(self) -> None:
        """End the worker at once, stopped or not."""
        if self.process.returncode is None:
            self.process.kill()

    async def listen(self, heard: Callable[[Worker, Message], None]) -> int:
        """Pass every message on until the worker has left; returns its exit status (negative: the signal)."""
        async for message in messages(self.beats):
            heard(self, message)
        return await self.process.wait()


async def spawn(rank: int, watch: Watch, environ: Mapping[str, str], command: Sequence[str] = WORKER) -> Worker:
    """Start one worker with the pipe for its beats."""
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            env={**environ, "BEATS": str(writing), "WORKER_RANK": str(rank)},
            pass_fds=(writing,),
        )
    finally:
        os.close(writing)
    beats = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(beats), os.fdopen(reading, "rb", 0)
    )
    return Worker(rank, process, beats, watch)


async def end_all(workers: Sequence[Worker]) -> None:
    """Kill the workers and wait until they are gone, which takes moments unless one hangs in the kernel."""
    for worker in workers:
        worker.kill()
    gone = [asyncio.ensure_future(worker.process.wait()) for worker in workers]
    if gone:
        await asyncio.wait(gone, timeout=_KILLED_SECONDS)


def status_in_words(status: int) -> str:
    """What an exit status of a worker means to a person."""
    if status >= 0:
        return f"left with exit code {status}"
    name = signal.Signals(-status).name
    return f"was killed by {name}{' (perhaps memory ran out)' if -status == signal.SIGKILL else ''}"
