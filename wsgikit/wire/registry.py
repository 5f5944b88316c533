"""The wires: names by which binds and upstreams choose one, and where its two shells are.

A wire is one codec in this room and two thin shells, one that serves it and one that calls it, and stands in this table
once. The shells are named, not imported: this room knows nothing above it, and a process loads only what it speaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One wire.

    `protocol`: class that serves it, a protocol as `wsgikit.protocols` describes. `multiplexed`: its connections carry
    several requests at a time. `at_once`: whoever connects has a request to send. `client`: class that calls it, with
    the interface of `wsgikit.client.Client`. `port`: where an upstream's URL names none; 0: it must.
    """

    name: str
    protocol: str
    client: str
    multiplexed: bool = False
    at_once: bool = False
    port: int = 0


WIRES: dict[str, Wire] = {
    wire.name: wire
    for wire in (
        Wire(
            name="http",
            protocol="wsgikit.protocols.http:HttpProtocol",
            client="wsgikit.client.client:Client",
            port=80,
        ),
        Wire(
            name="fastcgi",
            protocol="wsgikit.protocols.fastcgi:FastcgiProtocol",
            client="wsgikit.client.fastcgi:FastcgiClient",
            multiplexed=True,
            at_once=True,
            port=9000,
        ),
        Wire(
            name="scgi",
            protocol="wsgikit.protocols.scgi:ScgiProtocol",
            client="wsgikit.client.scgi:ScgiClient",
            at_once=True,
        ),
        Wire(
            name="uwsgi",
            protocol="wsgikit.protocols.uwsgi:UwsgiProtocol",
            client="wsgikit.client.uwsgi:UwsgiClient",
            at_once=True,
        ),
    )
}


def load(place: str) -> Any:
    """What `module:name` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
