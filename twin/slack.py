"""A Slack that only listens: an incoming webhook on this machine, which keeps what was posted to it."""

from __future__ import annotations

import html
import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class SlackWebhook:
    """An incoming webhook that answers `ok`, as Slack's does ("Sending messages using incoming webhooks", Slack API).

    Parameters
    ----------
    told
        Called with each message as it arrives.
    """

    def __init__(self, told: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self._told = told
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="twin-slack", daemon=True)

    @property
    def url(self) -> str:
        """The webhook's address, which is its only secret."""
        return f"http://127.0.0.1:{self._server.server_port}/services/T00000000/B00000000/twin"

    def __enter__(self) -> SlackWebhook:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _received(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if self._told is not None:
            self._told(message)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        received = self._received

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    received(json.loads(body))
                    status, answer = 200, b"ok"
                except ValueError:
                    status, answer = 400, b"invalid_payload"
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
                """Say nothing: messages are shown by whoever asked for them."""

        return Handler


def message_text(message: dict[str, Any]) -> str:
    """A message as a person reads it: its text fallback, with Slack's three escapes (`&amp;`, `&lt;`, `&gt;`) undone."""
    return html.unescape(str(message.get("text", "")))
