"""A Slack in memory, in moods, which remembers what reached it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from announce.delivery import RateLimited, Refused, Silent
from announce.messages import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from announce.messages import Announcement
    from announce.outcomes import MessageKey
    from tests.unit.protocol.calls import Turns


class Mood(StrEnum):
    """What Slack does with a post."""

    WELL = "confirms it"
    REFUSING = "refuses it"
    LIMITING = "refuses it for the rate of messages"
    SILENT = "takes it and does not answer"
    DEAF = "neither takes it nor answers"


@dataclass
class FakeSlack:
    """What arrived of each message, in order; what each message stood for; what arrived although it was written down as confirmed."""

    turns: Turns
    is_confirmed: Callable[[MessageKey], bool]
    arrived: defaultdict[MessageKey, list[str]] = field(default_factory=lambda: defaultdict(list))
    contents: dict[MessageKey, list[MessageKey]] = field(default_factory=dict)
    arrived_again: list[MessageKey] = field(default_factory=list)

    def webhook(self, key: MessageKey, mood: Mood) -> FakeWebhook:
        return FakeWebhook(self, lambda: (key, [key]), mood)


@dataclass
class FakeWebhook:
    """Slack as one post meets it. `what` says which message it is, and which messages it stands for: itself, or a summary's."""

    slack: FakeSlack
    what: Callable[[], tuple[MessageKey, list[MessageKey]]]
    mood: Mood

    def post(self, said: Announcement, *, maybe_repeated: bool) -> None:
        self.slack.turns.pause()
        message, keys = self.what()
        self.slack.contents[message] = keys
        if self.mood is Mood.REFUSING:
            raise Refused("no")
        if self.mood is Mood.LIMITING:
            raise RateLimited("too many")
        if self.mood is not Mood.DEAF:
            if said.kind == SUMMARY:
                assert said.title.startswith(f"{len(keys):,} more message"), "a summary says how many it stands for"
            if self.slack.is_confirmed(message):
                self.slack.arrived_again.append(message)
            for key in keys:
                self.slack.arrived[key].append("repeated" if maybe_repeated else "first")
        if self.mood is not Mood.WELL:
            raise Silent("no answer")
