"""Messages keep to Slack's limits and show data as data."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from announce.messages import Announcement, Fact, Link, Message, Step, escape, to_message

texts = st.text(max_size=4000)
announcements = st.builds(
    Announcement,
    kind=st.just("run-succeeded"),
    symbol=st.just("✅"),
    title=texts,
    summary=texts.filter(bool),
    facts=st.lists(st.builds(Fact, texts, texts), max_size=25).map(tuple),
    log=st.lists(texts, max_size=20).map(tuple),
    steps=st.lists(st.builds(Step, texts, texts), max_size=6).map(tuple),
    links=st.lists(st.builds(Link, texts, st.just("https://x.example/?a=b|c>d e")), max_size=4).map(tuple),
    footnote=texts,
)


def texts_of(message: Message) -> Iterator[str]:
    for block in message.blocks:
        yield from (
            part["text"] for part in [block.get("text"), *block.get("fields", []), *block.get("elements", [])] if part
        )


@given(announcements)
def test_every_block_is_within_slack_s_limits(said: Announcement) -> None:
    message = to_message(said, maybe_repeated=True)

    assert 1 <= len(message.blocks) <= 50
    assert 1 <= len(message.text) <= 4000
    for block in message.blocks:
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
        elif "fields" in block:
            assert len(block["fields"]) <= 10
            assert all(1 <= len(field["text"]) <= 2000 for field in block["fields"])
        elif block["type"] == "section":
            assert 1 <= len(block["text"]["text"]) <= 3000
        else:
            assert block["type"] == "context"
            assert len(block["elements"]) <= 10


@given(announcements)
def test_nothing_in_the_data_becomes_a_link_or_a_mention(said: Announcement) -> None:
    message = to_message(said)

    for text in [message.text, *(text for block in message.blocks[1:] for text in texts_of_block(block))]:
        for tag in re.findall(r"<[^>]*>", text):
            assert tag.startswith("<https://x.example/")
        assert not re.search(r"&(?!amp;|lt;|gt;)", re.sub(r"<https://[^>]*>", "", text))


def texts_of_block(block: dict[str, Any]) -> list[str]:
    """The texts of a block in which Slack looks for links and mentions: those of the kind `plain_text` are shown as they are."""
    parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
    return [part["text"] for part in parts if part and part["type"] == "mrkdwn"]


@given(st.text(alphabet="a&<>", max_size=60), st.integers(1, 80))
def test_escaping_never_cuts_an_entity_and_never_outgrows_its_limit(text: str, limit: int) -> None:
    escaped = escape(text, limit)

    assert len(escaped) <= limit
    assert re.fullmatch(r"(a|&amp;|&lt;|&gt;)*…?", escaped)


def test_a_log_shows_its_newest_lines_and_cannot_end_its_block() -> None:
    log = (*tuple(f"line {at} {'x' * 350}" for at in range(30)), "``` *bold* <!channel>")

    (text,) = [
        text
        for text in texts_of(to_message(Announcement("run-succeeded", "✅", "t", "s", log=log)))
        if "Last lines" in text
    ]

    assert text.count("```") == 2
    assert "&lt;!channel&gt;" in text
    assert "line 29" in text
    assert "line 0 " not in text


def test_a_repetition_says_so() -> None:
    said = Announcement("run-succeeded", "✅", "t", "s", footnote="run-1")

    assert "may have been posted before" in to_message(said, maybe_repeated=True).text
    assert "may have been posted before" not in to_message(said).text


def test_an_address_with_a_bar_stays_one_link() -> None:
    message = to_message(
        Announcement("run-succeeded", "✅", "t", "s", links=(Link("a|b", "https://x.example/k|v> w"),))
    )

    assert message.blocks[-1]["text"]["text"] == "<https://x.example/k%7Cv%3E%20w|a b>"


@pytest.mark.parametrize("name", [":skull:", "*bold*"])
def test_a_title_is_plain_text(name: str) -> None:
    header = to_message(Announcement("run-succeeded", "✅", name, "s")).blocks[0]

    assert header["text"] == {"type": "plain_text", "text": f"✅ {name}", "emoji": False}
