"""Posting one outcome's message, once."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from announce.claims import Claim, ClaimLost, Claims, Verdict
from announce.messages import Message
from announce.outcomes import MessageKey


class SlackRefused(Exception):
    """Slack said no, or was never reached: the message did not arrive."""


class SlackSilent(Exception):
    """No answer came: the message may have arrived."""


class InFlight(Exception):
    """Another function is posting this message at this moment: ask again later."""


class Webhook(Protocol):
    """Where messages are posted."""

    def post(self, message: Message) -> None:
        """Post a message and return when Slack confirmed it; raises `SlackRefused` or `SlackSilent`."""


def deliver(
    key: MessageKey,
    compose: Callable[[bool], Message | None],
    *,
    claims: Claims,
    webhook: Webhook,
    clock: Callable[[], datetime],
) -> Verdict:
    """Post a message unless it was posted already.

    Parameters
    ----------
    key
        Which message it is.
    compose
        Makes the message; its argument says whether the message may be a repetition. Called only when there is one to post, so
        that facts are looked up only then. None when the outcome needs no message after all.

    Returns
    -------
    Verdict
        `POST` or `REPEAT` when it was posted now; `CONFIRMED` when it had been posted before; `GIVEN_UP` when two posts may
        have arrived and neither was confirmed; `NOTHING_TO_SAY` when `compose` said so.

    Raises
    ------
    InFlight, SlackRefused, SlackSilent
        The message is not confirmed; a later attempt with the same key is safe.
    """
    claim = claims.read(key)
    verdict = claim.verdict(clock())
    if verdict in (Verdict.CONFIRMED, Verdict.GIVEN_UP):
        return verdict
    if verdict is Verdict.IN_FLIGHT:
        raise InFlight(f"{key.pk} {key.sk} is being posted until {claim.lease_until} at the latest")
    message = compose(verdict is Verdict.REPEAT)
    if message is None:
        return Verdict.NOTHING_TO_SAY
    claim = claim.taken(clock())
    try:
        claims.write(key, claim)
    except ClaimLost as cause:
        raise InFlight(f"{key.pk} {key.sk} was claimed by another function first") from cause
    _post(key, claim, message, claims=claims, webhook=webhook, clock=clock)
    return verdict


def _post(
    key: MessageKey, claim: Claim, message: Message, *, claims: Claims, webhook: Webhook, clock: Callable[[], datetime]
) -> None:
    try:
        webhook.post(message)
    except SlackRefused:
        claims.write(key, claim.taken_back())
        raise
    except SlackSilent:
        claims.write(key, claim.unanswered())
        raise
    claims.write(key, claim.confirmed(clock()))
