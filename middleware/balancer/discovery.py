"""Where endpoints come from when they are not written down: a file, DNS, etcd.

    discover = "file:endpoints.txt"                       # a line an endpoint, as in `endpoints`; watched
    discover = "dns:shop.internal:8000"                   # every A and AAAA address, asked again by TTL
    discover = "srv:_http._tcp.shop.internal"             # SRV: hosts, ports, weights, and priorities as backups
    discover = "etcd:http://10.0.0.1:2379,http://10.0.0.2:2379/services/shop/"     # every value below the key

Owns the choice of source, the thread that watches it, and what happens when it fails: the last good list stays in
force, it is logged, and it is tried again. An empty list is not believed either, unless it is the first. Every worker
watches by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from wsgikit.errors import ConfigError
from wsgikit.loader import nearest
from wsgikit.middleware.amounts import text_of
from wsgikit.middleware.balancer.endpoint import EndpointSpec
from wsgikit.middleware.balancer.options import in_folder

log = logging.getLogger("wsgikit.forward")

Found = Callable[[Sequence[EndpointSpec]], object]

# Seconds before a source that failed is asked again; doubles up to the second one.
_RETRY, _LONGEST = 1.0, 60.0


class Source(Protocol):
    """Something that knows endpoints."""

    def watch(self, found: Found, stop: threading.Event) -> None:
        """Call `found` with every new list until `stop` is set. Raises what goes wrong; it is called again then."""


def make_source(text: str, folder: str = "") -> Source:
    """The source that a text names. ConfigError: unknown kind, or an option that is wrong.

    folder: where relative names of files start; "": the working directory.
    """
    kind, colon, rest = text_of(text, "discover").partition(":")
    place, *words = rest.split() or [""]
    if not colon or not place:
        raise ConfigError(f"discover = {text!r}: write 'file:PATH', 'dns:HOST:PORT', 'srv:NAME' or 'etcd:URL/PREFIX'")
    options = dict(word.partition("=")[::2] for word in words)
    text = f"{kind}:{place}"  # an error tells no password
    if kind == "file":
        from wsgikit.middleware.balancer.discovery_file import FileSource

        return FileSource(place, folder, **_known(options, (), text))
    if kind in ("dns", "srv"):
        from wsgikit.middleware.balancer.discovery_dns import AddressSource, ServiceSource

        values = _known(options, ("nameserver", "scheme", "weight", "max_connections", "family"), text)
        return AddressSource(place, values) if kind == "dns" else ServiceSource(place, values)
    if kind == "etcd":
        from wsgikit.middleware.balancer.discovery_etcd import EtcdSource

        values = _known(options, ("ca", "cert", "key", "user", "password"), text)
        return EtcdSource(place, {name: in_folder(folder, name, value) for name, value in values.items()})
    raise ConfigError(f"discover = {text!r}: unknown kind{nearest(kind, ('file', 'dns', 'srv', 'etcd'))}")


def _known(options: dict[str, str], names: Sequence[str], text: str) -> dict[str, Any]:
    for name in options:
        if name not in names:
            raise ConfigError(f"discover = {text!r}: unknown option {name!r}{nearest(name, names)}")
    return dict(options)


class Discovery:
    """Watches a source in a thread, and hands every list that differs to `replace`."""

    def __init__(
        self,
        source: Source,
        upstream: str,
        replace: Callable[[Sequence[EndpointSpec]], object],
        retry: float = _RETRY,
    ) -> None:
        self._source = source
        self._retry = retry
        self._upstream = upstream
        self._replace = replace
        self._last: tuple[EndpointSpec, ...] | None = None
        self._heard = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.ready = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._run, name="wsgikit-discovery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; waits a moment for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        pause = self._retry
        while not self._stop.is_set():
            self._heard = False
            try:
                self._source.watch(self.found, self._stop)
                pause = self._retry
            except Exception as error:
                log.error("upstream %s: discovery failed, the last endpoints stay: %s", self._upstream, error)
                # A source that has worked meanwhile is asked again soon, also when nothing had changed.
                pause = self._retry if self._heard else min(pause * 2, _LONGEST)
            self._stop.wait(pause)

    def found(self, specs: Sequence[EndpointSpec]) -> None:
        """A list has come."""
        self._heard = True
        wanted = tuple(specs)
        if wanted == self._last or (not wanted and self._last):
            if wanted != self._last:
                log.error("upstream %s: discovery gave no endpoint at all; the last ones stay", self._upstream)
            return
        try:
            self._replace(wanted)
        except ConfigError as error:
            log.error("upstream %s: discovery gave a list that cannot be used: %s", self._upstream, error)
            return
        log.info("upstream %s: %d endpoints: %s", self._upstream, len(wanted), ", ".join(spec.url for spec in wanted))
        self._last = wanted
        self.ready.set()
