"""Whether a process of this user can shut a listener's door while the queue behind it is served (`master.refusal`)."""

from __future__ import annotations

import socket
import struct
from array import array

import pytest

_ATTACH_FILTER = 26  # asm-generic/socket.h
_TAKE_ALL = struct.unpack("Q", struct.pack("HBBI", 6, 0, 0, 0xFFFFFFFF))


def can_be_shut() -> bool:
    program = array("Q", _TAKE_ALL)
    address, length = program.buffer_info()
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", length, address))
        except OSError:
            return False
    return True


needs_a_door = pytest.mark.skipif(
    not can_be_shut(), reason="this kernel lets only privileged processes filter TCP (CAP_NET_ADMIN)"
)
