"""The I/O shell: threads that share a poller. The only room that polls and sends.

`Worker` serves an app on `Listener`s within the limits of `WorkerSettings`.
"""

from __future__ import annotations

from wsgikit.workers.listener import Listener
from wsgikit.workers.settings import WorkerSettings
from wsgikit.workers.worker import Surroundings, Worker

__all__ = ["Listener", "Surroundings", "Worker", "WorkerSettings"]
