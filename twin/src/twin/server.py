"""moto's server on an address of this machine: one port, taken and given back cleanly."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import ThreadedWSGIServer

from twin import control, faults

if TYPE_CHECKING:
    from types import TracebackType

HOST = "127.0.0.1"
_BACKLOG = 1024
_SHUTDOWN_POLL_SECONDS = 0.05


class PortTaken(RuntimeError):
    """Another program listens on the port that the twin was given."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken: stop the program that listens there, or choose another port")
        self.port = port


class Server:
    """A threaded moto server that answers as soon as `start` returns and leaves nothing behind after `stop`.

    The port is bound when the object is made, so that whoever needs the address can have it before the first request.

    Parameters
    ----------
    port
        A port of 127.0.0.1, or 0 for any free one.

    Raises
    ------
    PortTaken
        The port is in use.
    """

    def __init__(self, port: int = 0) -> None:
        with _listening_socket(port) as listener:
            logging.getLogger("werkzeug").setLevel(logging.ERROR)
            application = control.before(faults.before(DomainDispatcherApplication(create_backend_app)))
            self._server = _ConnectionTrackingServer(
                HOST, listener.getsockname()[1], application, handler=MotoRequestHandler, fd=listener.fileno()
            )
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self._server.port

    @property
    def url(self) -> str:
        """The address for ``AWS_ENDPOINT_URL``."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Answer requests, in threads of their own, from here on."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_SHUTDOWN_POLL_SECONDS,), name="twin-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting, close every open connection and give the port back."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.close_connections()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class _ConnectionTrackingServer(ThreadedWSGIServer):
    """Knows its open connections: one on which no request comes would hold its thread after the server has stopped."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _listening_socket(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that only lingers from a server just stopped is free; one with a listener is refused all the same.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port) from error
        raise
    return listener
