"""Posting one outcome's message to one channel, once."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from announce.claims import Claim, ClaimLost, Claims, Verdict
from announce.messages import SUMMARY, Announcement
from announce.outcomes import MessageKey


class Refused(Exception):
    """The channel said no, or was never reached: the message did not arrive."""


class RateLimited(Refused):
    """The channel takes no more messages for now."""


class Silent(Exception):
    """No answer came, or one that leaves it open: the message may have arrived."""


class InFlight(Exception):
    """Another function is posting this message at this moment: ask again later."""


class Channel(Protocol):
    """Where messages are posted."""

    def post(self, said: Announcement, *, maybe_repeated: bool) -> None:
        """Post an announcement and return when it is confirmed; raises `Refused` or `Silent`."""


class Limit(Protocol):
    """How many messages a channel gets."""

    def wait_for_turn(self, said: Announcement) -> bool:
        """Wait until the channel may have the message; False when there are too many."""


def deliver(
    key: MessageKey,
    compose: Callable[[], Announcement | None],
    *,
    claims: Claims,
    channel: Channel,
    clock: Callable[[], datetime],
    limit: Limit | None = None,
) -> Verdict:
    """Post a message unless it was posted already, or hand it over to a summary when there are too many.

    Parameters
    ----------
    key
        Which message it is.
    compose
        Says what there is to say. Called only when there is something to post, so that facts are looked up only then. None when the
        outcome needs no message after all.
    limit
        The channel's. A message that may have arrived before is posted all the same: it must say so itself.

    Returns
    -------
    Verdict
        `POST` or `REPEAT` when it was posted now; `CONFIRMED` when it had been posted before; `GIVEN_UP` when two posts may
        have arrived and neither was confirmed; `SUMMARISED` when a summary has it or will have it; `NOTHING_TO_SAY` when `compose`
        said so.

    Raises
    ------
    InFlight, Refused, Silent
        The message is not confirmed; a later attempt with the same key is safe.
    """
    claim = claims.read(key)
    verdict = claim.verdict(clock())
    if verdict in (Verdict.CONFIRMED, Verdict.GIVEN_UP, Verdict.SUMMARISED):
        return verdict
    if verdict is Verdict.IN_FLIGHT:
        raise InFlight(f"{key.pk} {key.sk} is being posted until {claim.lease_until} at the latest")
    said = compose()
    if said is None:
        return Verdict.NOTHING_TO_SAY
    has_turn = limit is None or limit.wait_for_turn(said)
    goes_into_summary = limit is not None and verdict is Verdict.POST and said.kind != SUMMARY
    if goes_into_summary and not has_turn:
        return _hand_over(key, claim, said, claims, clock)
    claim = claim.taken(clock())
    try:
        claims.write(key, claim)
    except ClaimLost as cause:
        raise InFlight(f"{key.pk} {key.sk} was claimed by another function first") from cause
    try:
        channel.post(said, maybe_repeated=verdict is Verdict.REPEAT)
    except Refused as refused:
        if goes_into_summary and isinstance(refused, RateLimited):
            return _hand_over(key, claim, said, claims, clock)
        claims.write(key, claim.taken_back())
        raise
    except Silent:
        claims.write(key, claim.unanswered())
        raise
    claims.write(key, claim.confirmed(clock()))
    return verdict


def _hand_over(
    key: MessageKey, claim: Claim, said: Announcement, claims: Claims, clock: Callable[[], datetime]
) -> Verdict:
    try:
        claims.hand_over(key, claim.summarised(clock()), said)
    except ClaimLost as cause:
        raise InFlight(f"{key.pk} {key.sk} was claimed by another function first") from cause
    return Verdict.SUMMARISED
