"""The supervisor: the member's main process, which starts its workers, watches them and its peers, and decides how the member ends.

It holds no data and imports no engine, so that it stays small and answers at once whatever its workers are busy with.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from typing import TYPE_CHECKING, Any

from analysis.follower import Follower
from analysis.hardware import count_gpus, require_efa
from analysis.instance import InstanceMetadata, Notice, find_own_address, wait_for_spot_notice, write_notice
from analysis.leader import Leader
from analysis.log import Log
from analysis.membership import Formation, Member
from analysis.outcomes import ExitReason
from analysis.progress import WorkerProgress
from analysis.protocol import Phase
from analysis.settings import load_settings
from analysis.worker_process import WorkerProcess, describe_status, kill_workers, start_worker
from spotline.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.protocol import Message
    from analysis.roles import Role
    from analysis.settings import Settings

# How long a member that leaves waits until its notice is written to S3.
_NOTICE_WRITE_SECONDS = 10


class Supervisor:
    """One member of a gang."""

    def __init__(self, settings: Settings, member: Member, environ: Mapping[str, str], log: Log) -> None:
        self._settings = settings
        self._member = member
        self._environ = environ
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._exit_reason: asyncio.Future[ExitReason] = self._loop.create_future()
        self._began = self._loop.time()
        self._workers: list[WorkerProcess] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._notice_writes: set[asyncio.Task[Any]] = set()
        self._per_member = settings.workers_per_member or count_gpus() or 1
        self._formed = False
        self._role: Role = (Leader if member.leads else Follower)(settings, member, self)

    # What the leader or the follower may ask of its supervisor: `roles.MemberControl`.

    @property
    def per_member(self) -> int:
        """Workers of each member."""
        return self._per_member

    @property
    def log(self) -> Log:
        """The log whose lines carry this member's number."""
        return self._log

    @property
    def ready(self) -> bool:
        """Whether every worker of this member has what it needs to join the others."""
        return bool(self._workers) and all(worker.ready for worker in self._workers)

    @property
    def done(self) -> bool:
        """Whether every worker of this member has finished."""
        return bool(self._workers) and all(
            worker.exit_reason is not None and worker.exit_reason.code == ExitCode.DONE for worker in self._workers
        )

    @property
    def stalled(self) -> bool:
        """Whether no worker of this member makes progress."""
        now = self._loop.time()
        return all(worker.progress.is_stalled(now) for worker in self._workers)

    @property
    def position(self) -> tuple[int, int]:
        """The last round that was trained, and the last that was saved, as far as this member's workers have reported."""
        return (
            max((worker.round for worker in self._workers), default=0),
            max((worker.checkpoint for worker in self._workers), default=0),
        )

    def on_formed(self, tracker: tuple[str, int]) -> None:
        """All members are connected: let the workers join each other."""
        self._formed = True
        self._log("formed", members=self._member.size, seconds=round(self._loop.time() - self._began, 2))
        for worker in self._workers:
            worker.send({"tracker": tracker})

    def stop(self, reason: str) -> None:
        """Leave at the next boundary."""
        self._log("stopping", reason=reason)
        for worker in self._workers:
            worker.send({"stop": reason})

    def conclude(self, exit_reason: ExitReason) -> None:
        """Set how this member ends, unless that is set already."""
        if not self._exit_reason.done():
            self._exit_reason.set_result(exit_reason)

    async def run(self) -> int:
        """Run as a member until its end; returns the exit code."""
        self._loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        scratch = tempfile.mkdtemp(prefix="spotline-member-")
        try:
            self._run_in_background(self._start(scratch))
            exit_reason = await self._exit_reason
            await self._leave(exit_reason)
            return exit_reason.code
        finally:
            for task in self._background:
                task.cancel()
            # A worker that still writes would leave a file in the folder that is being removed.
            await kill_workers(self._workers)
            shutil.rmtree(scratch, ignore_errors=True)

    async def _start(self, scratch: str) -> None:
        address = self._settings.member_address or await asyncio.to_thread(
            find_own_address, self._member, self._environ
        )
        announced = await self._role.open(address)
        environ = {**self._environ, "TMPDIR": scratch, "WORKERS_PER_MEMBER": str(self._per_member)}
        if announced is not None:
            environ["LEADER_ENDPOINT"] = f"{address}:{announced}"
        for local in range(self._per_member):
            rank = self._member.index * self._per_member + local
            worker = await start_worker(rank, WorkerProgress(self._settings, self._loop.time()), environ)
            self._workers.append(worker)
            self._run_in_background(self._watch_worker(worker))
        self._run_in_background(self._tick())
        instance = InstanceMetadata.discover(self._environ)
        if instance is not None and self._member.formation is not Formation.ALONE:
            self._run_in_background(self._wait_for_notice(instance))

    async def _watch_worker(self, worker: WorkerProcess) -> None:
        status = await worker.listen(self._on_message)
        if worker.exit_reason is None:
            self.conclude(ExitReason.lost(f"worker {worker.rank} {describe_status(status)}"))

    def _on_message(self, worker: WorkerProcess, message: Message) -> None:
        now = self._loop.time()
        worker.progress.on_message(now)
        if "heartbeat" in message:
            worker.progress.on_heartbeat(message["heartbeat"]["cpu_seconds"], now)
        if "batch" in message or "round" in message:
            worker.progress.on_step(now)
        if "phase" in message:
            worker.progress.on_phase(Phase(message["phase"]), now)
        worker.round = message.get("round", worker.round)
        worker.checkpoint = message.get("checkpoint", worker.checkpoint)
        if "ready" in message:
            worker.ready = True
            self._role.on_ready()
        if "leader" in message:
            self._role.on_leader(message["leader"])
        if "end" in message:
            self._on_end(worker, ExitReason(**message["end"]), engine=message["engine"])

    def _on_end(self, worker: WorkerProcess, exit_reason: ExitReason, *, engine: bool) -> None:
        worker.exit_reason = exit_reason
        if exit_reason.code == ExitCode.DONE:
            if self.done:
                self._role.on_done()
        elif engine:
            # The engine fails in every member that loses a peer. Wait for the supervisor that finds out which peer was lost.
            self._log("engine failed", reason=exit_reason.reason)
            self._loop.call_later(self._settings.gang_silence_seconds, self.conclude, exit_reason)
        else:
            self.conclude(exit_reason)

    async def _tick(self) -> None:
        while True:
            now = self._loop.time()
            for worker in self._workers:
                if worker.exit_reason is None:
                    self._check_worker(worker, now)
            if not self._formed and now - self._began > self._settings.gang_forming_seconds:
                self._role.give_up(f"the gang did not form within {self._settings.gang_forming_seconds:g} s")
            self._role.tick(now)
            await asyncio.sleep(self._settings.gang_beat_seconds)

    def _check_worker(self, worker: WorkerProcess, now: float) -> None:
        progress = worker.progress
        if progress.is_frozen(now):
            silent = progress.count_silent_seconds(now)
            self.conclude(ExitReason.lost(f"worker {worker.rank} is frozen: no heartbeat for {silent:.0f} s"))
        elif self._formed and progress.is_stalled_alone(now):
            idle = progress.count_idle_seconds(now)
            self.conclude(
                ExitReason.lost(f"worker {worker.rank} stalled in {progress.phase}: no progress for {idle:.0f} s")
            )

    async def _wait_for_notice(self, instance: InstanceMetadata) -> None:
        notice = await wait_for_spot_notice(instance, self._settings.notice_poll_seconds)
        self._on_notice(Notice("spot", notice), self._settings.notice_leave_seconds)

    def _on_sigterm(self) -> None:
        self._on_notice(Notice("sigterm", {}), self._settings.sigterm_leave_seconds)

    def _on_notice(self, notice: Notice, leave_within: float) -> None:
        """The instance goes away soon: write the notice to S3, save what can be saved, leave."""
        self._log("notice", kind=notice.kind, leave_within_seconds=leave_within, **notice.details)
        self._notice_writes.add(
            asyncio.create_task(asyncio.to_thread(write_notice, self._settings, self._member, notice))
        )
        reason = f"member {self._member.index} got a {notice.kind} notice"
        if not self._formed:
            self.conclude(ExitReason.lost(reason))
            return
        self._role.on_notice(reason)
        self._loop.call_later(leave_within, self.conclude, ExitReason.lost(f"{reason} and left at its deadline"))

    async def _leave(self, exit_reason: ExitReason) -> None:
        round_, checkpoint = self.position
        if exit_reason.code == ExitCode.DONE:
            self._log("done", seconds=round(self._loop.time() - self._began, 2))
        else:
            self._log(
                "leaving",
                code=int(exit_reason.code),
                reason=exit_reason.reason,
                round=round_,
                checkpoint=checkpoint,
                rounds_to_redo=round_ - checkpoint if self._member.leads else None,
                seconds=round(self._loop.time() - self._began, 2),
            )
        for worker in self._workers:
            worker.kill()
        await self._role.close(exit_reason)
        if self._notice_writes:
            await asyncio.wait(self._notice_writes, timeout=_NOTICE_WRITE_SECONDS)

    def _run_in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._on_background_end)

    def _on_background_end(self, task: asyncio.Task[Any]) -> None:
        """A background task that fails ends the member: nothing may go on unwatched."""
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._exit_reason.done():
            self._exit_reason.set_exception(error)


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Run as the member that the environment names; returns the exit code."""
    member = Member.discover(environ)
    settings = load_settings(environ)
    require_efa(environ)
    log = Log(settings.log_format, {"generation": settings.generation, "member": member.index})

    async def run_member() -> int:
        return await Supervisor(settings, member, environ, log).run()

    return asyncio.run(run_member())
