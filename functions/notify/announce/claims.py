"""That each message is posted once: claim, post, confirm.

Between posting and confirming a function can die, and a channel can take a message without an answer reaching us. So a claim counts
the posts that *may* have arrived. A post that was refused, or that never left, is taken back; a confirmed message is never
posted again; one post that may have arrived allows exactly one more, which says that it may be a repetition. A message over the rate
limit is handed over to a summary instead, for good: its claim and its place among those that wait for one are written together.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from announce.messages import Announcement
from announce.outcomes import MessageKey

# A claim that nobody confirmed or took back by then was left by a function that died; Lambda ends a function of ours sooner.
LEASE = timedelta(minutes=2)
# Posts that may have arrived: the first, and one repetition that says so.
MOST_UNCONFIRMED = 2


class Verdict(Enum):
    """What to do about a message, given what is known of earlier attempts."""

    POST = "post"
    REPEAT = "repeat"
    CONFIRMED = "confirmed"
    IN_FLIGHT = "in-flight"
    GIVEN_UP = "given-up"
    NOTHING_TO_SAY = "nothing-to-say"
    SUMMARISED = "summarised"


class ClaimLost(Exception):
    """Another function changed the claim between our reading and our writing: look again."""


@dataclass(frozen=True)
class Claim:
    """What the table knows of a message.

    `unconfirmed` counts the posts that may have arrived, `lease_until` is set while a function is posting, `summarised_at` once a
    summary has the message or will have it, and `revision` grows with every change.
    """

    unconfirmed: int = 0
    lease_until: datetime | None = None
    confirmed_at: datetime | None = None
    revision: int = 0
    summarised_at: datetime | None = None

    def verdict(self, now: datetime) -> Verdict:
        """What a function that has this message to post must do now."""
        if self.confirmed_at is not None:
            return Verdict.CONFIRMED
        if self.summarised_at is not None:
            return Verdict.SUMMARISED
        if self.lease_until is not None and now < self.lease_until:
            return Verdict.IN_FLIGHT
        if self.unconfirmed >= MOST_UNCONFIRMED:
            return Verdict.GIVEN_UP
        return Verdict.REPEAT if self.unconfirmed else Verdict.POST

    def taken(self, now: datetime) -> "Claim":
        """The claim of a function that is about to post."""
        return Claim(self.unconfirmed + 1, now + LEASE, None, self.revision + 1)

    def taken_back(self) -> "Claim":
        """The claim after a post that did not arrive for certain."""
        return Claim(self.unconfirmed - 1, None, None, self.revision + 1)

    def unanswered(self) -> "Claim":
        """The claim after a post that may have arrived."""
        return Claim(self.unconfirmed, None, None, self.revision + 1)

    def confirmed(self, now: datetime) -> "Claim":
        """The claim after the channel said that it has the message."""
        return Claim(self.unconfirmed, None, now, self.revision + 1)

    def summarised(self, now: datetime) -> "Claim":
        """The claim of a message that no post may have carried, once it is handed over to a summary."""
        return Claim(0, None, None, self.revision + 1, now)


class Claims(Protocol):
    """Where claims are kept."""

    def read(self, key: MessageKey) -> Claim:
        """The claim of a message; an empty one when nothing was ever claimed. Consistent with every earlier write."""

    def write(self, key: MessageKey, claim: Claim) -> None:
        """Store a claim in the place of the revision before it, or raise `ClaimLost`."""

    def hand_over(self, key: MessageKey, claim: Claim, said: Announcement) -> None:
        """Store a summarised claim as `write` does, and what the summary needs of the message: both or neither."""
