"""The tracker: it listens once the gang is complete, and only its members can reach it."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from analysis.admission import admit_only, find_source
from analysis.leader import TRACKER

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS, MEMBER, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@contextlib.contextmanager
def tracker() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*TRACKER, ADDRESS, "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def reaches(port: int, source: str) -> bool:
    with socket.socket() as connection:
        connection.bind((source, 0))
        connection.settimeout(0.5)
        try:
            connection.connect((ADDRESS, port))
        except TimeoutError:
            return False
        return True


def test_it_listens_only_once_it_reads_who_the_members_are() -> None:
    with tracker() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 1.5)[0] == []
        process.stdin.write(json.dumps([MEMBER]).encode() + b"\n")
        process.stdin.flush()
        port = int(process.stdout.readline())
        # Then its members reach it, and nobody else does
        assert not reaches(port, STRANGER)
        assert reaches(port, MEMBER)


def test_it_leaves_when_the_gang_does_not_form() -> None:
    with tracker() as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=20) == 0


def test_a_port_admits_only_whom_it_is_given() -> None:
    with socket.create_server((ADDRESS, 0)) as server:
        port = server.getsockname()[1]
        admit_only(port, [MEMBER])
        assert [reaches(port, source) for source in (MEMBER, STRANGER, ADDRESS)] == [True, False, False]


@pytest.mark.parametrize("addresses", [["::1"], ["no address"]])
def test_a_filter_takes_ipv4_addresses(addresses: list[str]) -> None:
    with socket.create_server((ADDRESS, 0)) as server, pytest.raises(ValueError, match="octets"):
        admit_only(server.getsockname()[1], addresses)


def test_a_port_that_nobody_listens_on_is_refused() -> None:
    with pytest.raises(OSError, match="does not listen"):
        admit_only(1, [MEMBER])


def test_the_leaders_own_workers_are_known_by_where_they_connect_from() -> None:
    assert find_source(ADDRESS) == ADDRESS
