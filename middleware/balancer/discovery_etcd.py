"""Endpoints from etcd (v3, over its HTTP gateway): every value below a key is an endpoint.

    etcdctl put /services/shop/1 "http://10.0.0.1:8000 weight=2"
    discover = "etcd:http://10.0.0.1:2379/services/shop/"
    discover = "etcd:https://10.0.0.1:2379/services/shop/ ca=ca.pem cert=us.pem key=us.key"
    discover = "etcd:http://10.0.0.1:2379/services/shop/ user=us password=${ETCD_PASSWORD}"

A list first, then a watch from its revision on, so that nothing is missed; the list again when etcd has compacted the
history, when the watch breaks, and after a minute without news, since a partition looks like silence. Several servers
are asked in turn. A value that is no endpoint is logged and left out. Give registrations a lease, and an endpoint that
dies leaves the list by itself.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from wsgikit.client import Client, ClientSettings, Response, TlsSettings
from wsgikit.errors import ConfigError, UpstreamError
from wsgikit.middleware.balancer.endpoint import EndpointSpec

log = logging.getLogger("wsgikit.forward")

_PLACE = re.compile(r"((?:https?://[^/,\s]+,)*https?://[^/,\s]+)(/[^\s]*)")
_RESYNC = 60.0
# A watch is silent until something changes.
_SETTINGS = ClientSettings(first_byte_timeout=10.0, idle_timeout=2 * _RESYNC)
_LARGEST = 4 << 20
_JSON = (b"Content-Type", b"application/json")
_NONE: Mapping[str, str] = {}
# Seconds before it is listed again when a watch has ended sooner than this: etcd is not to be asked without end.
_PAUSE = 1.0

Found = Callable[[Sequence[EndpointSpec]], object]


class EtcdSource:
    """A prefix in etcd. ConfigError: the text is no address of one."""

    def __init__(
        self, place: str, options: Mapping[str, str] = _NONE, *, resync: float = _RESYNC, pause: float = _PAUSE
    ) -> None:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise ConfigError(f"discover = 'etcd:{place}': write 'etcd:http://10.0.0.1:2379/services/shop/'")
        tls = TlsSettings(ca=options.get("ca", ""), cert=options.get("cert", ""), key=options.get("key", ""))
        try:
            self._clients = [Client(url, replace(_SETTINGS, tls=tls)) for url in match[1].split(",")]
        except ConfigError as error:
            raise ConfigError(f"discover = 'etcd:{place}': {error}") from None
        self._user, self._password = options.get("user", ""), options.get("password", "")
        if bool(self._user) != bool(self._password):
            raise ConfigError("discover: etcd needs user and password together, or neither")
        self._fields = [_JSON]
        self._prefix = match[2].encode("utf-8")
        self._resync = resync
        self._pause = pause
        self._values: dict[bytes, str] = {}

    def watch(self, found: Found, stop: threading.Event) -> None:
        """See `Source`. UpstreamError: none of the servers answers as it should."""
        problem: UpstreamError | None = None
        for client in tuple(self._clients):
            try:
                while not stop.is_set():
                    began = monotonic()
                    self._once(client, found, stop)
                    if monotonic() - began < self._pause:
                        stop.wait(self._pause)
                return
            except UpstreamError as error:
                problem = error
                self._clients.append(self._clients.pop(0))  # begin with the next one
        if problem is not None:
            raise problem

    def _once(self, client: Client, found: Found, stop: threading.Event) -> None:
        """A list, and the watch that follows it, until it has to be listed again."""
        self._fields = [_JSON]
        if self._user:
            # tokens run out, and each list asks for a new one
            told = self._call(client, b"/v3/auth/authenticate", {"name": self._user, "password": self._password})
            self._fields = [_JSON, (b"Authorization", str(told["token"]).encode("latin-1"))]
        listed = self._call(client, b"/v3/kv/range", self._range())
        self._values = {_decoded(kv["key"]): _text(kv) for kv in listed.get("kvs", [])}
        found(self._specs())
        start = int(listed["header"]["revision"]) + 1
        for event in self._events(client, start, stop):
            if event is None:
                return
            key = _decoded(event["kv"]["key"])
            if event.get("type") == "DELETE":
                self._values.pop(key, None)
            else:
                self._values[key] = _text(event["kv"])
            found(self._specs())

    def _range(self) -> dict[str, str]:
        return {"key": _encoded(self._prefix), "range_end": _encoded(_after(self._prefix))}

    def _call(self, client: Client, target: bytes, body: dict[str, Any]) -> dict[str, Any]:
        with client.post(target, json.dumps(body).encode(), *self._fields) as response:
            _expect_ok(client, response)
            return _object(client, response.read_all(_LARGEST))

    def _events(self, client: Client, start: int, stop: threading.Event) -> Iterator[dict[str, Any] | None]:
        """What changes from a revision on; None when it has to be listed again."""
        body = json.dumps({"create_request": {**self._range(), "start_revision": str(start)}}).encode()
        silent_since = monotonic()
        pending = b""
        with client.post(b"/v3/watch", body, *self._fields) as response:
            _expect_ok(client, response)
            while not stop.is_set() and monotonic() - silent_since < self._resync:
                block = response.read(0.5)
                if block is None:
                    continue
                if not block:
                    break
                silent_since = monotonic()
                *lines, pending = (pending + block).split(b"\n")
                if len(pending) > _LARGEST:
                    raise UpstreamError(client.origin.url, "body", "a line of the watch is too long")
                for line in filter(None, lines):
                    result = _object(client, line).get("result", {})
                    if result.get("canceled"):
                        yield None
                        return
                    yield from result.get("events", [])
        yield None

    def _specs(self) -> list[EndpointSpec]:
        specs: dict[str, EndpointSpec] = {}
        for key in sorted(self._values):
            try:
                spec = EndpointSpec.parse(self._values[key])
            except ConfigError as error:
                log.error("etcd: the value of %s is no endpoint: %s", ascii(key)[2:-1], error)
                continue
            specs.setdefault(spec.url, spec)
        return list(specs.values())


def _after(prefix: bytes) -> bytes:
    """The first key that does not begin with `prefix` (etcd's range_end for a prefix)."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\0"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)


def _text(kv: dict[str, Any]) -> str:
    return _decoded(kv.get("value", "")).decode("utf-8", "replace").strip()


def _expect_ok(client: Client, response: Response) -> None:
    if response.status != 200:
        said = (response.read() or b"")[:200]
        raise UpstreamError(client.origin.url, "head", f"status {response.status}: {said!r}")


def _object(client: Client, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UpstreamError(client.origin.url, "body", f"not what etcd answers: {data[:80]!r}")
    return found
