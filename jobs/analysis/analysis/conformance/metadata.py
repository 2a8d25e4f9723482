"""Metadata services of instances and containers, on this machine, for members that look for their address there."""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Service(http.server.ThreadingHTTPServer):
    """IMDSv2 and ECS's task metadata, with what the test puts into `items`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.items: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Service

    def do_PUT(self) -> None:
        asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self._answer("the-token" if asked else None)

    def do_GET(self) -> None:
        ecs = self.path.startswith("/v4/")
        known = ecs or self.headers.get("X-aws-ec2-metadata-token") == "the-token"
        self._answer(self.server.items.get(self.path.removeprefix("/latest/meta-data/")) if known else None)

    def _answer(self, body: str | None) -> None:
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, _format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def metadata_service() -> Iterator[Service]:
    """A service that answers until the end of the block."""
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
