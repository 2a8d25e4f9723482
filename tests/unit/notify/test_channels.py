"""Slack and the topic: neither waits for the other, and neither has to be there."""

from __future__ import annotations

import html

import pytest

import notify
from tests.unit.notify.edge import SUCCESS, Edge, call, ended, invoke
from tests.unit.notify.slack_server import SlackServer


@pytest.mark.parametrize("secret", ["unset", "  unset\n"])
def test_without_a_webhook_nothing_fails_and_the_log_says_so(
    edge: Edge, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    edge.set_webhook(secret)

    assert call(SUCCESS) == "webhook-unset"
    assert call(ended("FAILED")) == "webhook-unset"
    assert "no Slack webhook is set" in caplog.text


def test_a_secret_that_is_no_address_is_an_error_that_says_what_it_must_hold(edge: Edge) -> None:
    edge.set_webhook('{"url": "x"}')

    with pytest.raises(notify.NotTold, match="plain text"):
        call(ended("FAILED"))


def test_the_topic_carries_the_same_as_slack_once(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)
        answers = [invoke(ended("FAILED")), invoke(ended("FAILED"))]

    (note,) = edge.topic.received()
    assert answers == [{"TOPIC": "post", "SLACK": "post"}, {"TOPIC": "confirmed", "SLACK": "confirmed"}]
    assert note["Subject"] == "flights 2013-02-09 failed: Data.Rejected"
    assert note["Message"] == html.unescape(slack.accepted[0]["text"])
    assert note["MessageAttributes"]["kind"]["Value"] == "run-failed"


@pytest.mark.parametrize("secret", ["unset", "http://127.0.0.1:9/nobody-listens", '{"url": "x"}'])
def test_the_topic_does_not_wait_for_slack(edge: Edge, secret: str) -> None:
    edge.set_webhook(secret)

    answer = invoke(SUCCESS)

    assert answer["TOPIC"] == "post"
    assert answer["SLACK"] in ("webhook-unset", "not-told")
    assert [note["Subject"] for note in edge.topic.received()] == ["flights 2013-02-09 is done"]


def test_slack_does_not_wait_for_the_topic(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = edge.topic.arn
    monkeypatch.setenv("MESSAGES_TOPIC", f"{arn}-of-somebody-else")
    with SlackServer() as slack:
        edge.set_webhook(slack.url)
        with pytest.raises(notify.NotTold, match="TOPIC: SNS answered 404"):
            invoke(ended("FAILED"))
        monkeypatch.setenv("MESSAGES_TOPIC", arn)
        answer = invoke(ended("FAILED"))

    assert answer == {"TOPIC": "post", "SLACK": "confirmed"}
    assert len(slack.accepted) == len(edge.topic.received()) == 1
