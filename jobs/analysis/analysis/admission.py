"""A port that only some addresses can reach: the kernel drops everybody else's packets before the program behind it sees them.

XGBoost's tracker takes one connection at a time and reads from each until something comes: one that sends nothing keeps the gang from
joining. The tracker has no setting for whom it accepts, so its listening socket gets a filter ("Linux Socket Filtering aka Berkeley Packet
Filter", Linux kernel documentation), which needs no privilege and which connections inherit.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_SOURCE_ADDRESS = 0xFFF00000 + 12  # SKF_NET_OFF (linux/filter.h), and where an IPv4 header has the source
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
_ALL, _NOTHING = 0xFFFFFFFF, 0
_MOST = 2000  # a filter holds 4,096 instructions, two an address


def find_source(address: str) -> str:
    """The address that this host's own connections to `address` come from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # of a datagram socket: nothing is sent
        return str(probe.getsockname()[0])


def admit_only(port: int, addresses: Collection[str]) -> None:
    """Let only these IPv4 addresses reach the port that this process listens on.

    Raises
    ------
    OSError
        When the kernel refuses the filter, or this process does not listen on the port.
    ValueError
        When an address is no IPv4 address, or there are too many.
    """
    if len(addresses) > _MOST:
        raise ValueError(f"{len(addresses)} addresses are more than a filter holds")
    code = _encode(_LOAD_WORD, _SOURCE_ADDRESS)
    for address in sorted(set(addresses)):
        code += _encode(_JUMP_IF_EQUAL, int(ipaddress.IPv4Address(address)), otherwise=1) + _encode(_RETURN, _ALL)
    code += _encode(_RETURN, _NOTHING)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))
    with _find_listener(port) as listener:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _encode(operation: int, value: int, *, otherwise: int = 0) -> bytes:
    """One instruction; `otherwise` is how many a jump skips when its comparison fails."""
    return struct.pack("HBBI", operation, 0, otherwise, value)


def _find_listener(port: int) -> socket.socket:
    """The listening socket that a library of this process opened, as a duplicate."""
    for link in Path("/proc/self/fd").iterdir():
        try:
            copy = os.dup(int(link.name))
        except OSError:
            continue  # closed meanwhile
        try:
            found = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)  # no socket
            continue
        if (
            found.family == socket.AF_INET
            and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            and found.getsockname()[1] == port
        ):
            return found
        found.close()
    raise OSError(f"this process does not listen on port {port}")
