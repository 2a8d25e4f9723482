"""What a reconcile is configured with: which market waits how long, has how many slots, and which queue is listed how."""

from __future__ import annotations

from datetime import timedelta

import pytest

from look_settings import LookSettings
from spotline.batch_jobs import LISTED_OF_CONTAINERS, LISTED_OF_GANGS
from spotline.gangs import Waits
from spotline.runs import Market

SETTINGS = LookSettings(
    spot_queue="q-spot",
    spot_job_definition="d-spot",
    spot_forming_seconds=600,
    spot_max_gangs=3,
    on_demand_queue="q-on-demand",
    on_demand_job_definition="d-on-demand",
    on_demand_forming_seconds=900,
    on_demand_max_gangs=2,
    on_demand_gang_hours_per_day=12,
    gang_members=2,
    gang_attempt_seconds=21_600,
    results_bucket="results",
    state_machine_arn="arn",
    main_queue="q-main",
    postprocess_queue="q-postprocess",
    backfill_queue="q-backfill",
    backfill_postprocess_queue="q-backfill-postprocess",
    spot_max_wait_seconds=900,
    on_demand_max_wait_seconds=3600,
    slot_max_wait_seconds=604_800,
    spot_slot_max_wait_seconds=7200,
)


@pytest.mark.parametrize(
    ("market", "slots", "capacity"),
    [(Market.SPOT, 3, timedelta(minutes=15)), (Market.ON_DEMAND, 2, timedelta(hours=1))],
)
def test_each_market_has_its_slots_and_its_wait_for_capacity(market: Market, slots: int, capacity: timedelta) -> None:
    assert SETTINGS.slots(market) == slots
    assert SETTINGS.waits(market) == Waits(slot=timedelta(days=7), capacity=capacity)


def test_every_queue_has_a_name_to_chart_it_under() -> None:
    assert SETTINGS.queues == {
        "q-postprocess": "postprocess",
        "q-main": "main",
        "q-backfill-postprocess": "backfill-postprocess",
        "q-backfill": "backfill",
        "q-spot": "gpu-spot",
        "q-on-demand": "gpu-on-demand",
    }


def test_jobs_of_gangs_are_listed_in_the_statuses_of_arrays_too() -> None:
    gangs = {"q-spot", "q-on-demand"}
    assert SETTINGS.listed == {
        queue: LISTED_OF_GANGS if queue in gangs else LISTED_OF_CONTAINERS for queue in SETTINGS.queues
    }
