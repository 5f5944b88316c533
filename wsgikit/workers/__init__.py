"""The I/O shell: threads that share a poller. The only room that polls and sends.

`Worker` serves an app on `Listener`s within the limits of `WorkerSettings`. Names are imported on first use: the master
needs the settings, and is to stay small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgikit.workers.listener import Listener
    from wsgikit.workers.settings import WorkerSettings
    from wsgikit.workers.worker import Surroundings, Worker

__all__ = ["Listener", "Surroundings", "Worker", "WorkerSettings"]

_HOMES = {"Listener": "listener", "WorkerSettings": "settings", "Surroundings": "worker", "Worker": "worker"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
