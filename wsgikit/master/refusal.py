"""Letting no new connection into a listener's queue while those that are in it are still answered.

A listener that is closed resets what is in its queue. Workers empty the queue first, but a connection can arrive
between the last look and the close. So the door is shut before: on Linux a packet filter on the socket drops SYN
segments (a classic BPF program); handshakes under way complete. A client that tried is told "refused" when it asks
again after a second, which no client takes for a lost request. Newer kernels (6.18) let only processes with
CAP_NET_ADMIN filter TCP: elsewhere the gap remains. A Unix socket's file is removed.
"""

from __future__ import annotations

import socket
import struct
import sys
from array import array
from collections.abc import Iterable

from wsgikit.master.sockets import OpenListener, remove_file

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; the socket module has no name for it
# (code, jump if true, jump if false, value), linux/bpf_common.h. The data begin at the TCP header: its byte 13 are
# the flags (RFC 9293 3.1), of which SYN is 2 and ACK 16.
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load a byte
    (0x54, 0, 0, 2 | 16),  # and
    (0x15, 0, 1, 2),  # is it SYN alone?
    (0x06, 0, 0, 0),  # then drop
    (0x06, 0, 0, 0xFFFFFFFF),  # else take it whole
)


def refuse_new(listeners: Iterable[OpenListener]) -> None:
    """Shut the door of sockets that are ours alone. One that came from systemd stays open: its queue outlives us."""
    for listener in listeners:
        if listener.place.kind == "unix":
            remove_file(listener)
        elif listener.place.kind == "tcp" and sys.platform == "linux":
            drop_new(listener.sock)


def drop_new(sock: socket.socket) -> bool:
    """Have the kernel drop SYN segments to a listener. False: it does not let us."""
    program = array("Q", (struct.unpack("Q", struct.pack("HBBI", *line))[0] for line in _DROP_SYN))
    address, length = program.buffer_info()
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", length, address))
    except OSError:  # forbidden without CAP_NET_ADMIN, and in some sandboxes
        return False
    return True
