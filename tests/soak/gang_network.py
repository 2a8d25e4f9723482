"""A network of its own for each member of a gang, so that a member can be cut off like an instance whose link fails.

Linux network namespaces joined by a bridge; needs root and `ip`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BRIDGE = "gangsoak"


@dataclass(frozen=True)
class Host:
    """One member's network: its namespace, its address there, and the outer end of its link."""

    namespace: str
    address: str
    link: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command is put behind to run there."""
        return ("ip", "netns", "exec", self.namespace)

    def cut(self) -> None:
        """Take the link down: nothing arrives any more, and nobody is notified."""
        _ip("link", "set", self.link, "down")

    def bring_up(self) -> None:
        """Put the link up again."""
        _ip("link", "set", self.link, "up")


def unavailable() -> str | None:
    """Why there can be no such networks here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2's `ip`"
    probe = subprocess.run(["ip", "netns", "add", "gangsoak-probe"], capture_output=True, text=True, check=False)
    if probe.returncode:
        return f"network namespaces are not allowed here: {probe.stderr.strip()}"
    _ip("netns", "del", "gangsoak-probe")
    return None


@contextlib.contextmanager
def network(members: int) -> Iterator[list[Host]]:
    """A bridge with a host for each member, gone at the end of the block."""
    hosts = [Host(f"{BRIDGE}{index}", f"10.213.77.{index + 1}", f"{BRIDGE}v{index}") for index in range(members)]
    with contextlib.ExitStack() as undo:
        _ip("link", "add", BRIDGE, "type", "bridge")
        undo.callback(_ip, "link", "del", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for host in hosts:
            _ip("netns", "add", host.namespace)
            undo.callback(_ip, "netns", "del", host.namespace)
            _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            _ip("link", "set", host.link, "master", BRIDGE, "up")
            for command in (
                ("addr", "add", f"{host.address}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", host.namespace, *command)
        yield hosts


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
