"""Whether a process of this user can shut a listener's door while the queue behind it is served (`master.refusal`)."""

from __future__ import annotations

import socket

import pytest

from wsgikit.master.refusal import drop_new


def can_be_shut() -> bool:
    with socket.socket() as sock:
        return drop_new(sock)


needs_a_door = pytest.mark.skipif(
    not can_be_shut(), reason="this kernel lets only privileged processes filter TCP (CAP_NET_ADMIN)"
)
