"""Gangs on this machine under a test's control: started as Batch would start an array, watched by their log lines."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SABOTAGE = str(Path(__file__).parent / "sabotage")
"""Put on PYTHONPATH, makes one worker misbehave at one moment; see there."""

FASTER = {
    "GANG_BEAT_SECONDS": "0.2",
    "GANG_SILENCE_SECONDS": "8",
    "GANG_STUCK_SECONDS": "6",
    "GANG_FORMING_SECONDS": "100",
}
"""Limits at which a lost member is missed soon, and a busy machine is not yet taken for one."""


class Gang:
    """Members that were started; `events` grows as they write log lines."""

    def __init__(self, environments: list[dict[str, str]], prefixes: Sequence[tuple[str, ...]] | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.members = [
            psutil.Popen(
                [*prefix, sys.executable, "-m", "analysis"],
                env={**os.environ, **environ},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for prefix, environ in zip(prefixes or [()] * len(environments), environments, strict=True)
        ]
        self._readers = [threading.Thread(target=self._read, args=(index,)) for index in range(len(self.members))]
        for reader in self._readers:
            reader.start()

    def wait_for(self, event: str, seconds: float = 60, **fields: Any) -> dict[str, Any]:
        """The first line of this event with these fields."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.events:
                    if line["event"] == event and fields.items() <= line.items():
                        return line
                left = deadline - time.monotonic()
                assert left > 0, f"no {event} {fields} within {seconds} s, but\n{self.lines}"
                self._changed.wait(left)

    def of(self, event: str) -> list[dict[str, Any]]:
        """Every line of this event."""
        return [line for line in self.events if line["event"] == event]

    @property
    def lines(self) -> str:
        """All lines, for a person."""
        return "\n".join(json.dumps(line) for line in self.events)

    def worker(self, member: int) -> psutil.Process:
        """The worker process of a member that was seen to work."""
        for child in self.members[member].children():
            with contextlib.suppress(psutil.Error):
                if "analysis.worker" in child.cmdline():
                    return child
        raise LookupError(f"member {member} has no worker: {self.lines}")

    def codes(self, seconds: float = 90, *, without: int | None = None) -> list[int]:
        """The exit codes of all members, or all `without` one."""
        deadline = time.monotonic() + seconds
        codes = []
        for index, member in enumerate(self.members):
            if index == without:
                continue
            try:
                codes.append(member.wait(max(0.1, deadline - time.monotonic())))
            except psutil.TimeoutExpired:
                raise AssertionError(f"member {index} has not left:\n{self.lines}") from None
        if without is None:
            for reader in self._readers:
                reader.join()
        return codes

    def end(self) -> None:
        """Leave nothing behind, whatever became of the test."""
        for member in self.members:
            with contextlib.suppress(psutil.Error):
                for process in [*member.children(recursive=True), member]:
                    process.kill()
        for member in self.members:
            member.wait(10)
        for reader in self._readers:
            reader.join()

    def _read(self, index: int) -> None:
        for line in self.members[index].stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "text", "member": index, "text": line.decode(errors="replace").rstrip()}
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()


@contextlib.contextmanager
def gang(
    source: Path, output: Path, members: int = 2, *, generation: int = 1, job: str | None = None, **variables: str
) -> Iterator[Gang]:
    """A gang on local folders, with faster heartbeats; `variables` are more of them, in lower case."""
    extra = {name.upper(): value for name, value in variables.items()}
    started = Gang([environment(source, output, index, members, generation, job) | extra for index in range(members)])
    try:
        yield started
    finally:
        started.end()


def environment(
    source: Path, output: Path, index: int, members: int, generation: int, job: str | None
) -> dict[str, str]:
    """What one member of an array is given."""
    return {
        **FASTER,
        "AWS_BATCH_JOB_ID": f"{job or f'job-{generation}'}:{index}",
        "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
        "AWS_BATCH_JOB_ARRAY_SIZE": str(members),
        "AWS_EC2_METADATA_DISABLED": "true",
        "ANALYSIS_INPUT": str(source),
        "ANALYSIS_OUTPUT": str(output),
        "GENERATION": str(generation),
        "MEMBER_ADDRESS": "127.0.0.1",
        "WORKERS_PER_MEMBER": "1",
        "WORKER_THREADS": "1",
    }


def stop(process: psutil.Process) -> None:
    """Freeze a process as a stopped one."""
    process.send_signal(signal.SIGSTOP)


def digests(output: Path) -> Mapping[str, str]:
    """SHA-256 of what must be equal between runs: the model and every part."""
    found = [output / "model.ubj", *sorted(output.glob("parts/part-*"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
