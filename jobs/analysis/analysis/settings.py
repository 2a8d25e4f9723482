"""The settings of a gang: where the run's files lie, and how long anything may take."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from spotline import layout
from spotline.objects import Objects, open_objects
from spotline.settings import load as load_dataclass


@dataclass(frozen=True)
class Settings:
    """Everything that is configurable about a gang, from environment variables of the same names in upper case.

    On AWS the first group comes from the job definition and the submission. `analysis_input` and `analysis_output` stand
    in for it on the command line: two folders. All durations are in seconds.
    """

    run_id: str = ""
    generation: int = 0
    intermediate_bucket: str = ""
    results_bucket: str = ""
    analysis_input: str = ""
    analysis_output: str = ""

    log_format: str = "json"
    member_address: str = ""
    """This member's own address, where neither instance metadata nor ECS's gives the right one."""
    workers_per_member: int = 0
    """0: one for each GPU of the host, or one."""
    worker_threads: int = 0
    """0: the cores that this process may use, shared among the workers of the host."""

    gang_forming_seconds: float = 300
    """From a member's start until all are connected: a waiting GPU is paid for, so a gang that cannot form gives up early."""
    gang_beat_seconds: float = 1
    """From one heartbeat to the next."""
    gang_silence_seconds: float = 15
    """The heartbeat timeout: a member, or a worker, that sends nothing for so long is lost."""
    gang_stuck_seconds: float = 20
    gang_stuck_factor: float = 5
    """A worker has stalled after max(these seconds, this factor x its slowest batch or round of the phase) without progress."""
    gang_joining_seconds: float = 60
    gang_loading_seconds: float = 120
    gang_sketching_seconds: float = 120
    gang_scoring_seconds: float = 120
    gang_publishing_seconds: float = 120
    notice_poll_seconds: float = 5
    """AWS recommends to poll for a Spot notice every 5 seconds ("Spot Instance interruption notices", EC2 user guide)."""
    notice_leave_seconds: float = 90
    """What is left of the two minutes of a Spot notice for finishing the segment."""
    sigterm_leave_seconds: float = 20
    """ECS sends SIGKILL 30 s after SIGTERM ("ECS_CONTAINER_STOP_TIMEOUT", ECS developer guide)."""


@dataclass(frozen=True)
class Storage:
    """Where a gang reads and writes.

    `clean` holds the clean manifest, `contract` is the key of the contract in `run`, `results` is the analysis prefix and
    `own` the part of it that belongs to this job alone.
    """

    clean: Objects
    contract: Objects
    results: Objects
    own: str


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings and check that they contain where the run's files lie.

    Raises
    ------
    spotline.settings.SettingsError
        When a variable is malformed, or those that name the run are missing.
    """
    environ = os.environ if environ is None else environ
    loaded = load_dataclass(Settings, environ)
    if not (loaded.analysis_input and loaded.analysis_output):
        load_dataclass(_Cloud, environ)
    return loaded


@dataclass(frozen=True)
class _Cloud:
    """What must be set on AWS, so that what is missing is named all at once."""

    run_id: str
    generation: int
    intermediate_bucket: str
    results_bucket: str


def open_storage(settings: Settings, job_id: str) -> Storage:
    """Open the run's files: two folders on the command line, two buckets on AWS."""
    if settings.analysis_input:
        source = open_objects(settings.analysis_input)
        return Storage(clean=source, contract=source, results=open_objects(settings.analysis_output), own="")
    intermediate = open_objects(f"s3://{settings.intermediate_bucket}/")
    results = open_objects(f"s3://{settings.results_bucket}/{layout.analysis_prefix(settings.run_id)}")
    return Storage(
        clean=intermediate.at(layout.preprocess_prefix(settings.run_id)),
        contract=intermediate.at(layout.run_prefix(settings.run_id)),
        results=results,
        own=f"{job_id}/",
    )
