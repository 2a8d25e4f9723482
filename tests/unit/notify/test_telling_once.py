"""Each outcome is told once, whatever Slack answers and however often it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import notify
from announce.outcomes import MessageKey
from announce.table import TableClaims
from tests.unit.notify.edge import REJECTED, RUN_ID, SUCCESS, Edge, call, ended, executions_time
from tests.unit.notify.slack_server import SlackServer


def test_a_success_is_told_by_the_machine_and_not_again_by_its_event(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        answers = [call(SUCCESS), call(ended("SUCCEEDED"))]

    assert answers == ["post", "confirmed"]
    assert [message["text"].splitlines()[0] for message in slack.accepted] == ["✅ flights 2013-02-09 is done"]


def test_a_silent_slack_fails_no_run_and_the_event_is_the_second_chance(edge: Edge) -> None:
    with SlackServer(*[500] * 4) as slack:
        edge.set_webhook(slack.url)

        answers = [call(SUCCESS), call(ended("SUCCEEDED"))]

    assert answers == ["not-told", "post"]
    assert len(slack.accepted) == 1
    assert "may have been posted before" not in slack.accepted[0]["text"]


def test_a_message_without_an_answer_says_that_it_may_be_a_repetition(edge: Edge) -> None:
    with SlackServer("hang") as slack:
        edge.set_webhook(slack.url)

        answers = [call(SUCCESS), call(ended("SUCCEEDED")), call(ended("SUCCEEDED"))]

    assert answers == ["not-told", "repeat", "confirmed"]
    assert "may have been posted before" in slack.accepted[0]["text"]


@pytest.mark.parametrize("trouble", [[500] * 4, ["hang"]])
def test_an_event_that_cannot_be_told_raises_so_that_lambda_tries_again(edge: Edge, trouble: list[Any]) -> None:
    with SlackServer(*trouble) as slack:
        edge.set_webhook(slack.url)

        with pytest.raises(notify.NotTold, match="SLACK"):
            call(ended("FAILED"))
        assert call(ended("FAILED")) in ("post", "repeat")

    assert len(slack.accepted) == 1


def test_a_message_that_slack_has_no_room_for_comes_in_a_summary(edge: Edge) -> None:
    with SlackServer(*[(429, {"Retry-After": "600"})] * 2) as slack:
        edge.set_webhook(slack.url)

        answers = [call(ended("FAILED")), call(ended("FAILED"))]
        answers += [call({"kind": "summary"}) for _ in range(3)] + [call(ended("FAILED"))]

    # The summary that Slack refused is no failed event: reconcile asks for it again
    assert answers == ["summarised", "summarised", "not-told", "post", "nothing-to-say", "summarised"]
    [message] = slack.accepted
    assert message["text"].startswith("❌ 1 more message, 1 of failed runs")
    assert "flights 2013-02-09 failed: Data.Rejected" in message["text"]


def test_without_a_webhook_messages_wait_for_their_summary(edge: Edge) -> None:
    with SlackServer((429, {"Retry-After": "600"})) as slack:
        edge.set_webhook(slack.url)
        call(ended("FAILED"))
        edge.set_webhook("unset")
        assert call({"kind": "summary"}) == "webhook-unset"
        edge.set_webhook(slack.url)
        assert call({"kind": "summary"}) == "post"


def test_every_redrive_s_end_is_told(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        answers = [call(ended("FAILED", count)) for count in (0, 1, 1)]

    assert answers == ["post", "post", "confirmed"]


def test_rejected_files_of_a_folder_are_told_once(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        answers = [call(REJECTED), call({**REJECTED, "key": "data/y.csv"}), call({**REJECTED, "key": "data/z/y.csv"})]

    assert answers == ["post", "confirmed", "post"]


def test_two_functions_at_once_post_one_message(edge: Edge) -> None:
    claims = TableClaims("runs", edge.dynamodb)
    key = MessageKey(f"RUN#{RUN_ID}", "MESSAGE#0#FAILED")
    claims.write(key, claims.read(key).taken(datetime.now(UTC)))
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        with pytest.raises(notify.NotTold, match="is being posted"):
            call(ended("FAILED"))

    assert slack.received == []


def test_claims_expire_after_the_time_to_redrive(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)
        call(ended("FAILED"))

    items = {item["sk"]["S"]: item for item in edge.dynamodb.scan(TableName="runs")["Items"]}
    claims = {"MESSAGE#0#FAILED", "MESSAGE#0#FAILED#TOPIC"}
    assert items.keys() == {*claims, "RUN", "RATE"}
    for name in claims:
        assert items[name]["pk"]["S"] == f"RUN#{RUN_ID}"
        assert int(items[name]["expires_at"]["N"]) > executions_time().timestamp() + 14 * 86400
