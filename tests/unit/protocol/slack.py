"""A Slack in memory, in moods, which remembers what reached it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from announce.delivery import Refused, Silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from announce.messages import Announcement
    from announce.outcomes import MessageKey
    from tests.unit.protocol.calls import Turns


class Mood(StrEnum):
    """What Slack does with a post."""

    WELL = "confirms it"
    REFUSING = "refuses it"
    SILENT = "takes it and does not answer"
    DEAF = "neither takes it nor answers"


@dataclass
class FakeSlack:
    """What arrived of each message, in order, and what arrived although it was written down as confirmed."""

    turns: Turns
    is_confirmed: Callable[[MessageKey], bool]
    arrived: defaultdict[MessageKey, list[str]] = field(default_factory=lambda: defaultdict(list))
    arrived_again: list[MessageKey] = field(default_factory=list)

    def webhook(self, key: MessageKey, mood: Mood) -> FakeWebhook:
        return FakeWebhook(self, key, mood)


@dataclass
class FakeWebhook:
    """Slack as one post meets it."""

    slack: FakeSlack
    key: MessageKey
    mood: Mood

    def post(self, said: Announcement, *, maybe_repeated: bool) -> None:
        self.slack.turns.pause()
        if self.mood is Mood.REFUSING:
            raise Refused("no")
        if self.mood is not Mood.DEAF:
            if self.slack.is_confirmed(self.key):
                self.slack.arrived_again.append(self.key)
            self.slack.arrived[self.key].append("repeated" if maybe_repeated else "first")
        if self.mood is not Mood.WELL:
            raise Silent("no answer")
