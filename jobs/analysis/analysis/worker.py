"""The worker process: holds its share of the rows, trains with the others, scores its share.

Everything heavy is imported here, while the supervisors already connect to each other.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING

from analysis.log import Log
from analysis.membership import Member, Rendezvous, announce_leader, find_leader
from analysis.outcomes import PROGRAM_FAILED, AnalysisError, ExitReason, FencedOff, Stopped
from analysis.protocol import SupervisorLink
from analysis.settings import load_settings, open_storage
from spotline.documents import DocumentError
from spotline.exits import ExitCode
from spotline.objects import ObjectMissing
from spotline.settings import SettingsError

if TYPE_CHECKING:
    from analysis.settings import Settings, Storage

# How often a member searches for the leader's record, and for a newer one until the gang has formed, in seconds.
_SEARCH_SECONDS = 0.1
_SEARCH_AGAIN_SECONDS = 2.0


def main() -> None:
    """Run one worker and leave with its exit code, without the engine's destructors, which may hang or crash."""
    sys.meta_path.insert(0, _WithoutPandas())
    settings = load_settings()
    member = Member.discover(os.environ)
    rank = int(os.environ["WORKER_RANK"])
    link = SupervisorLink.start(os.environ, settings.gang_beat_seconds)
    log = Log(settings.log_format, {"generation": settings.generation, "member": member.index})
    warnings.showwarning = lambda message, *_: log("warning", text=" ".join(str(message).split()))
    exit_reason, engine = _work(settings, member, rank, link, log)
    link.send_exit_reason(exit_reason, engine=engine)
    if exit_reason.code == ExitCode.DONE:
        # Peers may still be reading from this process's sockets: all workers stay until the gang as a whole is done.
        threading.Event().wait()
    sys.stdout.flush()
    os._exit(exit_reason.code)


def _work(settings: Settings, member: Member, rank: int, link: SupervisorLink, log: Log) -> tuple[ExitReason, bool]:
    """The work, with every error turned into the exit reason that it means; the flag marks errors of the collective."""
    storage = open_storage(settings, member.job_id)
    if rank % max(1, _count_workers(settings)) == 0:
        threading.Thread(target=_meet_leader, args=(settings, member, storage, link), daemon=True).start()
    from xgboost.core import XGBoostError  # noqa: PLC0415  seconds of imports, after the thread above has begun its search

    from analysis.job import Job  # noqa: PLC0415

    try:
        Job(settings, member, rank, _count_workers(settings), storage, link, log).run()
    except Stopped:
        return ExitReason.lost("left at a boundary, as asked"), False
    except FencedOff as fenced:
        return ExitReason.lost(f"fenced off: {fenced}"), False
    except (SettingsError, ObjectMissing, DocumentError) as error:
        return ExitReason(ExitCode.BAD_CONFIGURATION, _describe(error)), False
    except AnalysisError as error:
        return ExitReason(PROGRAM_FAILED, str(error)), False
    except XGBoostError as error:
        message = " ".join(str(error).partition("Stack trace")[0].split())
        return ExitReason.lost(f"the engine raised: {message[:500]}"), True
    except Exception as error:  # noqa: BLE001  whatever it is, the other members must get it
        import traceback  # noqa: PLC0415  only now

        log("error", rank=rank, traceback=traceback.format_exc())
        return ExitReason(PROGRAM_FAILED, _describe(error)), False
    return ExitReason.done(), False


def _meet_leader(settings: Settings, member: Member, storage: Storage, link: SupervisorLink) -> None:
    """Bring the leader and this member together through the record in the run's results."""
    if member.size == 1:
        return
    if member.leads:
        address, _, port = os.environ["LEADER_ENDPOINT"].rpartition(":")
        announce_leader(storage.results, Rendezvous(member.job_id, settings.generation, address, int(port)))
        return
    found = None
    while link.tracker.empty():
        record = find_leader(storage.results, member.job_id, settings.generation)
        if record is not None and record != found:
            found = record
            link.send(leader=asdict(record))
        time.sleep(_SEARCH_SECONDS if found is None else _SEARCH_AGAIN_SECONDS)


class _WithoutPandas:
    """Where pandas happens to be installed, pyarrow imports it, for a second and 60 MB, though no frame comes near it."""

    def find_spec(self, name: str, *_: object) -> None:
        """Leave every other module to the finders after this one."""
        if name == "pandas":
            raise ModuleNotFoundError(f"{name} is not used here", name=name)


def _count_workers(settings: Settings) -> int:
    return settings.workers_per_member or 1


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
