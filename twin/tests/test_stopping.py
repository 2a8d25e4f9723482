"""Ctrl-C reaches the command, whichever thread the kernel interrupts for it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from twin.stopping import StopRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ours


@pytest.fixture
def bystander() -> Iterator[int]:
    """A thread that only waits; its identity."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    assert thread.ident is not None
    yield thread.ident
    done.set()
    thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_another_thread_was_given_ends_the_wait(bystander: int, number: signal.Signals) -> None:
    with StopRequest() as stop:
        # Given a main thread that waits already
        later = threading.Timer(0.2, signal.pthread_kill, (bystander, number))
        later.start()
        # When the signal comes to another one, then the wait ends
        stop.wait()
        later.join()


def test_a_signal_that_came_before_the_wait_is_not_lost() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        stop.wait()


def test_another_signal_ends_nothing(bystander: int) -> None:
    old = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with StopRequest() as stop:
            asked = threading.Event()

            def ask() -> None:
                asked.set()
                signal.pthread_kill(bystander, signal.SIGINT)

            signal.raise_signal(signal.SIGUSR1)
            later = threading.Timer(0.2, ask)
            later.start()
            stop.wait()
            assert asked.is_set()
            later.join()
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
