"""Messages over Slack's rate: each is in exactly one message, its own or a summary, wherever a function is cut short or overtaken."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.unit.protocol.calls import Crashed, InternalServerError
from tests.unit.protocol.invariants import assert_everything_told, assert_told_once
from tests.unit.protocol.scenes import guards
from tests.unit.protocol.slack import Mood
from tests.unit.protocol.steps import Ending
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CALLS = 16
"""More than either function makes, so that the last ones come to their ends."""
CUTS = [(calls, ending) for calls in range(MOST_CALLS) for ending in (Crashed, InternalServerError)]
LATER = timedelta(minutes=3)
"""When a claim that was left open has expired, and there are turns again."""


def failures(count: int) -> World:
    """A minute with one message of Slack's, and runs that fail in it."""
    world = World(slack_messages_per_minute=1)
    world.endings += [Ending(f"run-{number}", "FAILED", 0) for number in range(count)]
    return world


def arrived(world: World) -> list[list[str]]:
    return [world.slack.arrived[world.message_of(ending)] for ending in world.endings]


def assert_all_sent(world: World) -> None:
    """After a while, with every event delivered again."""
    world.clock.advance(LATER)
    for ending in world.endings:
        world.notify(ending)
    world.clock.advance(LATER)
    world.summarise()
    assert_told_once(world)
    assert_everything_told(world)
    assert all(arrived(world)), "some message never arrived"


def test_messages_over_the_limit_are_one_message() -> None:
    world = failures(9)
    for ending in world.endings:
        world.notify(ending)
    assert arrived(world) == [["first"], *[[]] * 8]
    world.summarise()
    assert arrived(world) == [["first"]] * 9
    world.line.counts.clear()
    world.summarise()
    assert world.line.counts.total() == 1, "when nothing waits, one query says so"
    assert_all_sent(world)


@pytest.mark.parametrize("later", [timedelta(0), LATER])
@pytest.mark.parametrize(("calls", "ending"), CUTS)
def test_a_function_that_is_cut_short_while_it_hands_over(
    calls: int, ending: type[BaseException], later: timedelta
) -> None:
    world = failures(2)
    world.notify(world.endings[0])
    world.fuse.calls, world.fuse.ending = calls, ending
    world.notify(world.endings[1])
    world.clock.advance(later)
    world.notify(world.endings[1])
    assert_all_sent(world)


@pytest.mark.parametrize("mood", Mood)
@pytest.mark.parametrize(("calls", "ending"), CUTS)
def test_a_function_that_is_cut_short_while_it_summarises(calls: int, ending: type[BaseException], mood: Mood) -> None:
    world = failures(5)
    for one in world.endings[:4]:
        world.notify(one)
    world.fuse.calls, world.fuse.ending = calls, ending
    world.summarise(mood)
    world.notify(world.endings[4])  # waits for the summary after this one
    if mood is Mood.DEAF:  # nothing arrived, and the repetition says that something may have
        world.clock.advance(LATER)
        world.summarise()
    assert_all_sent(world)


@pytest.mark.parametrize("calls", range(MOST_CALLS))
@pytest.mark.parametrize("again", ["notify", "summarise"])
@pytest.mark.parametrize("first", ["notify", "summarise"])
def test_whatever_happens_between_two_calls(first: str, again: str, calls: int) -> None:
    world = failures(4)
    for ending in world.endings[:3]:
        world.notify(ending)
    acts: dict[str, Callable[[], None]] = {
        "notify": partial(world.notify, world.endings[3]),
        "summarise": world.summarise,
    }
    world.turns.run([acts[first], acts[again]], [0] * calls + [1] * 60)
    assert_all_sent(world)


def test_what_may_have_arrived_is_repeated_by_itself_and_says_so() -> None:
    world = failures(2)
    world.notify(world.endings[1], Mood.SILENT)
    world.notify(world.endings[0])
    world.notify(world.endings[1])
    assert arrived(world) == [[], ["first", "repeated"]]
    assert_all_sent(world)


def test_slack_may_ask_for_less_than_the_limit() -> None:
    world = failures(1)
    world.notify(world.endings[0], Mood.LIMITING)
    world.summarise(Mood.LIMITING)
    assert arrived(world) == [[]]
    assert_all_sent(world)


def a_function_dies_while_it_hands_over() -> None:
    for calls in range(MOST_CALLS):
        test_a_function_that_is_cut_short_while_it_hands_over(calls, Crashed, LATER)


def test_a_claim_and_its_place_in_a_summary_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("a message is handed over in one write", a_function_dies_while_it_hands_over, monkeypatch)


def two_functions_summarise() -> None:
    for calls in range(MOST_CALLS):
        test_whatever_happens_between_two_calls("summarise", "summarise", calls)


def test_a_summary_begins_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("summaries begin one after the other", two_functions_summarise, monkeypatch)
