"""What the caller of a twin decides; the deployed template knows nothing of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twin.images import refuse_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.compute.jobs import Job
    from twin.faults import Fault
    from twin.images import ResolveImage


def do_nothing(_job: Job) -> None:
    """Leave nothing behind in the place of a job."""


@dataclass(frozen=True)
class TwinOptions:
    """How a twin behaves.

    Parameters
    ----------
    port
        The port of 127.0.0.1 to listen on; 0 takes any free one.
    time_scale
        Seconds of AWS per second here, for every wait that AWS would make (see `twin.clock.Clock`).
    enforce_iam
        Refuse what the caller's role does not allow.
    resolve_image
        Finds the program that stands in for a container image (see `twin.images`); every image is refused by default.
    jobs
        ``real`` runs the program of each Batch job; ``noop`` ends each at once with exit code 0, to measure the rest.
    stand_in
        Called in the place of each job's program where `jobs` is ``noop``, to leave what later steps need.
    duplicate_events, drop_events
        Probabilities that the delivery of an event is repeated or lost, as at-least-once and best-effort delivery allow.
    delay_events
        Longest delay of a delivery, in seconds of AWS.
    faults
        Shares of the API calls of deployed roles that are throttled, fail, or are done and not answered (see `twin.faults`).
    seed
        Makes these faults repeatable.
    """

    port: int = 0
    time_scale: float = 1.0
    enforce_iam: bool = True
    resolve_image: ResolveImage = refuse_image
    jobs: Literal["real", "noop"] = "real"
    stand_in: Callable[[Job], None] = do_nothing
    duplicate_events: float = 0.0
    drop_events: float = 0.0
    delay_events: float = 0.0
    faults: tuple[Fault, ...] = ()
    seed: int = 0
