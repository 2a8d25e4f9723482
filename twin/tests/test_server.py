"""The server takes one port and gives it back."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from twin.server import HOST, PortTaken, Server

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.ours


def test_a_taken_port_is_refused_in_one_clear_line() -> None:
    # Given a program that listens
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        # When a server is given its port, then it says so at once
        with pytest.raises(PortTaken) as refused:
            Server(port)
    assert str(port) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_port_0_takes_a_free_port_that_is_known_before_the_first_request() -> None:
    first, second = Server(), Server()
    try:
        assert first.port != second.port
        assert first.url == f"http://{HOST}:{first.port}"
    finally:
        first.stop()
        second.stop()


def test_the_port_of_a_stopped_server_can_be_used_again_at_once() -> None:
    with Server() as server:
        port = server.port
        urllib.request.urlopen(f"{server.url}/moto-api/data.json", timeout=10).read()
    with Server(port) as again:
        assert again.port == port


def test_a_stopped_server_leaves_no_thread_even_with_a_client_that_says_nothing() -> None:
    # Given a server with an open connection on which no request has come yet
    threads = set(threading.enumerate())
    server = Server()
    server.start()
    with socket.create_connection((HOST, server.port), timeout=10):
        wait_until(lambda: len(set(threading.enumerate()) - threads) == 2)
        # When it stops
        server.stop()
        # Then its threads end
        wait_until(lambda: not set(threading.enumerate()) - threads)


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
