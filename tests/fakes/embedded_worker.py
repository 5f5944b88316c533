"""Workers in the test's own process: still, so that the test takes each step itself, or running in threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from wsgikit.workers import Listener, Worker, WorkerSettings
from wsgikit.workers.connection import Connection
from wsgikit.workers.stream import PlainStream


def read_or_greet(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["wsgi.input"].read() or b"hello"]


class Embedded:
    """Makes workers on a port of their own; `run` starts one in threads."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def make(self, **settings: Any) -> Worker:
        return self.around(self._stack.enter_context(socket.create_server(("127.0.0.1", 0))), **settings)

    def around(self, sock: socket.socket, scheme: str = "http", **settings: Any) -> Worker:
        """One for a listener that is there already."""
        return Worker(read_or_greet, [Listener(sock=sock, address="", scheme=scheme)], WorkerSettings(**settings))

    def still(self, **settings: Any) -> Worker:
        """One whose steps the test takes itself."""
        worker = self.make(**settings)
        self._stack.callback(worker.finish)
        return worker

    def run(self, **settings: Any) -> tuple[str, int]:
        worker = self.make(**settings)
        (acceptor,) = worker.acceptors.values()
        keeper = threading.Thread(target=worker.run)
        keeper.start()
        self._stack.callback(keeper.join)
        self._stack.callback(worker.abort)
        address: tuple[str, int] = acceptor.listener.sock.getsockname()
        return address


def connect(worker: Worker, stack: ExitStack, kind: type[Connection] = Connection) -> tuple[Connection, socket.socket]:
    """A parked connection of a worker that is not running, and its client's end."""
    here, there = socket.socketpair()
    stack.enter_context(there)
    here.setblocking(False)
    connection = kind(worker, PlainStream(here), "", "")
    (acceptor,) = worker.acceptors.values()
    connection.protocol = acceptor._make(acceptor.service, connection)
    worker.admit(connection)
    return connection, there
