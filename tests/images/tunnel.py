"""A port of one address, carried to a port of another: containers reach the twin, which listens on 127.0.0.1 only."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def tunnel(address: str, target: tuple[str, int]) -> Iterator[int]:
    """Listen on any free port of `address` and pass every connection on; yields the port."""
    with socket.create_server((address, 0)) as server:
        thread = threading.Thread(target=_accept, args=(server, target), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def _accept(server: socket.socket, target: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):  # the listening socket was shut down
        while True:
            near, _ = server.accept()
            far = socket.create_connection(target)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
