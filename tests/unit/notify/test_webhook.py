"""What Slack does to a message, and what we may conclude from it."""

import time
from typing import Any

import pytest

from announce import webhook
from announce.delivery import Refused, Silent
from announce.messages import Announcement, to_message
from announce.webhook import SlackWebhook
from tests.unit.notify.slack_server import SlackServer

SAID = Announcement("run-failed", "❌", "flights failed", "It failed.")
MESSAGE = to_message(SAID)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("slack_sdk.http_retry.handler.time.sleep", lambda _: None)


def post(server: SlackServer, patience: float = 50) -> None:
    SlackWebhook(server.url, patience).post(SAID, maybe_repeated=False)


def test_text_and_blocks_arrive() -> None:
    with SlackServer() as slack:
        post(slack)

    assert slack.accepted == [{"text": MESSAGE.text, "blocks": MESSAGE.blocks, "unfurl_links": False}]


@pytest.mark.parametrize("trouble", [[500], [503, 500], [(429, {"Retry-After": "1"})], [(429, {}), 500]])
def test_passing_trouble_is_waited_out(trouble: list[Any]) -> None:
    with SlackServer(*trouble) as slack:
        post(slack)

    assert len(slack.accepted) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 410, 500, 429])
def test_a_lasting_no_is_a_refusal_with_slack_s_own_words(status: int) -> None:
    with SlackServer(*[status] * 9) as slack, pytest.raises(Refused, match=f"{status}: no"):
        post(slack)

    assert slack.accepted == []


def test_a_wait_that_outlives_the_function_is_not_begun() -> None:
    with SlackServer((429, {"Retry-After": "120"})) as slack, pytest.raises(Refused, match="429"):
        post(slack, patience=30)

    assert len(slack.received) == 1


@pytest.mark.parametrize("trouble", ["hang", "reset"])
def test_no_answer_is_never_repeated_behind_our_back(trouble: str) -> None:
    with SlackServer(trouble) as slack, pytest.raises(Silent):
        post(slack)

    assert len(slack.received) == 1


def test_nobody_there_is_a_refusal() -> None:
    with SlackServer() as slack:
        url = slack.url

    with pytest.raises(Refused, match="could not be reached"):
        SlackWebhook(url, 50).post(SAID, maybe_repeated=False)


def test_a_name_that_does_not_resolve_is_a_refusal() -> None:
    with pytest.raises(Refused, match="could not be reached"):
        SlackWebhook("http://nowhere.invalid/x", 50).post(SAID, maybe_repeated=False)


def test_it_does_not_take_longer_than_it_should() -> None:
    began = time.monotonic()
    with SlackServer("hang") as slack, pytest.raises(Silent):
        post(slack)

    assert time.monotonic() - began < 3


def test_blocks_that_slack_will_not_have_are_left_out() -> None:
    with SlackServer((400, {}, b"invalid_blocks")) as slack:
        post(slack)

    assert slack.accepted == [{"text": MESSAGE.text, "unfurl_links": False}]
