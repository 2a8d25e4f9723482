"""Runs under seeded random faults, several at a time on one twin: each ends well or in a typed failure that a redrive repairs."""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

import pytest

from spotline.runs import MarketChoice
from tests.soak.random_cloud import RandomCloud, random_cloud
from tests.soak.random_plans import STAGES, Kind, Landing, Plan, plan
from tests.soak.random_report import report, write_report
from tests.soak.random_runs import Outcome, rehearse
from tests.twin.deployed import DAY
from twin import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL_RUNS = 200
RUNS = int(os.environ.get("SOAK_RUNS", ALL_RUNS))
FIRST_SEED = int(os.environ.get("SOAK_FIRST_SEED", "0"))
AT_A_TIME = int(os.environ.get("SOAK_AT_A_TIME", "3"))
UNDISTURBED = Plan(-1, MarketChoice.SPOT_FIRST, Landing.DELIVERED, ())


@pytest.fixture
def cloud() -> Iterator[RandomCloud]:
    with random_cloud(FIRST_SEED) as running:
        yield running


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_every_run_ends_well_or_in_a_typed_failure_that_a_redrive_mends(cloud: RandomCloud) -> None:
    began = time.monotonic()
    rehearse(cloud, UNDISTURBED, None)
    undisturbed = cloud.metrics("soak-undisturbed", DAY)
    outcomes, wrong = [], []
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        seeds = range(FIRST_SEED, FIRST_SEED + RUNS)
        for played in as_completed([threads.submit(rehearse, cloud, plan(seed), undisturbed) for seed in seeds]):
            error = played.exception()
            if error is None:
                outcomes.append(played.result())
            else:
                wrong.append(str(error))
                print(error, flush=True)  # noqa: T201  an hour before the end
    assert not wrong, "\n\n".join(wrong)
    # And when all are over, no gang holds a slot, or hours that it did not use
    cloud.until(lambda: cloud.holders() == [], "every slot to be free")
    assert all(seconds < 3600 for seconds in cloud.reserved_hours())
    calls = Counter[str]()
    for (_, trouble), times in faults.struck().items():
        calls[trouble] += times
    seconds = time.monotonic() - began
    if RUNS >= ALL_RUNS:  # a shortened soak is for whoever runs it
        write_report(outcomes, seconds, calls)
    else:
        print(report(outcomes, seconds, calls))  # noqa: T201


def test_a_seed_draws_one_plan_and_many_draw_all_of_them() -> None:
    plans = [plan(seed) for seed in range(200)]

    assert plans == [plan(seed) for seed in range(200)]
    assert {(blow.kind, blow.stage) for drawn in plans for blow in drawn.blows} == {
        (kind, stage) for kind in Kind for stage in STAGES
    }
    assert {(drawn.market, drawn.landing) for drawn in plans} >= {
        *((market, Landing.DELIVERED) for market in MarketChoice),
        (MarketChoice.SPOT_FIRST, Landing.LOST),
        (MarketChoice.SPOT_FIRST, Landing.REPEATED),
    }
    assert all(drawn.blows or drawn.landing is not Landing.DELIVERED for drawn in plans)


def test_the_report_counts_what_was_done_and_what_came_of_it() -> None:
    blow = plan(2).blows[0]
    repaired = Outcome(plan(2), struck=[blow], failures=["Job.Failed", "stopped"], seconds=20.0)
    answered = Outcome(plan(1), missed=[blow], seconds=10.0)

    text = report([repaired, answered], 60.0, {"throttled": 3})

    assert "2 runs" in text
    assert "1 ended SUCCEEDED by themselves, 1 after 2 redrives" in text
    assert f"| {blow.kind.value} | 1 | 1 | 1 | 0 |" in text
    assert "| Job.Failed | 1 |" in text
