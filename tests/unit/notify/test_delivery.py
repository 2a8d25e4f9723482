"""A confirmed message is never repeated; an unconfirmed one is repeated at most once, saying so."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from announce.claims import LEASE, Claim, ClaimLost, Verdict
from announce.delivery import InFlight, Refused, Silent, deliver
from announce.messages import Announcement
from announce.outcomes import MessageKey

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = MessageKey("RUN#run", "MESSAGE#0#FAILED")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2013, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class MemoryClaims:
    """Claims in memory, with the table's condition on revisions."""

    def __init__(self) -> None:
        self.claim = Claim()
        self.before_write: Callable[[], None] = lambda: None

    def read(self, _key: MessageKey) -> Claim:
        return self.claim

    def write(self, _key: MessageKey, claim: Claim) -> None:
        self.before_write()
        if claim.revision != self.claim.revision + 1:
            raise ClaimLost
        self.claim = claim

    def hand_over(self, key: MessageKey, claim: Claim, said: Announcement) -> None:
        self.write(key, claim)
        self.handed_over = said


SAID = Announcement("run-failed", "❌", "title", "summary")


class Slack:
    """A channel that answers as told: ok, refused, silent (took it or not), or dies with the function."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.channel: list[str] = []

    def post(self, said: Announcement, *, maybe_repeated: bool) -> None:
        assert said is SAID
        text = "maybe again" if maybe_repeated else "first"
        match self.answers.pop(0) if self.answers else "ok":
            case "ok":
                self.channel.append(text)
            case "refused":
                raise Refused
            case "taken and silent":
                self.channel.append(text)
                raise Silent
            case "silent":
                raise Silent
            case "taken and died":
                self.channel.append(text)
                raise KeyboardInterrupt
            case "died":
                raise KeyboardInterrupt


class World:
    def __init__(self, *answers: str) -> None:
        self.claims, self.slack, self.clock = MemoryClaims(), Slack(*answers), Clock()

    def deliver(self) -> Verdict:
        return deliver(
            KEY,
            lambda: SAID,
            claims=self.claims,
            channel=self.slack,
            clock=self.clock,
        )

    def attempt(self) -> Verdict | None:
        """One invocation, a while after the one before; None when it failed or died."""
        self.clock.now += LEASE + timedelta(seconds=1)
        try:
            return self.deliver()
        except (Refused, Silent, KeyboardInterrupt):
            return None


def test_an_outcome_told_twice_is_posted_once() -> None:
    world = World()

    assert [world.attempt(), world.attempt()] == [Verdict.POST, Verdict.CONFIRMED]
    assert world.slack.channel == ["first"]


def test_a_refused_message_arrives_once_when_slack_takes_it() -> None:
    world = World("refused", "refused", "refused", "refused")

    assert [world.attempt() for _ in range(5)][-1] is Verdict.POST
    assert world.slack.channel == ["first"]


@pytest.mark.parametrize("lost", ["taken and silent", "taken and died"])
def test_a_message_without_an_answer_is_repeated_once_and_says_so(lost: str) -> None:
    world = World(lost)

    assert [world.attempt() for _ in range(3)] == [None, Verdict.REPEAT, Verdict.CONFIRMED]
    assert world.slack.channel == ["first", "maybe again"]


def test_after_two_silences_it_is_given_up() -> None:
    world = World("taken and silent", "taken and silent")

    assert [world.attempt() for _ in range(4)] == [None, None, Verdict.GIVEN_UP, Verdict.GIVEN_UP]
    assert world.slack.channel == ["first", "maybe again"]


def test_while_one_function_posts_another_one_waits() -> None:
    world = World("died")
    world.attempt()

    with pytest.raises(InFlight):
        world.deliver()
    assert world.slack.channel == []


def test_of_two_functions_at_once_one_posts() -> None:
    world = World()
    other = Claim().taken(world.clock())

    def overtaken() -> None:
        world.claims.before_write = lambda: None
        world.claims.claim = other

    world.claims.before_write = overtaken
    with pytest.raises(InFlight):
        world.deliver()
    assert world.slack.channel == []


def test_nothing_is_claimed_when_there_is_nothing_to_say() -> None:
    world = World()

    verdict = deliver(KEY, lambda: None, claims=world.claims, channel=world.slack, clock=world.clock)

    assert verdict is Verdict.NOTHING_TO_SAY
    assert world.claims.claim == Claim()


@given(st.lists(st.sampled_from(["ok", "refused", "silent", "taken and silent", "died", "taken and died"]), max_size=8))
def test_whatever_happens_it_arrives_at_most_twice_and_a_second_time_says_so(answers: list[str]) -> None:
    world = World(*answers)

    verdicts = [world.attempt() for _ in range(len(answers) + 2)]

    assert world.slack.channel in ([], ["first"], ["maybe again"], ["first", "maybe again"])
    confirmed = [verdict for verdict in verdicts if verdict in (Verdict.POST, Verdict.REPEAT)]
    assert len(confirmed) <= 1
    if confirmed:
        assert verdicts[-1] is Verdict.CONFIRMED
