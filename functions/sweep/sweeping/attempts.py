"""The runs that a version has had, and whether a backfill gives it another one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spotline.documents import DocumentError
from spotline.executions import describe_run
from spotline.layout import MANIFEST, postprocess_prefix
from spotline.runs import Run, execution_arn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

_RERUN = re.compile(r"-r([1-9][0-9]*)/")


@dataclass(frozen=True)
class Attempt:
    """A run of a version: number 0 is the first, number n the rerun `<run id>-r<n>`.

    `running` is whether its execution may still do something, `request` the forced backfill that started it, "" for any other.
    """

    number: int
    running: bool = False
    request: str = ""


class Left(StrEnum):
    """Why a backfill leaves a version as it is."""

    RAN = "ran"
    RUNNING = "running"
    STARTED = "started before"


def decide(attempts: Sequence[Attempt], *, force: bool, request: str) -> int | Left:
    """The number of the run to start, or why there is none to start.

    A version that runs at this moment is not started again even by force: a command that was given twice, which the `aws` tool
    does by itself when an answer takes a minute, must not cost two gangs.
    """
    if not attempts:
        return 0
    if force and any(attempt.request == request for attempt in attempts):
        return Left.STARTED
    if any(attempt.running for attempt in attempts):
        return Left.RUNNING
    return 1 + max(attempt.number for attempt in attempts) if force else Left.RAN


class History:
    """What executions and results tell of a version's runs.

    Step Functions forgets an execution 90 days after its end, and gives its name to the next who asks ("Quotas related to
    executions", Step Functions developer guide). What a run left in the results bucket stays, so it is asked as well.
    """

    def __init__(self, steps: SFNClient, s3: S3Client, state_machine_arn: str, results_bucket: str) -> None:
        self._steps = steps
        self._s3 = s3
        self._machine = state_machine_arn
        self._bucket = results_bucket

    def of(self, run_id: str, *, reruns: bool) -> list[Attempt]:
        """The attempts of a version whose first run is `run_id`; of its reruns only when they are asked for."""
        first = self._executed(run_id, 0)
        if first is None and self._published(run_id):
            first = Attempt(0)
        found = [] if first is None else [first]
        return [*found, *self._reruns(run_id)] if reruns else found

    def _reruns(self, run_id: str) -> Iterator[Attempt]:
        left_files = self._reruns_with_files(run_id)
        number = 1
        while True:
            attempt = self._executed(f"{run_id}-r{number}", number)
            if attempt is not None:
                yield attempt
            elif number in left_files:
                yield Attempt(number)
            elif number > max(left_files, default=0):
                return
            number += 1

    def _executed(self, name: str, number: int) -> Attempt | None:
        execution = describe_run(self._steps, execution_arn(self._machine, name))
        if execution.status == "UNKNOWN":
            return None
        return Attempt(number, execution.runs, _request_of(execution.input))

    def _published(self, run_id: str) -> bool:
        manifest = f"{postprocess_prefix(run_id)}{MANIFEST}"
        return bool(self._s3.list_objects_v2(Bucket=self._bucket, Prefix=manifest, MaxKeys=1).get("Contents"))

    def _reruns_with_files(self, run_id: str) -> set[int]:
        prefix = f"runs/{run_id}"
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{prefix}-r", Delimiter="/"
        )
        folders = (entry["Prefix"].removeprefix(prefix) for page in pages for entry in page.get("CommonPrefixes", []))
        return {int(found[1]) for folder in folders if (found := _RERUN.fullmatch(folder))}


def _request_of(document: str) -> str:
    """The forced backfill that started an execution; "" when a person did, with an input that no function of ours writes."""
    try:
        return Run.from_input(document).request
    except DocumentError:
        return ""
