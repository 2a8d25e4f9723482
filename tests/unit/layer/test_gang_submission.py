"""What Batch is given when a gang is submitted, checked against Batch's own model of the call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from spotline.batch_jobs import GangPlaces, submit_gang
from spotline.gangs import Gang
from spotline.runs import Market
from tests.unit.modelled import Modelled

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

PLACES = GangPlaces(
    spot_queue="spot",
    spot_job_definition="gang-spot",
    spot_forming_seconds=600,
    on_demand_queue="on-demand",
    on_demand_job_definition="gang-on-demand",
    on_demand_forming_seconds=900,
    members=4,
)


class Batch:
    """Takes submissions."""

    def __init__(self) -> None:
        self.submitted: list[dict[str, Any]] = []

    def submit_job(self, **submission: Any) -> dict[str, str]:
        self.submitted.append(submission)
        return {"jobId": "job"}


def submit(market: Market, redrives: int | None = None) -> dict[str, Any]:
    batch = Batch()
    gang = Gang("flights-20130209-1", 3, market, "token", "arn", datetime(2026, 1, 1, tzinfo=UTC), redrives=redrives)
    assert submit_gang(cast("BatchClient", Modelled("batch", batch)), gang, PLACES) == "job"
    [submission] = batch.submitted
    return submission


def overrides(submission: dict[str, Any]) -> dict[str, Any]:
    """The container overrides of every member."""
    if "nodeOverrides" not in submission:
        return dict(submission["containerOverrides"])
    [every] = submission["nodeOverrides"]["nodePropertyOverrides"]
    assert every["targetNodes"] == "0:"
    return dict(every["containerOverrides"])


def environment(submission: dict[str, Any]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in overrides(submission)["environment"]}


@pytest.mark.parametrize(("market", "seconds"), [(Market.SPOT, "600"), (Market.ON_DEMAND, "900")])
def test_members_are_given_the_time_to_form_of_their_market(market: Market, seconds: str) -> None:
    assert environment(submit(market))["GANG_FORMING_SECONDS"] == seconds


@pytest.mark.parametrize("market", Market)
def test_members_are_given_their_run_and_generation(market: Market) -> None:
    given = environment(submit(market))
    assert (given["RUN_ID"], given["GENERATION"], given["EXECUTION_ARN"]) == ("flights-20130209-1", "3", "arn")


def test_a_gang_is_an_array_on_spot_and_a_multi_node_job_on_demand() -> None:
    spot, on_demand = submit(Market.SPOT), submit(Market.ON_DEMAND)
    assert (spot["jobQueue"], spot["jobDefinition"], spot["arrayProperties"]) == ("spot", "gang-spot", {"size": 4})
    assert (on_demand["jobQueue"], on_demand["jobDefinition"]) == ("on-demand", "gang-on-demand")
    assert on_demand["nodeOverrides"]["numNodes"] == 4


@pytest.mark.parametrize("market", Market)
def test_a_gang_s_job_is_found_by_its_name_and_its_tags(market: Market) -> None:
    submission = submit(market)
    tags = {
        "spotline:run-id": "flights-20130209-1",
        "spotline:stage": "analysis",
        "spotline:generation": "3",
        "spotline:execution-arn": "arn",
    }
    assert (submission["jobName"], submission["tags"]) == ("flights-20130209-1-g3", tags)
    assert submission["propagateTags"] is True, "costs are allocated by the tags of what runs"
    assert submit(market, redrives=0)["tags"] == {**tags, "spotline:redrives": "0"}
