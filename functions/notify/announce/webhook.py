"""The edge to Slack: an incoming webhook, through slack_sdk and its retry handlers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from announce.delivery import RateLimited, Refused, Silent
from announce.messages import to_message

if TYPE_CHECKING:
    from slack_sdk.http_retry import HttpResponse, RetryHandler

    from announce.messages import Announcement

# An incoming webhook answers within a second or not at all.
TIMEOUT_SECONDS = 5
RETRIES = 3


class SlackWebhook:
    """Posts to one webhook for at most `patience_seconds`, waits that Slack asks for included."""

    def __init__(self, url: str, patience_seconds: float) -> None:
        self._url = url
        self._until = time.monotonic() + patience_seconds

    def post(self, said: Announcement, *, maybe_repeated: bool) -> None:
        """Post an announcement.

        Raises
        ------
        RateLimited
            Slack answered 429, and its Retry-After is longer than the patience, or came too often.
        Refused
            Slack answered with something else than 200, or could not be reached.
        Silent
            The request left and no answer came.
        """
        from slack_sdk.webhook import WebhookClient  # noqa: PLC0415  a tenth of a second that a refused claim need not pay

        message = to_message(said, maybe_repeated=maybe_repeated)
        client = WebhookClient(self._url, timeout=TIMEOUT_SECONDS, retry_handlers=self._retry_handlers())
        try:
            answer = client.send(text=message.text, blocks=message.blocks, unfurl_links=False)
            if answer.status_code == 400 and answer.body.startswith("invalid_blocks"):
                # Slack's rules for blocks may grow narrower than ours; that must not swallow a failure's message.
                answer = client.send(text=message.text, unfurl_links=False)
        except URLError as error:
            raise Refused(f"Slack could not be reached: {error.reason}") from error
        except OSError as error:
            raise Silent(f"Slack did not answer: {error or type(error).__name__}") from error
        if answer.status_code != 200:
            kind = RateLimited if answer.status_code == 429 else Refused
            raise kind(f"Slack answered {answer.status_code}: {answer.body[:200]}")

    def _retry_handlers(self) -> list[RetryHandler]:
        from slack_sdk.http_retry.builtin_handlers import (  # noqa: PLC0415
            ConnectionErrorRetryHandler,
            RateLimitErrorRetryHandler,
            ServerErrorRetryHandler,
        )

        until = self._until

        class WithinPatience(RateLimitErrorRetryHandler):
            """Does not wait longer than the function lives: its claim would be left open for nothing."""

            def _can_retry(self, *, response: HttpResponse | None = None, **context: Any) -> bool:
                wait = _retry_after(response) if response is not None else 0
                return super()._can_retry(response=response, **context) and time.monotonic() + wait + 1 < until

        return [
            # urllib wraps in URLError what fails before the answer is awaited. The errors after that (a reset, a disconnect)
            # may follow a message that Slack took, and repeating those silently is what the claims are there to prevent.
            ConnectionErrorRetryHandler(max_retry_count=RETRIES, error_types=[URLError]),
            WithinPatience(max_retry_count=RETRIES),
            ServerErrorRetryHandler(max_retry_count=RETRIES),
        ]


def _retry_after(response: HttpResponse) -> int:
    values = next((values for name, values in response.headers.items() if name.lower() == "retry-after"), ["1"])
    # A number of seconds; HTTP allows a date as well (RFC 9110, Retry-After), which Slack does not send.
    return int(values[0]) if values and values[0].isascii() and values[0].isdigit() and len(values[0]) < 10 else 1
