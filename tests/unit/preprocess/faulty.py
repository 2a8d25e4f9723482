"""A proxy before an S3 that is not well: it drops connections in the middle of an answer, denies keys, or leaves them waiting."""

from __future__ import annotations

import http.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)


class FaultyS3:
    """Hands requests on to an S3.

    Attributes
    ----------
    denied
        Parts of the paths that answer 403 to a PUT.
    held
        Parts of the paths whose PUT gets no answer before the end.
    drop_after
        Bytes after which the answer to a ranged GET breaks off, or None; only `drops` of them do.
    ranges
        The ranges that were asked for.
    """

    def __init__(self, behind: str) -> None:
        self._behind = urlsplit(behind).netloc
        self._lock = Lock()
        self.denied: set[str] = set()
        self.held: set[str] = set()
        self.ended = Event()
        self.drop_after: int | None = None
        self.drops = 0
        self.ranges: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def drops_now(self, wanted: str | None) -> bool:
        """Note a request for a range; whether its answer breaks off."""
        if wanted is None:
            return False
        with self._lock:
            self.ranges.append(wanted)
            if self.drop_after is None or not self.drops:
                return False
            self.drops -= 1
            return True

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the S3 behind answers."""
        connection = http.client.HTTPConnection(self._behind, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(faulty: FaultyS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            if self.headers.get("Expect"):
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "PUT" and any(part in self.path for part in faulty.denied):
                self._answer(403, [("Content-Type", "application/xml")], DENIED)
                return
            if self.command == "PUT" and any(part in self.path for part in faulty.held):
                faulty.ended.wait()
            dropped = self.command == "GET" and faulty.drops_now(self.headers.get("Range"))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            status, answered, content = faulty.ask(self.command, self.path, headers, body)
            self._answer(status, answered, content, faulty.drop_after if dropped else None)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815  the names that http.server calls

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, stop: int | None = None) -> None:
            self.send_response_only(status)
            told = False
            for name, value in headers:
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
                    told |= name.lower() == "content-length"
            if not told:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if stop is None else content[:stop])
            if stop is not None and stop < len(content):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class' name
            pass

    return Handler
