"""AWS Batch as it behaves: jobs wait for capacity, run as processes on instances, are reclaimed and tried again.

moto keeps the queues, environments and job definitions; what happens to jobs is this package's. `install` lets moto's
API reach it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends

from twin import credentials, guardian
from twin.compute.control import Control
from twin.compute.scheduler import Market
from twin.compute.service import JobService
from twin.compute.services import MotoLogs, Services
from twin.compute.spot import CannotReclaim
from twin.compute.spot import reclaim as _reclaim
from twin.events import emit
from twin.patches import batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.clock import Clock
    from twin.options import TwinOptions

__all__ = ["CannotReclaim", "Market", "install", "on_job_change", "reclaim", "set_capacity", "stop"]

_control: Control | None = None


def install(options: TwinOptions, clock: Clock) -> None:
    """Let moto's Batch API run jobs here, until `stop`."""
    global _control  # noqa: PLW0603  moto has one process-wide Batch, and so has the twin
    stop()
    stand_in = options.stand_in if options.jobs == "noop" else None
    _control = Control(_build_services(options, clock), stand_in=stand_in)
    batch.install(JobService(_control), _control.look_for_room)


def stop() -> None:
    """End every job's processes, and the threads that watch them."""
    global _control  # noqa: PLW0603  moto has one process-wide Batch, and so has the twin
    if _control is not None:
        _control.stop()
        _control = None


def reclaim(job_id: str, member: int | None = None, notice_seconds: float | None = None) -> str:
    """Take back the Spot instance that a job, or a member of an array job, runs on; returns the instance's id.

    Parameters
    ----------
    job_id
        A job, an array's parent, or one of its children (``<id>:3``).
    member
        The child of an array, from 0; the first that runs when None.
    notice_seconds
        Seconds of AWS between the notice in the instance's metadata and the end; 120 when None. With 0 there is no
        notice, and every process of the instance is dead when this returns.

    Raises
    ------
    CannotReclaim
        The job is unknown, does not run, or runs on capacity that AWS does not take back.
    """
    return _reclaim(_running(), job_id, member, notice_seconds)


def set_capacity(market: str, vcpus: float) -> None:
    """Let a market lend `vcpus` in all from now on; what is lent already stays.

    Parameters
    ----------
    market
        ``SPOT``, ``ON_DEMAND``, ``FARGATE`` or ``FARGATE_SPOT``, in any case, with ``-`` for ``_`` if you like.
    vcpus
        At least what runs now, or nothing more is placed; ``math.inf`` is how a twin begins.
    """
    control = _running()
    with control.lock:
        control.waiting.set_supply(Market(market.upper().replace("-", "_")), vcpus)
    control.look_for_room()


def on_job_change(callback: Callable[[dict[str, Any]], None]) -> None:
    """Call `callback` with a job's detail, as its event carries it, after each change of its status.

    Calls come in order, one at a time, from a thread of their own.
    """
    _running().announcer.listen(callback)


def _running() -> Control:
    if _control is None:
        raise credentials.NotConnected("no twin is running in this process: enter `with Twin(...)` first")
    return _control


def _build_services(options: TwinOptions, clock: Clock) -> Services:
    account, region = credentials.account(), credentials.region()

    def zone(subnet: str) -> str:
        return str(ec2_backends[account][region].get_subnet(subnet).availability_zone)

    return Services(
        account=account,
        region=region,
        clock=clock,
        endpoint=credentials.endpoint,
        credentials=credentials.role_credentials,
        spawn=guardian.spawn,
        emit=emit,
        logs=MotoLogs(account, region),
        zone=zone,
        resolve_image=options.resolve_image,
        scratch=guardian.scratch("jobs"),
    )
