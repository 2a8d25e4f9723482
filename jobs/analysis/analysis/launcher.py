"""The gang on one machine: members as processes on the loopback address, with the environment of a Batch array job."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

from analysis import hardware
from analysis.checkpoints import Pointer
from analysis.outcomes import AnalysisError
from spotline.exits import ExitCode
from spotline.layout import MANIFEST, POINTER, rendezvous_key
from spotline.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEMBER = (sys.executable, "-m", "analysis")


def launch(source: Path, output: Path, members: int, environ: Mapping[str, str] = os.environ) -> int:
    """Analyse what preprocess left in `source`; returns the gang's exit code.

    Raises
    ------
    SettingsError
        When the folder holds no clean manifest, or the number of members makes no gang.
    """
    if members < 1:
        raise SettingsError(f"--members {members}: a gang has at least one member")
    for name in ("manifest.json", "contract.json"):
        if not (source / name).is_file():
            raise SettingsError(f"{source / name} is missing: --input is the folder that preprocess wrote")
    output.mkdir(parents=True, exist_ok=True)
    # A repeated command replaces what the last one left: nothing there may look finished while its parts are written over.
    (output / MANIFEST).unlink(missing_ok=True)
    shared = _build_environment(source.resolve(), output.resolve(), members, environ)
    with contextlib.ExitStack() as stack:
        processes = []
        for index in range(members):
            process = subprocess.Popen(
                MEMBER, env={**shared, **_build_array_variables(index, members)}, start_new_session=True
            )
            stack.callback(_kill, process)
            processes.append(process)
        stack.enter_context(_forward_signals(processes))
        codes = [process.wait() for process in processes]
    (output / rendezvous_key(shared["AWS_BATCH_JOB_ID"])).unlink(missing_ok=True)
    return _choose_exit_code(codes)


def _build_environment(source: Path, output: Path, members: int, environ: Mapping[str, str]) -> dict[str, str]:
    return {
        **environ,
        "AWS_BATCH_JOB_ID": f"local-{uuid.uuid4().hex[:12]}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ANALYSIS_INPUT": str(source),
        "ANALYSIS_OUTPUT": str(output),
        "MEMBER_ADDRESS": "127.0.0.1",
        "GENERATION": str(_read_last_generation(output) + 1),
        "LOG_FORMAT": environ.get("LOG_FORMAT", "text"),
        "WORKER_THREADS": environ.get("WORKER_THREADS", str(max(1, hardware.count_cores() // members))),
        "WORKERS_PER_MEMBER": "1",
    }


def _build_array_variables(index: int, members: int) -> dict[str, str]:
    """The variables of an array's child; an array has at least two, so a single member has none."""
    if members == 1:
        return {}
    return {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ARRAY_SIZE": str(members)}


def _read_last_generation(output: Path) -> int:
    """The generation that last held this folder's checkpoint: each start on a command line is a newer one."""
    try:
        return Pointer.from_json((output / POINTER).read_bytes()).generation
    except (FileNotFoundError, AnalysisError):
        return 0


@contextlib.contextmanager
def _forward_signals(processes: list[subprocess.Popen[bytes]]):  # type: ignore[no-untyped-def]
    """Ctrl-C and SIGTERM reach the members, who save what they can and leave."""

    def forward(*_: object) -> None:
        for process in processes:
            if process.poll() is None:
                process.terminate()

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _choose_exit_code(codes: list[int]) -> int:
    """One code for the gang: what all agree on, else the failure that another gang would not fix."""
    failures = [code for code in codes if code != ExitCode.DONE]
    if not failures:
        return ExitCode.DONE
    own = [code for code in failures if code > 0 and code != ExitCode.TRY_AGAIN]
    return own[0] if own else ExitCode.TRY_AGAIN


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
