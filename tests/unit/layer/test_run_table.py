"""The runs table: records, claims, slots and hours, on moto's DynamoDB and on the protocol tests' fake, which must agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from spotline.allowances import Allowances, Limits
from spotline.executions import Execution
from spotline.gangs import SUBMITTING, Gang
from spotline.run_table import OPEN_GANGS_INDEX, RunTable
from spotline.runs import Market, Run, Source
from tests.unit.protocol.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
SPOT = Gang("r", 1, Market.SPOT, "token", "arn:execution", NOW)
ON_DEMAND = replace(SPOT, market=Market.ON_DEMAND)
LIMITS = Limits(spot_gangs=2, on_demand_gangs=1, hours_per_day=12, attempt=timedelta(hours=6))


@pytest.fixture(params=["moto", "fake"])
def dynamodb(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if request.param == "fake":
        yield FakeDynamoDB()
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="runs",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "open_gang")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": OPEN_GANGS_INDEX,
                    "KeySchema": [{"AttributeName": "open_gang", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield client


@pytest.fixture
def table(dynamodb: Any) -> RunTable:
    return RunTable("runs", dynamodb)


@pytest.fixture
def allowances(dynamodb: Any) -> Allowances:
    return Allowances("runs", dynamodb, LIMITS)


def run_record(dynamodb: Any) -> dict[str, Any]:
    key = {"pk": {"S": "RUN#r"}, "sk": {"S": "RUN"}}
    item = dynamodb.get_item(TableName="runs", Key=key, ConsistentRead=True)["Item"]
    return {name: next(iter(value.values())) for name, value in item.items() if name not in ("pk", "sk")}


def test_each_gang_has_a_generation_of_its_own(table: RunTable) -> None:
    assert table.newest_generation("r") == 0
    assert [table.raise_generation("r", execution_arn="arn:execution") for _ in range(3)] == [1, 2, 3]
    assert table.newest_generation("r") == 3
    assert table.newest_generation("another") == 0


def test_a_gang_is_read_as_it_was_recorded(table: RunTable) -> None:
    gang = replace(SPOT, redrives=2)
    table.record_gang(gang)
    assert list(table.open_gangs()) == table.gangs("r") == [gang]
    assert table.gangs("another") == []
    assert table.is_open("r", 1)


def test_a_closed_gang_is_passed_by(table: RunTable) -> None:
    table.record_gang(SPOT)
    table.close_gang(SPOT, "SUCCEEDED")
    table.close_gang(SPOT, "again")
    assert list(table.open_gangs()) == table.gangs("r") == []
    assert not table.is_open("r", 1)


def test_a_repeated_record_leaves_what_came_of_the_gang(table: RunTable) -> None:
    # Given a gang whose record was written, and whose writer did not hear of it, so that the SDK writes it once more
    table.record_gang(SPOT)
    table.record_job(SPOT, "5f0c")
    table.record_gang(SPOT)
    assert [gang.job_id for gang in table.gangs("r")] == ["5f0c"]
    # And one that has ended meanwhile
    table.close_gang(SPOT, "SUCCEEDED")
    table.record_gang(SPOT)
    assert not table.is_open("r", 1)


def test_a_record_of_an_earlier_version_is_read(table: RunTable, dynamodb: Any) -> None:
    # Given an open gang as the version before this one recorded it
    written = {
        "pk": "RUN#r",
        "sk": "GANG#0001",
        "open_gang": "yes",
        "run_id": "r",
        "market": "SPOT",
        "task_token": "token",
        "execution_arn": "arn:execution",
        "launched_at": NOW.isoformat(),
    }
    item = {**{name: {"S": value} for name, value in written.items()}, "generation": {"N": "1"}}
    dynamodb.put_item(TableName="runs", Item=item)
    # Then it is the gang that it was, and can be launched and closed
    assert list(table.open_gangs()) == table.gangs("r") == [SPOT]
    assert table.claim_submission(SPOT, NOW)
    assert table.record_job(SPOT, "5f0c")
    table.close_gang(SPOT, "SUCCEEDED")
    assert table.gangs("r") == []


def test_one_of_many_submits_a_gang(table: RunTable) -> None:
    table.record_gang(SPOT)
    assert table.claim_submission(SPOT, NOW)
    assert not table.claim_submission(SPOT, NOW)
    assert not table.claim_submission(SPOT, NOW + SUBMITTING - timedelta(seconds=1))
    # Until its claim lapses
    assert table.claim_submission(SPOT, NOW + SUBMITTING)


def test_a_claim_whose_answer_was_lost_is_still_ones_own(table: RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.record_gang(SPOT)
    update = table._client.update_item

    def answered_the_second_time(**arguments: Any) -> Any:
        update(**arguments)
        return update(**arguments)  # as the SDK repeats a call that was done, and answered with a 500

    monkeypatch.setattr(table._client, "update_item", answered_the_second_time)
    assert table.claim_submission(SPOT, NOW)
    assert not table.claim_submission(SPOT, NOW), "but not somebody else's"


def test_nobody_submits_what_is_closed_submitted_or_unknown(table: RunTable) -> None:
    assert not table.claim_submission(SPOT, NOW)
    table.record_gang(SPOT)
    table.record_job(SPOT, "5f0c")
    assert not table.claim_submission(SPOT, NOW)
    table.close_gang(SPOT, "ended")
    assert not table.claim_submission(SPOT, NOW)


def test_a_gang_has_one_job(table: RunTable) -> None:
    table.record_gang(SPOT)
    assert table.record_job(SPOT, "5f0c")
    assert table.record_job(SPOT, "5f0c"), "the same again is no other"
    assert not table.record_job(SPOT, "another")
    assert [gang.job_id for gang in table.gangs("r")] == ["5f0c"]
    table.close_gang(SPOT, "ended")
    assert not table.record_job(SPOT, "5f0c"), "nobody waits for it any more"


def test_the_run_record_tells_the_failure_and_forgets_it_after_a_redrive(table: RunTable, dynamodb: Any) -> None:
    table.raise_generation("r", execution_arn="arn:execution")
    table.note_execution("r", Execution("arn:execution", "FAILED"), ("Job.Failed", "It failed"), NOW)
    assert run_record(dynamodb) == {
        "generation": "1",
        "execution_arn": "arn:execution",
        "status": "FAILED",
        "failure": "Job.Failed",
        "failure_sentence": "It failed",
        "failed_run": "yes",
        "seen_at": NOW.isoformat(),
    }
    table.note_execution("r", Execution("arn:execution", "RUNNING"), None, NOW + timedelta(seconds=1))
    assert run_record(dynamodb).keys() == {"generation", "execution_arn", "status", "seen_at"}


def test_the_run_record_says_what_the_run_is_about_and_when_it_ran(table: RunTable, dynamodb: Any) -> None:
    run = Run("flights-20130209-1", "flights", "20130209", Source("ingest", "data/flights/20130209/f.csv", "v1", 9))
    execution = Execution("arn:execution", "SUCCEEDED", input=run.to_input(), started_at=NOW, stopped_at=NOW)

    table.note_execution("r", execution, None, NOW)

    told = run_record(dynamodb)
    assert {name: told[name] for name in ("run_id", "run_day", "dataset", "day", "key", "version_id")} == {
        "run_id": "flights-20130209-1",
        "run_day": "20130209",
        "dataset": "flights",
        "day": "20130209",
        "key": "data/flights/20130209/f.csv",
        "version_id": "v1",
    }
    assert (told["started_at"], told["stopped_at"]) == (NOW.isoformat(), NOW.isoformat())


def test_a_redriven_run_has_not_stopped(table: RunTable, dynamodb: Any) -> None:
    table.note_execution(
        "r", Execution("arn", "FAILED", started_at=NOW, stopped_at=NOW), ("Job.Failed", "It failed"), NOW
    )
    table.note_execution("r", Execution("arn", "RUNNING", started_at=NOW), None, NOW)

    assert run_record(dynamodb).keys() == {"execution_arn", "status", "seen_at", "started_at"}


def test_a_closed_gang_expires_after_nobody_can_redrive_its_run_any_more(table: RunTable, dynamodb: Any) -> None:
    table.record_gang(SPOT)
    key = {"pk": {"S": "RUN#r"}, "sk": {"S": "GANG#0001"}}
    assert "expires_at" not in dynamodb.get_item(TableName="runs", Key=key, ConsistentRead=True)["Item"]

    table.close_gang(SPOT, "SUCCEEDED")

    expires = int(dynamodb.get_item(TableName="runs", Key=key, ConsistentRead=True)["Item"]["expires_at"]["N"])
    assert expires > datetime.now(UTC).timestamp() + 14 * 86400


def test_what_was_seen_earlier_does_not_replace_what_was_seen_later(table: RunTable, dynamodb: Any) -> None:
    table.note_execution("r", Execution("arn:execution", "SUCCEEDED"), None, NOW)
    table.note_execution("r", Execution("arn:execution", "RUNNING"), None, NOW - timedelta(microseconds=1))
    assert run_record(dynamodb)["status"] == "SUCCEEDED"


def test_a_market_has_so_many_slots(allowances: Allowances) -> None:
    gangs = [replace(SPOT, generation=generation) for generation in (1, 2, 3)]
    assert [allowances.take_slot(gang) for gang in gangs] == [True, True, False]
    assert allowances.take_slot(gangs[0]), "it holds one already"
    assert allowances.take_slot(ON_DEMAND), "the other market's are its own"
    # When one is given back, however often
    for _ in range(2):
        allowances.free_slot(Market.SPOT, gangs[0].name)
    # Then there is one more, and no more than that
    assert allowances.slot_holders(Market.SPOT) == {"r#2"}
    assert [allowances.take_slot(gang) for gang in (gangs[2], gangs[0])] == [True, False]


def test_the_last_slot_can_be_given_back(allowances: Allowances) -> None:
    allowances.take_slot(SPOT)
    allowances.free_slot(Market.SPOT, SPOT.name)
    assert allowances.slot_holders(Market.SPOT) == set()
    assert allowances.take_slot(SPOT)


@pytest.fixture
def gangs(table: RunTable) -> list[Gang]:
    """Gangs that wait to be launched on On-Demand."""
    gangs = [replace(ON_DEMAND, generation=generation) for generation in (1, 2, 3, 4)]
    for gang in gangs:
        table.record_gang(gang)
    return gangs


def test_a_day_has_so_many_hours(allowances: Allowances, gangs: list[Gang]) -> None:
    assert [allowances.reserve_hours(gang, NOW) for gang in gangs[:3]] == [True, True, False]
    assert allowances.reserve_hours(gangs[0], NOW), "it has reserved already"
    assert allowances.reserve_hours(gangs[2], NOW + timedelta(days=1)), "another day"
    assert allowances.reserve_hours(replace(gangs[3], market=Market.SPOT), NOW), "Spot has no such limit"


def test_hours_are_those_of_the_day_of_the_launch(allowances: Allowances, table: RunTable, gangs: list[Gang]) -> None:
    # Given a gang whose Task asked today and which is launched tomorrow
    tomorrow = NOW + timedelta(days=1)
    assert allowances.reserve_hours(gangs[0], tomorrow)
    assert [allowances.spent(day) for day in (NOW, tomorrow)] == [timedelta(0), timedelta(hours=6)]
    # Then it settles there, whatever whoever settles has read of it, and is not booked a second time
    assert allowances.reserve_hours(gangs[0], tomorrow + timedelta(days=1))
    allowances.settle_hours(gangs[0], timedelta(hours=1))
    assert allowances.spent(tomorrow) == timedelta(hours=1)
    assert next(gang.hours_day for gang in table.gangs("r")) == f"{tomorrow:%Y%m%d}"


def test_a_closed_gang_reserves_nothing(allowances: Allowances, table: RunTable, gangs: list[Gang]) -> None:
    table.close_gang(gangs[0], "ended")
    assert allowances.reserve_hours(gangs[0], NOW), "its launcher learns of the end when it claims the submission"
    assert allowances.spent(NOW) == timedelta(0)


def test_what_an_earlier_version_reserved_is_settled_where_it_is(
    allowances: Allowances, dynamodb: Any, gangs: list[Gang]
) -> None:
    # Given hours that the version before booked on the day on which the Task asked, and did not note in the gang's record
    dynamodb.update_item(
        TableName="runs",
        Key={"pk": {"S": f"BUDGET#{NOW:%Y%m%d}"}, "sk": {"S": "ON_DEMAND"}},
        UpdateExpression="SET #gang = :seconds ADD spent :seconds",
        ExpressionAttributeNames={"#gang": gangs[0].name},
        ExpressionAttributeValues={":seconds": {"N": "21600"}},
    )
    assert allowances.reserve_hours(gangs[0], NOW), "it has reserved already"
    allowances.settle_hours(gangs[0], timedelta(hours=1))
    assert allowances.spent(NOW) == timedelta(hours=1)


def test_what_was_not_used_is_there_for_others(allowances: Allowances, gangs: list[Gang]) -> None:
    for gang in gangs[:2]:
        allowances.reserve_hours(gang, NOW)
    for _ in range(2):
        allowances.settle_hours(gangs[0], timedelta(hours=1))  # 7 of 12 are spent: an attempt of 6 does not fit
    assert not allowances.reserve_hours(gangs[2], NOW)
    allowances.settle_hours(gangs[1], timedelta(0))
    assert allowances.reserve_hours(gangs[2], NOW)
    assert not allowances.reserve_hours(gangs[3], NOW)


def test_a_gang_that_never_reserved_gives_nothing_back(allowances: Allowances, gangs: list[Gang]) -> None:
    allowances.settle_hours(gangs[3], timedelta(hours=5))
    assert [allowances.reserve_hours(gang, NOW) for gang in gangs[:2]] == [True, True]


@pytest.mark.parametrize("hours", [0, 5])
def test_a_day_without_room_for_an_attempt_has_none(hours: int, dynamodb: Any) -> None:
    allowances = Allowances("runs", dynamodb, replace(LIMITS, hours_per_day=hours))
    assert not allowances.reserve_hours(ON_DEMAND, NOW)


def test_a_gang_that_gives_way_waits_as_the_next_generation(table: RunTable) -> None:
    # Given a gang whose job ended so that another one gets its slot
    table.raise_generation("r", execution_arn="arn:execution")
    gang = replace(SPOT, redrives=1, falls_back=True)
    table.record_gang(gang)
    table.claim_submission(gang, NOW)
    table.record_job(gang, "5f0c")
    # When it is queued again
    later = NOW + timedelta(hours=1)
    assert table.requeue_gang(gang, later)
    # Then the next generation waits behind the same token, and the old one is over
    assert table.gangs("r") == [replace(gang, generation=2, requeued_at=later)]
    assert table.newest_generation("r") == 2
    assert not table.requeue_gang(gang, later), "once"


def test_a_gang_of_an_older_generation_does_not_wait_again(table: RunTable) -> None:
    for _ in range(2):
        table.raise_generation("r", execution_arn="arn:execution")
    table.record_gang(SPOT)
    assert not table.requeue_gang(SPOT, NOW)
    assert table.gangs("r") == [SPOT]
