"""A member's workers, the processes that hold data and engine, as their supervisor handles them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.protocol import Message, encode, read_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analysis.outcomes import ExitReason
    from analysis.progress import WorkerProgress

WORKER = (sys.executable, "-m", "analysis.worker")
_KILLED_SECONDS = 5


@dataclass
class WorkerProcess:
    """One worker process.

    It reads messages on its standard input, which closes when its supervisor is gone, and writes messages to the pipe named by
    `SUPERVISOR_PIPE`. `exit_reason` is its last message; `ready`, `round` and `checkpoint` are what it reported of its work.
    """

    rank: int
    process: asyncio.subprocess.Process
    pipe: asyncio.StreamReader
    progress: WorkerProgress
    exit_reason: ExitReason | None = None
    ready: bool = False
    round: int = 0
    checkpoint: int = 0

    def send(self, message: Message) -> None:
        """Send one message to the worker, if it still runs."""
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(encode(message))

    def kill(self) -> None:
        """End the worker at once, even if it is stopped."""
        if self.process.returncode is None:
            self.process.kill()

    async def listen(self, on_message: Callable[[WorkerProcess, Message], None]) -> int:
        """Pass on every message until the worker has left; returns its exit status (negative: the signal)."""
        async for message in read_messages(self.pipe):
            on_message(self, message)
        return await self.process.wait()


async def start_worker(
    rank: int, progress: WorkerProgress, environ: Mapping[str, str], command: Sequence[str] = WORKER
) -> WorkerProcess:
    """Start one worker with the pipe for its messages."""
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            env={**environ, "SUPERVISOR_PIPE": str(writing), "WORKER_RANK": str(rank)},
            pass_fds=(writing,),
        )
    finally:
        os.close(writing)
    pipe = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(pipe), os.fdopen(reading, "rb", 0)
    )
    return WorkerProcess(rank, process, pipe, progress)


async def kill_workers(workers: Sequence[WorkerProcess]) -> None:
    """Kill the workers and wait until they are gone, which takes moments unless one hangs in the kernel."""
    for worker in workers:
        worker.kill()
    gone = [asyncio.ensure_future(worker.process.wait()) for worker in workers]
    if gone:
        await asyncio.wait(gone, timeout=_KILLED_SECONDS)


def describe_status(status: int) -> str:
    """What an exit status of a worker means to a person."""
    if status >= 0:
        return f"left with exit code {status}"
    name = signal.Signals(-status).name
    return f"was killed by {name}{' (perhaps memory ran out)' if -status == signal.SIGKILL else ''}"
