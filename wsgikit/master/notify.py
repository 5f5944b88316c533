"""Telling systemd how it stands (sd_notify(3)): for units with Type=notify or Type=notify-reload.

Nothing happens where NOTIFY_SOCKET is not set. The variable is removed, so that no child speaks for the service.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from time import CLOCK_MONOTONIC, clock_gettime_ns

READY = "READY=1"
STOPPING = "STOPPING=1"


def reloading() -> str:
    """The message at the beginning of a reload; READY ends it."""
    return f"RELOADING=1\nMONOTONIC_USEC={clock_gettime_ns(CLOCK_MONOTONIC) // 1000}"


class Notifier:
    """Sends messages to the service manager, if there is one."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        self._address = (os.environ if environ is None else environ).pop("NOTIFY_SOCKET", "")

    def tell(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto(message.encode(), address)
            except OSError:
                pass  # a manager that does not listen is no reason to stop serving
