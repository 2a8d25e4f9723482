"""What a run cost, saved and wasted: a table of cases with prices that can be reckoned in one's head."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.costs import Estimate, estimate, money
from spotline.prices import InstancePrice, PriceError, PriceTable, Rate
from spotline.runs import Market
from spotline.strays import Stage
from spotline.usage import Attempt, JobUse

HOUR = 3600.0
NOW = 100 * HOUR
PRICES = PriceTable(
    as_of="2013-02",
    source="made up",
    currency="USD",
    instances={
        "gpu": InstancePrice(8, Rate(on_demand=10.0, spot=4.0)),
        "cpu": InstancePrice(4, Rate(on_demand=2.0, spot=1.0)),
    },
    shared_instance="cpu",
    fargate_vcpu=Rate(on_demand=0.3, spot=0.1),
    fargate_gib=Rate(on_demand=0.05, spot=0.01),
)


def ran(market: Market, start: float, end: float | None, *, reclaimed: bool = False) -> Attempt:
    """An attempt; times in hours."""
    return Attempt(market, start * HOUR, None if end is None else end * HOUR, reclaimed)


def spot(start: float, end: float | None, *, reclaimed: bool = False) -> Attempt:
    return ran(Market.SPOT, start, end, reclaimed=reclaimed)


def on_demand(start: float, end: float | None) -> Attempt:
    return ran(Market.ON_DEMAND, start, end)


def gang(*members: tuple[Attempt, ...], outcome: str = "SUCCEEDED") -> JobUse:
    return JobUse("gang", Stage.ANALYSIS, 0.0, members, vcpus=8, memory_gib=30, generation=1, outcome=outcome)


def job(*attempts: Attempt, vcpus: float = 4, stage: Stage = Stage.PREPROCESS, fargate: bool = False) -> JobUse:
    return JobUse("job", stage, 0.0, (attempts,), vcpus=vcpus, memory_gib=8, outcome="SUCCEEDED", fargate=fargate)


CASES: dict[str, tuple[JobUse, list[float], dict[str, float]]] = {
    "a gang on On-Demand costs each member's whole instance": (
        gang((on_demand(1, 3),), (on_demand(1, 2),)),
        [],
        {"cost": 30, "saved": 0, "wasted": 0, "od": 3, "spot": 0},
    ),
    "a gang on Spot saves the difference": (
        gang((spot(1, 3),), (spot(1, 3),)),
        [],
        {"cost": 16, "saved": 24, "wasted": 0, "od": 0, "spot": 4},
    ),
    "a reclaimed gang without a checkpoint wasted everything": (
        gang((spot(1, 3, reclaimed=True),), (spot(1, 3.5),), outcome="Spot.Interrupted"),
        [],
        {"cost": 18, "saved": 27, "wasted": 18, "od": 0, "spot": 4.5},
    ),
    "the claim of the pointer is no checkpoint": (
        gang((spot(1, 3, reclaimed=True),), (spot(1, 3),), outcome="Spot.Interrupted"),
        [1.1],
        {"cost": 16, "saved": 24, "wasted": 16, "od": 0, "spot": 4},
    ),
    "a reclaimed gang wasted what came after its last checkpoint": (
        gang((spot(1, 3, reclaimed=True),), (spot(1, 3.25),), outcome="Spot.Interrupted"),
        [1.1, 2.0, 2.5],
        {"cost": 17, "saved": 25.5, "wasted": 5, "od": 0, "spot": 4.25},
    ),
    "another gang's checkpoints are not this one's": (
        gang((spot(1, 3, reclaimed=True),), outcome="Spot.Interrupted"),
        [0.2, 0.5, 1.1, 4.0, 5.0],
        {"cost": 8, "saved": 12, "wasted": 8, "od": 0, "spot": 2},
    ),
    "a noticed gang is a reclaimed one, whatever Batch says of its hosts": (
        gang((spot(1, 3),), outcome="Spot.Interrupted"),
        [1.1, 2.75],
        {"cost": 8, "saved": 12, "wasted": 1, "od": 0, "spot": 2},
    ),
    "a gang that failed by itself wasted nothing to a reclaim": (
        gang((spot(1, 3),), outcome="Job.Failed"),
        [],
        {"cost": 8, "saved": 12, "wasted": 0, "od": 0, "spot": 2},
    ),
    "a gang that never got its instances cost nothing": (
        gang((), (), outcome="Spot.NoCapacity"),
        [],
        {"cost": 0, "saved": 0, "wasted": 0, "od": 0, "spot": 0},
    ),
    "a job on a shared instance takes its share": (
        job(on_demand(1, 2), vcpus=1),
        [],
        {"cost": 0.5, "saved": 0, "wasted": 0, "od": 0.25, "spot": 0},
    ),
    "a reclaimed attempt of a job is wasted whole, and the next one is not": (
        job(spot(1, 2, reclaimed=True), on_demand(3, 4)),
        [],
        {"cost": 3, "saved": 1, "wasted": 1, "od": 1, "spot": 1},
    ),
    "what runs is counted until now": (
        job(on_demand(98, None), stage=Stage.POSTPROCESS),
        [],
        {"cost": 4, "saved": 0, "wasted": 0, "od": 2, "spot": 0},
    ),
    "Fargate is paid by vCPU and GiB": (
        job(on_demand(1, 2), vcpus=2, fargate=True),
        [],
        {"cost": 1.0, "saved": 0, "wasted": 0, "od": 1, "spot": 0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_job_cost(case: str) -> None:
    use, saves, expected = CASES[case]

    told = estimate([use], PRICES, "gpu", [hour * HOUR for hour in saves], NOW)

    found = {
        "cost": told.cost,
        "saved": told.saved,
        "wasted": told.wasted,
        "od": told.hours_in(Market.ON_DEMAND),
        "spot": told.hours_in(Market.SPOT),
    }
    assert found == pytest.approx(expected)


def test_a_run_is_the_sum_of_its_jobs() -> None:
    uses = [job(on_demand(0, 1)), gang((spot(1, 2),)), replace(gang((on_demand(2, 3),)), job_id="second")]

    told = estimate(uses, PRICES, "gpu", [], NOW)

    assert (told.cost, told.saved) == (2 + 4 + 10, 6)
    assert told.cost_of({"gang", "second"}) == 14


def test_a_type_without_a_price_says_how_to_set_one() -> None:
    with pytest.raises(PriceError, match=r"names no instance type tpu\. Mend prices\.json in the ingest bucket"):
        estimate([gang((spot(1, 2),))], PRICES, "tpu", [], NOW)


def test_what_was_seen_earlier_is_not_forgotten_and_not_counted_twice() -> None:
    first = estimate([job(on_demand(0, 1))], PRICES, "gpu", [], NOW)
    both = estimate([job(on_demand(0, 1)), gang((spot(1, 2),))], PRICES, "gpu", [], NOW)
    later = estimate([gang((spot(1, 2),))], PRICES, "gpu", [], NOW)

    assert both.after(first) == both
    assert later.after(first).cost == both.cost
    assert later.after(None) == later


def test_it_is_read_from_the_table_as_it_was_written() -> None:
    told = estimate([job(spot(1, 2, reclaimed=True)), gang((spot(1, 2),))], PRICES, "gpu", [], NOW)
    item = json.loads(json.dumps(told.to_item()), parse_float=Decimal)

    assert Estimate.from_item(item) == told
    assert (float(item["total"]), float(item["wasted"])) == (5.0, 1.0)


attempts = st.builds(
    lambda market, start, lasted, reclaimed: ran(market, start, start + lasted, reclaimed=reclaimed),
    st.sampled_from(Market),
    st.floats(0, 50),
    st.floats(0, 20),
    st.booleans(),
)


@given(st.lists(st.lists(attempts, max_size=3).map(tuple), min_size=1, max_size=4), st.lists(st.floats(0, 80)))
def test_no_more_is_wasted_than_was_spent(members: list[tuple[Attempt, ...]], saves: list[float]) -> None:
    use = gang(*members, outcome="Spot.Interrupted")

    told = estimate([use], PRICES, "gpu", [hour * HOUR for hour in saves], NOW)

    assert -1e-9 <= told.wasted <= told.cost + 1e-6
    assert told.saved >= 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0"), (0.00001234, "$0.000012"), (0.0099, "$0.0099"), (0.01, "$0.01"), (12345.678, "$12,345.68")],
)
def test_money_is_written_for_people(amount: float, text: str) -> None:
    assert money(amount, "USD") == text


def test_the_shipped_table_prices_every_member_the_template_offers() -> None:
    shipped = PriceTable.shipped()

    for name in (
        "g5.2xlarge",
        "g6.2xlarge",
        "g6.4xlarge",
        "g6.12xlarge",
        "g6e.12xlarge",
        "p4d.24xlarge",
        "p5.48xlarge",
    ):
        rate = shipped.instance(name).rate
        assert 0 < rate.spot < rate.on_demand
    assert shipped.instance(shipped.shared_instance)
    assert (shipped.currency, shipped.as_of) == ("USD", "2025-07")
    assert "list prices" in shipped.source


def table(**changes: Any) -> bytes:
    document: dict[str, Any] = {
        "schema": "spotline/prices/1",
        "as_of": "2013-02",
        "source": "mine",
        "currency": "EUR",
        "instances": {"x": {"vcpus": 4, "on_demand": 1, "spot": 0.5}},
        "shared_instance": "x",
        "fargate": {"vcpu": {"on_demand": 1, "spot": 1}, "gib": {"on_demand": 1, "spot": 1}},
    }
    return json.dumps({name: value for name, value in {**document, **changes}.items() if value is not None}).encode()


def test_a_table_of_ones_own_is_read() -> None:
    assert PriceTable.from_json(table()).instance("x") == InstancePrice(4, Rate(1.0, 0.5))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"{", "not JSON"),
        (b"[]", r"expected a JSON object, found \[\]"),
        (table(schema="prices"), 'found "prices"'),
        (table(currency=None), "currency: missing"),
        (table(instances={"x": {"vcpus": 4, "on_demand": 1}}), r"instances\.x\.spot: missing"),
        (
            table(instances={"x": {"vcpus": 0, "on_demand": 1, "spot": 1}}),
            r"instances\.x\.vcpus: 0 is not a number from 1 on",
        ),
        (table(instances={"x": {"vcpus": 4, "on_demand": "1", "spot": 1}}), 'on_demand: expected a number, found "1"'),
        (table(fargate={"vcpu": {}}), r"fargate\.vcpu\.on_demand: missing"),
    ],
)
def test_a_table_that_is_none_says_what_is_wrong_and_how_to_mend_it(body: bytes, wrong: str) -> None:
    with pytest.raises(PriceError, match=wrong) as refused:
        PriceTable.from_json(body)

    assert "delete it to go by the shipped table" in str(refused.value)
