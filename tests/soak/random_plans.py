"""What is done to one run of the soak under random faults: drawn from its seed alone, and nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from spotline.runs import MarketChoice


class Kind(StrEnum):
    """What can be done to a run while a job of it runs."""

    RECLAIM = "reclaim without a notice"
    NOTICE = "reclaim after a notice"
    KILL = "process killed"
    TERMINATE = "job terminated by an operator"
    STOP = "execution stopped"
    STORM = "storm of failing API calls"


class Landing(StrEnum):
    """What becomes of the event that announces the file."""

    DELIVERED = "event delivered as chance has it"
    LOST = "event lost"
    REPEATED = "event repeated after the end"


STAGES = ("preprocess", "analysis", "postprocess")
_STAGE_WEIGHTS = (2, 6, 2)  # the gang is where the protocol is
_LONGEST_DELAYS = {"preprocess": 1.5, "analysis": 5.0, "postprocess": 1.5}  # about as long as the stage's jobs run
_MOST_BLOWS = 4


@dataclass(frozen=True)
class Blow:
    """One thing done to a run.

    Parameters
    ----------
    stage
        It waits for a running job of this stage.
    seconds
        How long after that job was seen to run.
    member
        Which one of a gang it strikes; a container job has only one.
    patient
        Of a stop: whether the operator waits until nothing runs any more before the redrive.
    """

    kind: Kind
    stage: str
    seconds: float
    member: int
    patient: bool


@dataclass(frozen=True)
class Plan:
    """What is done to the run of a seed; a run has at least one blow or a landing out of the ordinary."""

    seed: int
    market: MarketChoice
    landing: Landing
    blows: tuple[Blow, ...]


def plan(seed: int) -> Plan:
    """Draw the plan of a seed.

    Only `spot-first` is what an event starts; the other markets are asked for by a person, who needs no event.
    """
    chance = random.Random(seed)
    market = chance.choices(list(MarketChoice), (6, 2, 2))[0]
    landing = chance.choices(list(Landing), (6, 2, 2))[0] if market is MarketChoice.SPOT_FIRST else Landing.DELIVERED
    fewest = 1 if landing is Landing.DELIVERED else 0
    blows = tuple(_blow(chance) for _ in range(chance.randint(fewest, _MOST_BLOWS)))
    return Plan(seed, market, landing, tuple(sorted(blows, key=lambda blow: STAGES.index(blow.stage))))


def _blow(chance: random.Random) -> Blow:
    stage = chance.choices(STAGES, _STAGE_WEIGHTS)[0]
    return Blow(
        kind=chance.choice(list(Kind)),
        stage=stage,
        seconds=chance.uniform(0, _LONGEST_DELAYS[stage]),
        member=chance.randrange(2) if stage == "analysis" else 0,
        patient=chance.random() < 0.5,
    )
