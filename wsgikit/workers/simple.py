"""A server inside a program, with the interface of `wsgiref.simple_server`.

    with make_server("127.0.0.1", 8000, app) as server:
        server.serve_forever()

Owns that interface on top of one worker without a master. With one thread, the default, the app runs in the thread that
calls `serve_forever` or `handle_request`, as with wsgiref; with more it runs in threads beside that one.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Any
from wsgiref.types import WSGIApplication

from wsgikit.workers.listener import Listener
from wsgikit.workers.member import Member
from wsgikit.workers.settings import WorkerSettings
from wsgikit.workers.worker import Worker


class SimpleServer:
    """One worker in this process. Attributes as wsgiref's: server_address, server_name, server_port, socket."""

    def __init__(self, sock: socket.socket, app: WSGIApplication, settings: WorkerSettings) -> None:
        self.socket = sock
        self.server_address: Any = sock.getsockname()
        self.server_name = socket.getfqdn(self.server_address[0])
        self.server_port: int = self.server_address[1]
        self._app = app
        self._settings = settings
        self._stopped = threading.Event()
        self._stopped.set()
        self._worker = self._make_worker()
        self._asked = threading.Event()
        self._closed = self._started = False

    def _make_worker(self) -> Worker:
        host, port = self.server_address[:2]
        return Worker(self._dispatch, [Listener(sock=self.socket, address=f"{host}:{port}")], self._settings)

    def _dispatch(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._app(environ, start_response)

    def get_app(self) -> WSGIApplication:
        return self._app

    def set_app(self, application: WSGIApplication) -> None:
        self._app = application

    def fileno(self) -> int:
        return self.socket.fileno()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown()` is called from another thread, or KeyboardInterrupt."""
        self._stopped.clear()
        self._asked.clear()
        try:
            self._serve(poll_interval, None)
        finally:
            self._stopped.set()

    def handle_request(self) -> None:
        """Serve one request, waiting for it."""
        self._asked.clear()
        self._serve(0.5, self._worker.requests + 1)

    def _serve(self, tick: float, until: int | None) -> None:
        """Serve until asked to stop, or until `until` requests are done."""
        worker = self._worker
        alone = worker.settings.threads == 1
        if not self._started:
            self._started = True
            worker.start(beside=1 if alone else 0)
        for acceptor in worker.acceptors.values():
            acceptor.watch()
        try:
            if alone:
                self._serve_here(tick, until)
            else:
                self._look_after(tick, until)
        finally:
            for acceptor in worker.acceptors.values():
                acceptor.unwatch()

    def _over(self, until: int | None) -> bool:
        return self._asked.is_set() or (until is not None and self._worker.requests >= until)

    def _serve_here(self, tick: float, until: int | None) -> None:
        """The only thread: serve, and keep house between two polls."""
        worker = self._worker
        member = Member()
        worker.members.append(member)
        worker.lead.take(member)
        due = 0.0
        try:
            while not self._over(until):
                due = min(due, monotonic() + worker.housekeeping.nap())
                worker.step(member, max(0.0, due - monotonic()))
                if monotonic() >= due:
                    worker.housekeeping.tick()
                    due = monotonic() + tick
        finally:
            worker.members.remove(member)
            worker.lead.give(member)

    def _look_after(self, tick: float, until: int | None) -> None:
        """Other threads serve; this one keeps house."""
        while not self._over(until):
            self._worker.housekeeping.look(tick if until is None else 0.005)

    def shutdown(self) -> None:
        """Have `serve_forever` return, and wait until it has."""
        self._asked.set()
        self._worker.poller.wake()
        self._worker.housekeeping.wake()
        self._stopped.wait()

    def server_close(self) -> None:
        """Close the listening socket and all connections."""
        if not self._closed:
            self._closed = True
            self._worker.finish()
            self.socket.close()

    def __enter__(self) -> SimpleServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server_close()


def make_server(host: str, port: int, app: WSGIApplication, **options: Any) -> SimpleServer:
    """A server for `app` on `host`:`port` (0: the system chooses; see `server_port`).

    `options` are fields of `WorkerSettings`; `threads` is 1 unless given, and requests have no deadline unless
    `timeout` is given (it takes a second thread to notice). Raises OSError when the address is taken, TypeError for an
    unknown option.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server((host, port), family=family, backlog=128)
    try:
        return SimpleServer(sock, app, replace(WorkerSettings(threads=1, timeout=0.0), **options))
    except BaseException:
        sock.close()
        raise
