"""Slack in trouble, the topic beside it, and what the table's indexes say afterwards: through the deployed system."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from cli.slack import Trouble, message_text
from spotline.prices import SHIPPED
from tests.twin.messages_cloud import MessagesCloud, messages_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.timeout(240), pytest.mark.ours]

TROUBLES = {
    "asks for patience": [Trouble(429, retry_after=1)],
    "fails": [Trouble(500)] * 4,
    "says nothing": [Trouble(None)],
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[MessagesCloud]:
    with messages_cloud() as running:
        yield running


def arrives_once(cloud: MessagesCloud, begin: str, status: str, trouble: str) -> None:
    run = cloud.land(fails=status == "FAILED")
    cloud.slack.will_have(*TROUBLES[trouble])
    # When the run ends while Slack is in trouble
    assert cloud.start(run) == status
    # Then its message arrives when it can, once, in both places
    cloud.until(lambda: cloud.told(run) and cloud.published(run), f"the messages of {run.run_id}")
    posts = cloud.slack.posts
    [text] = cloud.told(run)
    assert text.startswith(begin)
    assert ("may have been posted before" in text) is (trouble == "says nothing")
    [note] = cloud.published(run)
    assert note["MessageAttributes"]["kind"]["Value"] == f"run-{status.lower()}"
    # And telling the same end again tells nobody
    detail = {"executionArn": cloud.arn(run), "status": status, "redriveCount": 0}
    again = {"detail-type": "Step Functions Execution Status Change", "detail": detail}
    answer = cloud.twin.client("lambda").invoke(
        FunctionName=cloud.stack.outputs["NotifyFunction"], Payload=json.dumps(again).encode()
    )
    assert json.loads(answer["Payload"].read()) == {"TOPIC": "confirmed", "SLACK": "confirmed"}
    assert (cloud.slack.posts, len(cloud.published(run))) == (posts, 1)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_run_fails_and_its_message_arrives_once_when_slack(cloud: MessagesCloud, trouble: str) -> None:
    arrives_once(cloud, "✅", "SUCCEEDED", trouble)


def test_a_failure_is_told_once_when_slack_fails(cloud: MessagesCloud) -> None:
    arrives_once(cloud, "❌", "FAILED", "fails")


def test_what_slack_has_no_room_for_comes_in_a_summary(cloud: MessagesCloud) -> None:
    # Given a run that fails while Slack takes no messages
    run = cloud.land(fails=True)
    cloud.slack.will_have(Trouble(429, retry_after=600))
    assert cloud.start(run) == "FAILED"
    # Then the topic has its message at once, and Slack a summary with its name after the next scheduled reconcile
    cloud.until(lambda: cloud.published(run), "the message in the topic")
    cloud.until(lambda: any(run.dataset in text for text in cloud.summaries()), "the summary")
    assert [text for text in cloud.told(run) if text.startswith("❌ told-")] == []


def test_more_messages_than_slack_takes_are_one(cloud: MessagesCloud) -> None:
    # Given a Slack that gets three messages a minute
    with cloud.slack_messages_per_minute(3):
        before, posts = len(cloud.summaries()), cloud.slack.posts
        # When ten days are late at once, and each of them is told twice
        days = [
            {"kind": "late-day", "dataset": "tardy", "day": f"201302{day}", "expected_by": "06:00"}
            for day in range(10, 20)
        ]
        for late in (*days, *days):
            cloud.notify(late)
        cloud.until(lambda: len(cloud.summaries()) > before and not cloud.unsent(), "a summary of all that waited")
    # Then at most three came alone, and the others in one message or, if a reconcile came between, in two
    texts = [text for text in map(message_text, cloud.slack.messages) if "tardy" in text]
    alone = [text for text in texts if text.startswith("⏰")]
    summarised = [int(text.split()[1]) for text in cloud.summaries()[before:]]
    assert 1 <= len(alone) <= 3
    assert len(alone) + sum(summarised) == 10
    assert cloud.slack.posts - posts == len(alone) + len(summarised) <= 5


def test_a_failed_run_is_in_the_index_of_failed_runs_until_it_is_redriven(cloud: MessagesCloud) -> None:
    run = cloud.land(fails=True)

    def failed() -> list[str]:
        return [item["run_id"] for item in cloud.query("failed-runs", "failed_run = :yes", yes="yes")]

    assert cloud.start(run) == "FAILED"
    cloud.until(lambda: run.run_id in failed(), "the failed run in the index")
    [item] = [
        item for item in cloud.query("failed-runs", "failed_run = :yes", yes="yes") if item["run_id"] == run.run_id
    ]
    assert (item["status"], item["dataset"], item["key"]) == ("FAILED", run.dataset, run.source.key)
    assert item["failure"]

    cloud.clean(run)
    assert cloud.redrive(run) == "SUCCEEDED"
    cloud.until(lambda: run.run_id not in failed(), "the index without the redriven run")


def test_failed_runs_are_found_by_when_they_stopped(cloud: MessagesCloud) -> None:
    run = cloud.land(fails=True)
    assert cloud.start(run) == "FAILED"
    cloud.until(lambda: "stopped_at" in cloud.record(run), "the record of the end")
    stopped = cloud.record(run)["stopped_at"]

    since = cloud.query("failed-runs", "failed_run = :yes AND stopped_at >= :since", yes="yes", since=stopped)
    after = cloud.query("failed-runs", "failed_run = :yes AND stopped_at > :since", yes="yes", since=stopped)

    assert run.run_id in [item["run_id"] for item in since]
    assert run.run_id not in [item["run_id"] for item in after]


def test_a_day_s_runs_are_found_by_the_day_and_by_the_dataset_within_it(cloud: MessagesCloud) -> None:
    good, other = cloud.land("of-a-day", "20130301"), cloud.land("beside", "20130301")
    bad = cloud.land("of-a-day", "20130301", fails=True)
    for run in (good, bad, other):
        cloud.start(run)
    ids = {run.run_id for run in (good, bad, other)}

    def of_the_day() -> dict[str, str]:
        items = cloud.query("runs-of-a-day", "run_day = :day", day="20130301")
        return {item["run_id"]: item.get("status", "") for item in items}

    cloud.until(lambda: set(of_the_day().values()) == {"SUCCEEDED", "FAILED"} and of_the_day().keys() == ids, "the day")
    of_the_dataset = cloud.query(
        "runs-of-a-day", "run_day = :day AND begins_with(run_id, :dataset)", day="20130301", dataset="of-a-day-"
    )
    assert {item["run_id"] for item in of_the_dataset} == {good.run_id, bad.run_id}


def test_every_run_has_a_cost_also_one_that_failed_with_the_prices_that_hold(cloud: MessagesCloud) -> None:
    mine = json.loads(SHIPPED.read_text())
    mine["as_of"], mine["instances"]["m6i.xlarge"]["on_demand"] = "2013-02", 360_000_000.0
    ingest = {"Bucket": cloud.stack.outputs["IngestBucket"], "Key": "prices.json"}
    cloud.twin.client("s3").put_object(**ingest, Body=json.dumps(mine).encode())
    run = cloud.land(fails=True)

    assert cloud.start(run) == "FAILED"
    cloud.until(lambda: "cost" in cloud.record(run), "the cost")
    cloud.twin.client("s3").delete_object(**ingest)

    cost = cloud.record(run)["cost"]
    assert (cost["prices_as_of"], cost["currency"]) == ("2013-02", "USD")
    assert [job["stage"] for job in cost["jobs"]] == ["preprocess"]
    assert cost["total"] == cost["costs"]["ON_DEMAND"] >= Decimal(0)


def test_the_cost_of_a_run_counts_its_gang_s_members_and_its_other_jobs(cloud: MessagesCloud) -> None:
    run = cloud.land()

    assert cloud.start(run) == "SUCCEEDED"
    cloud.until(lambda: cloud.told(run), "the message")

    cost = cloud.record(run)["cost"]
    assert [job["stage"] for job in cost["jobs"]] == ["preprocess", "analysis", "postprocess"]
    assert [*cost["jobs"][1]["hours"]] == ["SPOT"]


def test_awkward_keys_and_several_files_of_a_day_are_runs_of_their_own(cloud: MessagesCloud) -> None:
    begin = "data/awkward/20130401/"
    files = ["a+b%41.csv", "with space.csv", "m\u00e9t\u00e9o.csv", "x" * (1024 - len(begin) - 4) + ".csv"]
    keys = {begin + file for file in files}
    steps, machine = cloud.twin.client("stepfunctions"), cloud.stack.outputs["StateMachineArn"]

    def landed() -> set[str]:
        found = steps.list_executions(stateMachineArn=machine)["executions"]
        arns = [run["executionArn"] for run in found if run["name"].startswith("awkward-20130401-")]
        return {json.loads(steps.describe_execution(executionArn=arn)["input"])["source"]["key"] for arn in arns}

    with cloud.starting_runs():
        for key in keys:
            cloud.twin.client("s3").put_object(Bucket=cloud.stack.outputs["IngestBucket"], Key=key, Body=b"a\n")
        cloud.until(lambda: landed() == keys, "a run of each file under its very key")
