"""A Slack that only listens: an incoming webhook on this machine, which keeps what was posted to it, and fails on demand."""

from __future__ import annotations

import html
import http.server
import json
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType


# Longer than any client waits for an answer that does not come.
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Trouble:
    """One post that goes wrong: Slack takes nothing and answers `status`, or nothing at all when that is None.

    `retry_after` is in seconds, the header that goes with a 429 ("Rate limits", Slack API).
    """

    status: int | None
    retry_after: int | None = None


class SlackWebhook:
    """An incoming webhook that answers `ok`, as Slack's does ("Sending messages using incoming webhooks", Slack API).

    Parameters
    ----------
    on_message
        Called with each message as it arrives.
    """

    def __init__(self, on_message: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.posts = 0
        self._on_message = on_message
        self._troubles: deque[Trouble] = deque()
        self._closing = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="twin-slack", daemon=True)

    @property
    def url(self) -> str:
        """The webhook's address, which is its only secret."""
        return f"http://127.0.0.1:{self._server.server_port}/services/T00000000/B00000000/twin"

    def will_have(self, *troubles: Trouble) -> None:
        """The next posts go wrong, one after the other; those after them are taken again."""
        self._troubles.extend(troubles)

    def __enter__(self) -> SlackWebhook:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _next_trouble(self) -> Trouble | None:
        self.posts += 1
        return self._troubles.popleft() if self._troubles else None

    def _received(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if self._on_message is not None:
            self._on_message(message)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        received, next_trouble, closing = self._received, self._next_trouble, self._closing

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                trouble = next_trouble()
                if trouble is not None:
                    self._fail(trouble)
                    return
                try:
                    received(json.loads(body))
                    status, answer = 200, b"ok"
                except ValueError:
                    status, answer = 400, b"invalid_payload"
                self._answer(status, answer)

            def _fail(self, trouble: Trouble) -> None:
                if trouble.status is None:
                    closing.wait(_PATIENCE_SECONDS)
                    return
                headers = {} if trouble.retry_after is None else {"Retry-After": str(trouble.retry_after)}
                self._answer(trouble.status, b"rate_limited" if trouble.status == 429 else b"fatal_error", headers)

            def _answer(self, status: int, answer: bytes, headers: Mapping[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
                """Say nothing: messages are shown by whoever asked for them."""

        return Handler


def message_text(message: dict[str, Any]) -> str:
    """A message as a person reads it: its text fallback, with Slack's three escapes (`&amp;`, `&lt;`, `&gt;`) undone."""
    return html.unescape(str(message.get("text", "")))
