"""From listeners to acceptors: what the connections of each listener share.

Owns the making of environ templates and the choice of protocol by scheme. The wires stand in `wsgikit.wire.registry`.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsgikit.protocols.service import Service
from wsgikit.wire.registry import WIRES, load
from wsgikit.workers.acceptor import Acceptor
from wsgikit.workers.connection import Connection
from wsgikit.workers.listener import Listener
from wsgikit.wsgi.environ import template
from wsgikit.wsgi.error_stream import ErrorStream
from wsgikit.wsgi.exchange import Lines

if TYPE_CHECKING:
    from wsgikit.workers.worker import Worker


def make_acceptors(worker: Worker, listeners: Sequence[Listener]) -> list[Acceptor]:
    """One acceptor a listener. They share the Date line that housekeeping renews."""
    lines = Lines(worker.settings.server_header)
    return [_acceptor(worker, listener, _service(worker, listener, lines)) for listener in listeners]


def _acceptor(worker: Worker, listener: Listener, service: Service) -> Acceptor:
    wire = WIRES[listener.scheme]
    connection = Connection
    if wire.multiplexed:
        from wsgikit.workers.carrier import Carrier

        connection = Carrier
    return Acceptor(worker, listener, service, load(wire.protocol), connection)


def _service(worker: Worker, listener: Listener, lines: Lines) -> Service:
    settings = worker.settings
    name, port = _name(listener.sock)
    service = Service(
        app=worker.app,
        settings=settings,
        limits=worker.around.limits,
        template=template(
            scheme="http" if listener.tls is None else "https",
            name=name,
            port=port,
            errors=ErrorStream(),
            multithread=settings.threads > 1,
            multiprocess=worker.around.siblings > 1,
        ),
        lines=lines,
        record=worker.around.record,
        takeover=listener.takeover or settings.takeover,
        body_mode=worker.around.body_mode,
    )
    if listener.trusted and listener.forwarded:
        from wsgikit.protocols.forwarded import Forwarded

        service.forwarded = Forwarded(listener.trusted, listener.forwarded)
    return service


def _name(sock: socket.socket) -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT of a listener. Neither may be empty (PEP 3333), also on a Unix socket."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return "localhost", "80"
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return host, str(port)
