"""systemd socket activation: listening sockets handed over as file descriptors 3, 4, ... (sd_listen_fds(3)).

It replaces what a binary upgrade by USR2 does elsewhere: systemd keeps the sockets, so that a restart loses nothing
that waits in their queues.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from dataclasses import replace

from wsgikit.master.address import SCHEMES
from wsgikit.master.settings import BindSettings

_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 1024
_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


def take_activated(environ: MutableMapping[str, str] | None = None) -> list[str]:
    """Bind texts of the sockets that are meant for this process; none when there are none.

    A socket whose FileDescriptorName is a scheme ("https") gets that scheme. The variables are removed, so that no
    child takes the sockets for its own.
    """
    environ = os.environ if environ is None else environ
    count, pid, names = (environ.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count.isascii() or not count.isdecimal():
        return []
    labels = names.split(":")
    texts = []
    for index in range(min(int(count), _MOST)):
        label = labels[index] if index < len(labels) else ""
        texts.append(f"{label}+fd://{_FIRST + index}" if label in SCHEMES else f"fd://{_FIRST + index}")
    return texts


def activated_binds(texts: Sequence[str], binds: Sequence[BindSettings]) -> tuple[BindSettings, ...]:
    """The binds with activated sockets in their place: these replace all configured addresses, as in Gunicorn.

    Other settings come from the bind at the same position, or the last one.
    """
    if not texts:
        return tuple(binds)
    patterns = list(binds) or [BindSettings()]
    return tuple(replace(patterns[min(index, len(patterns) - 1)], address=text) for index, text in enumerate(texts))
