"""What each case of statemachine/mocks.json must come to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

LOOK = ("Find the newest version", "Is this version the newest?")
QUEUED = (*LOOK, "Which queues may it use?", "Take the day's queues")
CLEAN = (*QUEUED, "Preprocess", "Read what was cleaned", "Is there anything to analyse?")
LOOK_AGAIN = (*CLEAN, "Find the newest version again", "Is it worth a gang?")
MARKET = (*LOOK_AGAIN, "Which market may it use?")
SPOT, SPOT_ONLY, ON_DEMAND = "Analyse on Spot", "Analyse on Spot only", "Analyse on On-Demand"
FALLEN_BACK = (*MARKET, SPOT, ON_DEMAND)
REPORT = ("Postprocess", "Notify", "Done")
SUPERSEDED = ("Mark as superseded", "Superseded")


@dataclass(frozen=True)
class Expected:
    """How a case ends. A Task that is not in `repeated` does at its first attempt, or fails the execution there."""

    states: tuple[str, ...]
    error: str | None = None
    repeated: dict[str, int] = field(default_factory=dict)
    market: str = "spot-first"
    keep: bool = False
    priority: str = "daily"

    @property
    def status(self) -> str:
        """How the execution ends."""
        return "FAILED" if self.error else "SUCCEEDED"

    @property
    def input(self) -> str:
        """What the execution is started with."""
        run: dict[str, Any] = {
            "run_id": "flights-20130209-0123456789abcdef",
            "dataset": "flights",
            "day": "20130209",
            "market": self.market,
            "keep": self.keep,
            "priority": self.priority,
            "share": "flights",
            "source": {
                "bucket": "ingest",
                "key": "data/flights/20130209/flights.csv",
                "version_id": "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
                "size": 60304,
            },
        }
        return json.dumps(run)


def analysed(*gangs: str, market: str = "spot-first", keep: bool = False, **repeated: int) -> Expected:
    """A run whose last gang does its work."""
    return Expected((*MARKET, *gangs, *REPORT), repeated=_named(repeated), market=market, keep=keep)


def stopped(*gangs: str, error: str, market: str = "spot-first", **repeated: int) -> Expected:
    """A run that fails at its last gang."""
    return Expected((*MARKET, *gangs), error, _named(repeated), market)


def filled_back(*gangs: str) -> Expected:
    """A run of a backfill, which is one like any other but for its queues and its market."""
    states = (*MARKET, *gangs, *REPORT)
    taken = tuple("Take the backfill's queues" if state == "Take the day's queues" else state for state in states)
    return Expected(taken, market="spot-only", priority="backfill")


def _named(attempts: dict[str, int]) -> dict[str, int]:
    names = {
        "spot": SPOT,
        "spot_only": SPOT_ONLY,
        "on_demand": ON_DEMAND,
        "first_look": LOOK[0],
        "preprocess": "Preprocess",
        "read": "Read what was cleaned",
        "second_look": "Find the newest version again",
        "postprocess": "Postprocess",
        "slack": "Notify",
    }
    return {names[name]: times for name, times in attempts.items()}


CASES: dict[str, Expected] = {
    "StraightOnSpot": analysed(SPOT),
    "ReclaimedOnce": analysed(SPOT, spot=2),
    "ReclaimedTwice": analysed(SPOT, spot=3),
    "FallsBackAfterThreeReclaims": analysed(SPOT, ON_DEMAND, spot=3),
    "FallsBackWithoutSpotCapacity": analysed(SPOT, ON_DEMAND),
    "FallsBackWithoutSpotSlot": analysed(SPOT, ON_DEMAND),
    "SpotOnlyWithoutSlot": stopped(SPOT_ONLY, error="Slot.TimedOut", market="spot-only"),
    "OnDemandWithoutSlot": stopped(ON_DEMAND, error="Slot.TimedOut", market="on-demand"),
    "FallsBackAndWaitsForOnDemand": analysed(SPOT, ON_DEMAND, on_demand=3),
    "FallsBackInVain": stopped(SPOT, ON_DEMAND, error="OnDemand.NoCapacity", on_demand=13),
    "SpotMemberLostOnce": analysed(SPOT, spot=2),
    "SpotMemberLostBetweenReclaims": analysed(SPOT, spot=4),
    "SpotMemberLostTwice": stopped(SPOT, error="Gang.MemberLost", spot=2),
    "SpotOnlyStraight": analysed(SPOT_ONLY, market="spot-only"),
    "FilledBack": filled_back(SPOT_ONLY),
    "SpotOnlyWaits": analysed(SPOT_ONLY, market="spot-only", spot_only=3),
    "SpotOnlyReclaimedTooOften": stopped(SPOT_ONLY, error="Spot.Interrupted", market="spot-only", spot_only=9),
    "SpotOnlyWithoutCapacity": stopped(SPOT_ONLY, error="Spot.NoCapacity", market="spot-only", spot_only=9),
    "SpotOnlyMemberLostOnce": analysed(SPOT_ONLY, market="spot-only", spot_only=2),
    "SpotOnlyMemberLostTwice": stopped(SPOT_ONLY, error="Gang.MemberLost", market="spot-only", spot_only=2),
    "OnDemandStraight": analysed(ON_DEMAND, market="on-demand"),
    "OnDemandWaits": analysed(ON_DEMAND, market="on-demand", on_demand=3),
    "OnDemandWithoutCapacity": stopped(ON_DEMAND, error="OnDemand.NoCapacity", market="on-demand", on_demand=13),
    "OnDemandMemberLostOnce": analysed(ON_DEMAND, market="on-demand", on_demand=2),
    "OnDemandMemberLostTwice": stopped(ON_DEMAND, error="Gang.MemberLost", market="on-demand", on_demand=2),
    "SpotNotPlacedOnce": analysed(SPOT, spot=2),
    "SpotNotPlacedTwice": stopped(SPOT, error="Job.NotPlaced", spot=2),
    "SpotOnlyNotPlacedOnce": analysed(SPOT_ONLY, market="spot-only", spot_only=2),
    "SpotOnlyNotPlacedTwice": stopped(SPOT_ONLY, error="Job.NotPlaced", market="spot-only", spot_only=2),
    "OnDemandNotPlacedOnce": analysed(ON_DEMAND, market="on-demand", on_demand=2),
    "OnDemandNotPlacedTwice": stopped(ON_DEMAND, error="Job.NotPlaced", market="on-demand", on_demand=2),
    "SupersededBeforePreprocess": Expected((*LOOK, *SUPERSEDED)),
    "DeletedBeforePreprocess": Expected((*LOOK, *SUPERSEDED)),
    "SupersededBeforeTheGang": Expected((*LOOK_AGAIN, *SUPERSEDED)),
    "DeletedBeforeTheGang": Expected((*LOOK_AGAIN, *SUPERSEDED)),
    "KeptThoughSuperseded": analysed(SPOT, keep=True),
    "NothingToAnalyse": Expected((*CLEAN, *REPORT)),
    "CleanManifestMissing": Expected(CLEAN[:-1], "S3.NoSuchKeyException"),
    "S3ErrorsRetried": analysed(SPOT, first_look=3, read=3, second_look=3),
    "S3DownAtFirst": Expected(LOOK[:1], "S3.S3Exception", {LOOK[0]: 6}),
    "S3DownAfterPreprocess": Expected(CLEAN[:-1], "S3.S3Exception", {CLEAN[-2]: 6}),
    "S3DownBeforeTheGang": Expected(LOOK_AGAIN[:-1], "S3.S3Exception", {LOOK_AGAIN[-2]: 6}),
    "BatchErrorsRetried": analysed(SPOT, preprocess=4, postprocess=4),
    "BatchDownBeforePreprocess": Expected((*QUEUED, "Preprocess"), "Batch.AWSBatchException", {"Preprocess": 13}),
    "BatchDownBeforePostprocess": Expected(
        (*MARKET, SPOT, "Postprocess"), "Batch.AWSBatchException", {"Postprocess": 13}
    ),
    "SlackDown": analysed(SPOT),
    "NotifyErrorsRetried": analysed(SPOT, slack=4),
    "NotifyDown": analysed(SPOT, slack=4),
    "PreprocessTaskTimedOut": Expected((*QUEUED, "Preprocess"), "States.Timeout"),
    "PostprocessTaskTimedOut": Expected((*MARKET, SPOT, "Postprocess"), "States.Timeout"),
}

# How a container job can fail, and the typed name that the job in the Cause stands for: the execution's own error is
# States.TaskFailed, because Step Functions names every failed `.sync` job so.
TYPED_BY_CAUSE = {
    "ProgramFailed": "Job.Failed",
    "DataRefused": "Data.Rejected",
    "BadConfiguration": "Job.Misconfigured",
    "OutOfMemory": "Job.OutOfMemory",
    "ImageMissing": "Job.ImageUnavailable",
    "TimedOut": "Job.TimedOut",
    "Terminated": "Job.Terminated",
    "NotPlaced": "Job.NotPlaced",
}
for _kind in TYPED_BY_CAUSE:
    CASES[f"Preprocess{_kind}"] = Expected((*QUEUED, "Preprocess"), "States.TaskFailed")
    CASES[f"Postprocess{_kind}"] = Expected((*MARKET, SPOT, "Postprocess"), "States.TaskFailed")

# What a gang can die of that no market answers: uncaught, so that a redrive begins at the gang.
_UNANSWERED = {
    "DataRejected": "Data.Rejected",
    "BudgetExhausted": "Budget.Exhausted",
    "OutOfMemory": "Job.OutOfMemory",
    "ImageUnavailable": "Job.ImageUnavailable",
    "TimedOut": "Job.TimedOut",
    "Misconfigured": "Job.Misconfigured",
    "Terminated": "Job.Terminated",
    "Failed": "Job.Failed",
    "TaskTimedOut": "States.Timeout",
}
for _prefix, _state, _market in (
    ("Spot", SPOT, "spot-first"),
    ("SpotOnly", SPOT_ONLY, "spot-only"),
    ("OnDemand", ON_DEMAND, "on-demand"),
):
    for _kind, _error in _UNANSWERED.items():
        CASES[f"{_prefix}{_kind}"] = Expected((*MARKET, _state), _error, market=_market)
    CASES[f"{_prefix}LauncherErrors"] = Expected((*MARKET, _state, *REPORT), None, {_state: 7}, _market)
    CASES[f"{_prefix}LauncherDown"] = Expected((*MARKET, _state), "LaunchUnfinished", {_state: 7}, _market)
