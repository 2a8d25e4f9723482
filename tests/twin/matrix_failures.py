"""What can go wrong in each stage of a run, how it is made to happen on the twin, and what must come of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import pytest

from spotline.runs import MarketChoice
from tests.statemachine.cases import CLEAN, MARKET, ON_DEMAND, REPORT, SPOT
from tests.twin.deployed import sample
from twin import compute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spotline.runs import Run
    from tests.twin.matrix_cloud import MatrixCloud

ROUNDS = 40
LIMIT_MIB, EATEN_MIB = 1024, 1200
"""A container's limit, and what a program eats to be over it."""
HELD_SECONDS = 60
"""A job's longest time where that is the failure: enough for a gang to come to a checkpoint."""


class Stage(Enum):
    """A Task that runs jobs: its column in the matrix, its image, its state and the market of the run."""

    PREPROCESS = ("Preprocess", "preprocess", "Preprocess", MarketChoice.SPOT_FIRST)
    SPOT_GANG = ("Spot gang", "analysis", SPOT, MarketChoice.SPOT_FIRST)
    ON_DEMAND_GANG = ("On-Demand gang", "analysis", ON_DEMAND, MarketChoice.ON_DEMAND)
    POSTPROCESS = ("Postprocess", "postprocess", "Postprocess", MarketChoice.SPOT_FIRST)

    def __init__(self, title: str, image: str, state: str, market: MarketChoice) -> None:
        self.title, self.image, self.state, self.market = title, image, state, market

    @property
    def is_gang(self) -> bool:
        """Whether it has members."""
        return self.image == "analysis"

    @property
    def course(self) -> tuple[str, ...]:
        """The states of a run that this stage's failure is rehearsed in; a file without analysis where it is no gang."""
        return (*MARKET, self.state, *REPORT) if self.is_gang else (*CLEAN, *REPORT)


@dataclass
class Scene:
    """One run, to which one failure is done in one stage."""

    cloud: MatrixCloud
    stage: Stage
    run: Run

    def agree(self, tolerance: float = 0.5) -> None:
        """Put the contract; one row in three hundred breaks it."""
        self.cloud.agree(self.run.dataset, rounds=ROUNDS if self.stage.is_gang else None, tolerance=tolerance)

    def play(self) -> None:
        """Start the run and wait for its end."""
        self.cloud.start(self.run)
        self.cloud.ended(self.run)

    def order(self, member: int, **what: int) -> None:
        """Have a program fail: a container's in the place of its work, a gang member's when it has a checkpoint."""
        if not self.stage.is_gang:
            self.cloud.order(self.stage.image, 0, **what)
            return

        def strike(_: str) -> None:
            self.cloud.order(self.stage.image, member, **what)
            self.cloud.taken(self.stage.image, member)

        self.cloud.at_checkpoint(strike)

    def at_work(self, act: Callable[[str], object]) -> None:
        """Play, and do `act` with the job's id while the stage is at work: a container is held there for it."""
        if self.stage.is_gang:
            self.cloud.at_checkpoint(act)
            self.play()
            return
        self.cloud.order(self.stage.image, 0, hold=1)
        self.cloud.start(self.run)
        self.cloud.taken(self.stage.image, 0)
        act(self.cloud.job(self.run, self.stage.image))
        self.cloud.ended(self.run)


def exits_with(code: int) -> Callable[[Scene], None]:
    """The program leaves with an exit code; in a gang it is one that is not the leader."""

    def failure(scene: Scene) -> None:
        scene.agree()
        scene.order(1, exit=code)
        scene.play()

    return failure


def data_refused(scene: Scene) -> None:
    """The file breaks its contract's tolerance until that is raised; later stages can only say so themselves."""
    if scene.stage is not Stage.PREPROCESS:
        exits_with(65)(scene)
        return
    scene.agree(tolerance=0.0)
    scene.play()
    scene.agree()


def bad_configuration(scene: Scene) -> None:
    """The dataset has no contract until it gets one; later stages can only say so themselves."""
    if scene.stage is not Stage.PREPROCESS:
        exits_with(78)(scene)
        return
    scene.play()
    scene.agree()


def out_of_memory(scene: Scene) -> None:
    """The program needs more than its definition gives; of a gang it is the leader, which ends a multi-node job."""
    scene.agree()
    with scene.cloud.revised(scene.stage.image, memory_mib=LIMIT_MIB):
        scene.order(0, eat_mib=EATEN_MIB)
        scene.play()


def image_missing(scene: Scene) -> None:
    """The stack is deployed with an image that nobody pushed, then with the right one: a new revision each time."""
    scene.agree()
    with scene.cloud.image_missing(scene.stage.image):
        scene.play()


def timed_out(scene: Scene) -> None:
    """The program hangs; of a gang it is the leader, which ends a multi-node job."""
    scene.agree()
    with scene.cloud.revised(scene.stage.image, seconds=HELD_SECONDS if scene.stage.is_gang else 2):
        scene.order(0, hold=1)
        scene.play()


def terminated(scene: Scene) -> None:
    """An operator terminates the job."""
    scene.agree()
    scene.at_work(scene.cloud.terminate)


def killed(scene: Scene) -> None:
    """A process dies without a word."""
    scene.agree()
    scene.at_work(lambda _: scene.cloud.kill(scene.stage.image, 1 if scene.stage.is_gang else 0))


def reclaimed(scene: Scene) -> None:
    """Spot takes the instance back without a notice. A container job is on Spot where On-Demand has no room for it."""

    def reclaim(job_id: str) -> None:
        if scene.stage is Stage.ON_DEMAND_GANG:
            with pytest.raises(compute.CannotReclaim):
                compute.reclaim(job_id, notice_seconds=0)
        else:
            compute.reclaim(job_id, 1 if scene.stage.is_gang else None, notice_seconds=0)

    scene.agree()
    if scene.stage.is_gang:
        scene.at_work(reclaim)
        return
    with scene.cloud.without_capacity("on-demand"):
        scene.at_work(reclaim)


def without_capacity(scene: Scene) -> None:
    """No instance is to be had, for longer than the queue is patient."""
    scene.agree()
    markets = {Stage.SPOT_GANG: ["spot"], Stage.ON_DEMAND_GANG: ["on-demand"]}.get(scene.stage, ["spot", "on-demand"])
    late = scene.stage is Stage.POSTPROCESS  # what preprocess has been lent it keeps
    if late:
        scene.cloud.start(scene.run)
        scene.cloud.until_running(scene.run, "preprocess")
    with scene.cloud.without_capacity(*markets):
        if not late:
            scene.cloud.start(scene.run)
        scene.cloud.until_failed(scene.run)
    scene.cloud.ended(scene.run)


@dataclass(frozen=True)
class Answer:
    """What the system does by itself: in words, how often the stage's Task is tried, and the states if others are entered."""

    words: str
    attempts: int = 1
    course: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A row of the matrix: how it is done, its typed name, and the stages in which it is answered without a person."""

    happens: Callable[[Scene], None]
    typed: str
    answers: Mapping[Stage, Answer] = field(default_factory=dict)
    at_checkpoint: bool = True


_RETRIED = Answer("retried from the checkpoint", attempts=2)
_BY_BATCH = Answer("retried by Batch")

FAILURES: dict[str, Failure] = {
    "program failure": Failure(exits_with(1), "Job.Failed"),
    "data refused": Failure(data_refused, "Data.Rejected"),
    "bad configuration": Failure(bad_configuration, "Job.Misconfigured"),
    "out of memory": Failure(out_of_memory, "Job.OutOfMemory"),
    "image missing": Failure(image_missing, "Job.ImageUnavailable", at_checkpoint=False),
    "timeout": Failure(timed_out, "Job.TimedOut"),
    "operator's terminate": Failure(terminated, "Job.Terminated"),
    "member killed": Failure(killed, "Job.Failed", {Stage.SPOT_GANG: _RETRIED, Stage.ON_DEMAND_GANG: _RETRIED}),
    "Spot reclaim": Failure(
        reclaimed,
        "Spot.Interrupted",
        {
            Stage.PREPROCESS: _BY_BATCH,
            Stage.SPOT_GANG: _RETRIED,
            Stage.ON_DEMAND_GANG: Answer("cannot happen"),
            Stage.POSTPROCESS: _BY_BATCH,
        },
    ),
    "no capacity": Failure(
        without_capacity,
        "OnDemand.NoCapacity",
        {
            Stage.SPOT_GANG: Answer("falls back to On-Demand", course=(*MARKET, SPOT, ON_DEMAND, *REPORT)),
            Stage.ON_DEMAND_GANG: Answer("retried an hour later", attempts=2),
        },
        at_checkpoint=False,
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What came of one failure in one stage."""

    failure: str
    stage: Stage
    words: str
    seconds: float


def rehearse(cloud: MatrixCloud, name: str, stage: Stage) -> Outcome:
    """Let a failure happen in a stage, mend it, redrive where that is needed, and check all that must hold."""
    began = time.monotonic()
    failure = FAILURES[name]
    answer = failure.answers.get(stage)
    scene = Scene(cloud, stage, cloud.land(cloud.dataset(), sample(bad_rows=1), stage.market))
    # When it happens, and its cause is gone
    failure.happens(scene)
    words = answer.words if answer else f"{failure.typed}, redriven"
    if answer is None:
        # Then the execution failed where it stood, by name, and a redrive mends it
        failed = cloud.course(scene.run)
        error = failure.typed if stage.is_gang else "States.TaskFailed"
        assert (failed.status, failed.error) == ("FAILED", error), failed
        assert failed.states[-1] == stage.state, failed
        cloud.told(scene.run, failure.typed)
        cloud.redrive(scene.run)
        cloud.ended(scene.run)
    done = cloud.course(scene.run)
    assert done.status == "SUCCEEDED", done
    # And no state is entered twice, and no Task is tried again but the one that failed
    attempts = answer.attempts if answer else 2
    assert done.states == ((answer and answer.course) or stage.course), done
    assert done.repeated == ({stage.state: attempts} if attempts > 1 else {}), done
    # And a gang that had come to a checkpoint went on from there
    if stage.is_gang and failure.at_checkpoint and attempts > 1:
        assert (cloud.resumed_from(scene.run) or 0) > 0, "the gang began anew"
    return Outcome(name, stage, words, time.monotonic() - began)
