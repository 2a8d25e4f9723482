"""Members of a command under test: started as Batch starts them, with metadata services of their own, disturbed, and waited for."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Gang:
    """What one gang is started with."""

    command: Sequence[str]
    source: Path
    output: Path
    members: int = 2
    generation: int = 1
    multi_node: bool = False
    forming_seconds: float = 60

    @property
    def job_id(self) -> str:
        """Every generation is a job of its own."""
        return f"conformance-{self.generation}"

    def build_environment(self, index: int, instance: MetadataService) -> dict[str, str]:
        """The variables of one member."""
        shared = {
            **os.environ,
            "GENERATION": str(self.generation),
            "GANG_FORMING_SECONDS": str(self.forming_seconds),
            "ANALYSIS_INPUT": str(self.source),
            "ANALYSIS_OUTPUT": str(self.output),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url,
            "ECS_CONTAINER_METADATA_URI_V4": f"{instance.url}/v4/task",
        }
        if not self.multi_node:
            return {
                **shared,
                "AWS_BATCH_JOB_ID": f"{self.job_id}:{index}",
                "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
                "AWS_BATCH_JOB_ARRAY_SIZE": str(self.members),
            }
        main = {"AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": "127.0.0.1"} if index else {}
        return {
            **shared,
            **main,
            "AWS_BATCH_JOB_ID": f"{self.job_id}#{index}",
            "AWS_BATCH_JOB_NODE_INDEX": str(index),
            "AWS_BATCH_JOB_NUM_NODES": str(self.members),
            "AWS_BATCH_JOB_MAIN_NODE_INDEX": "0",
        }


class RunningMembers:
    """The members that run; each leads a process group, so that a signal reaches all that it started."""

    def __init__(self, gang: Gang, instance: MetadataService, indices: Sequence[int]) -> None:
        self.gang = gang
        self.instance = instance
        self.processes = {
            index: subprocess.Popen(
                gang.command,
                env=gang.build_environment(index, instance),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            for index in indices
        }

    def send(self, index: int, number: signal.Signals, *, group: bool = True) -> None:
        """Send a signal to a member: as the kernel would to all of it, or as Batch does to its first process."""
        with contextlib.suppress(ProcessLookupError):
            if group:
                _signal_tree(self.processes[index].pid, number)
            else:
                self.processes[index].send_signal(number)

    def wait_for_codes(self, seconds: float, without: int | None = None) -> dict[int, int | None]:
        """The members' exit codes, None for those that have not left in time."""
        deadline = time.monotonic() + seconds
        codes: dict[int, int | None] = {}
        for index, process in self.processes.items():
            if index != without:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                codes[index] = process.returncode
        return codes

    def wait_for(self, path: Path, seconds: float) -> bool:
        """Whether a file appeared in time, while the members ran."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(process.poll() is None for process in self.processes.values()):
            if path.exists():
                return True
            time.sleep(0.002)
        return path.exists()

    def end(self) -> None:
        """Kill every member that still runs."""
        for index, process in self.processes.items():
            self.send(index, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def run_members(gang: Gang, indices: Sequence[int] | None = None) -> Iterator[RunningMembers]:
    """A gang, or some of its members, with instance metadata that gives 127.0.0.1."""
    with serve_metadata() as instance:
        instance.items["local-ipv4"] = "127.0.0.1"
        instance.items["/v4/task"] = json.dumps({"Networks": [{"IPv4Addresses": ["127.0.0.1"]}]})
        members = RunningMembers(gang, instance, range(gang.members) if indices is None else indices)
        try:
            yield members
        finally:
            members.end()


class MetadataService(http.server.ThreadingHTTPServer):
    """IMDSv2 and ECS's task metadata, with what the test puts into `items`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.items: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: MetadataService

    def do_PUT(self) -> None:
        lifetime = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self._answer("the-token" if lifetime else None)

    def do_GET(self) -> None:
        ecs = self.path.startswith("/v4/")
        allowed = ecs or self.headers.get("X-aws-ec2-metadata-token") == "the-token"
        self._answer(self.server.items.get(self.path.removeprefix("/latest/meta-data/")) if allowed else None)

    def _answer(self, body: str | None) -> None:
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, _format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serve_metadata() -> Iterator[MetadataService]:
    """A service that answers until the end of the block."""
    with MetadataService() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _signal_tree(pid: int, number: signal.Signals) -> None:
    """Signal a process and all below it; first the children, which a dead parent would no longer name."""
    children: Mapping[int, list[int]] = _list_children()
    todo, found = [pid], []
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    for one in reversed(found):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


def _list_children() -> Mapping[int, list[int]]:
    """Every process's children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    found: dict[int, list[int]] = {}
    for line in listed.splitlines():
        pid, parent = map(int, line.split())
        found.setdefault(parent, []).append(pid)
    return found
