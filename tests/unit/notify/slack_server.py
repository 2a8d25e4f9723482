"""A Slack webhook on this machine that answers as told, and remembers what it was sent."""

from __future__ import annotations

import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SlackServer:
    """Answers, in turn: a status code, `(status, headers, body)`, "hang" (says nothing), "reset" (cuts the line); then 200 for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.received: list[dict[str, Any]] = []
        self.accepted: list[dict[str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.received.append(message)
                server.answer(self, message)

            def log_message(self, *_: Any) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/services/T0/B0/secret"

    def answer(self, handler: BaseHTTPRequestHandler, message: dict[str, Any]) -> None:
        told = self.answers.pop(0) if self.answers else 200
        if told == "hang":
            threading.Event().wait(1.5)  # not time.sleep, which the tests stop from waiting
            return
        if told == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            return
        status, headers, *body = told if isinstance(told, tuple) else (told, {})
        if status == 200:
            self.accepted.append(message)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[0] if body else b"ok" if status == 200 else b"no")

    def __enter__(self) -> SlackServer:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
