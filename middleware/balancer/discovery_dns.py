"""Endpoints from DNS, asked again when the answers run out. Needs dnspython (`pip install dnspython`).

    dns:shop.internal:8000 weight=2 scheme=https nameserver=10.0.0.53:53 family=4
    srv:_http._tcp.shop.internal

The system's resolver does not tell how long an answer is good, hence a library that does. TTLs below a second and above
five minutes are taken for those. For `https` give `tls.server_name`: endpoints are addresses.

A name has A and AAAA, and they are asked for one after the other: where one question fails and the other is answered
(there are servers that answer SERVFAIL to every AAAA), what the failed one gave last time stays in force. A target of
SRV that has no address at all is left out, and the others are used.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from wsgikit.client import Origin
from wsgikit.errors import ConfigError
from wsgikit.middleware.balancer.endpoint import MAX_WEIGHT, EndpointSpec

log = logging.getLogger("wsgikit.forward")

_SHORTEST, _LONGEST = 1.0, 300.0
_TIMEOUT = 5.0
_KINDS = {"": ("A", "AAAA"), "4": ("A",), "6": ("AAAA",)}
# Seconds after which a question is asked again that failed while its sibling was answered.
_AGAIN = 5.0
_PLACE = re.compile(r"([A-Za-z0-9._-]+):([0-9]{1,5})")
_NUMBER = re.compile(r"[0-9]{1,9}")

Found = Callable[[Sequence[EndpointSpec]], object]


class _Resolving:
    """What both kinds share: a resolver, the options of the endpoints, the loop."""

    def __init__(self, options: Mapping[str, str]) -> None:
        try:
            import dns.exception
            import dns.resolver
        except ImportError:
            raise ConfigError("discovery by DNS needs dnspython: pip install dnspython") from None
        self._nothing = (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN)
        self._failed = dns.exception.DNSException
        self._last: dict[tuple[str, str], list[str]] = {}
        self._scheme = options.get("scheme", "http")
        if self._scheme not in ("http", "https"):
            raise ConfigError(f"discover: scheme = {self._scheme!r}: 'http' or 'https'")
        family = options.get("family", "")
        if family not in _KINDS:
            raise ConfigError(f"discover: family = {family!r}: '4' or '6', or leave it out for both")
        self._kinds = _KINDS[family]
        self._weight = _number(options, "weight", 1)
        self._max_connections = _number(options, "max_connections", 0)
        self._resolver = _resolver(options.get("nameserver", ""))

    def _ask(self, name: str, kind: str) -> tuple[list[Any], float]:
        """The records, and for how long. What DNS raises without any."""
        answer = self._resolver.resolve(name, kind, lifetime=_TIMEOUT, search=False)
        # of the whole chain: an alias may be good for a shorter time than the addresses behind it
        return list(answer), float(answer.chaining_result.minimum_ttl)

    def _addresses(self, name: str) -> tuple[list[str], float]:
        """A and AAAA of a name, and for how long. What DNS raises when it has neither."""
        found: dict[str, list[str]] = {}
        missing: dict[str, Exception] = {}
        failed: dict[str, Exception] = {}
        ttl = _LONGEST
        for kind in self._kinds:
            try:
                records, known_for = self._ask(name, kind)
            except self._nothing as error:
                missing[kind] = error
            except self._failed as error:
                failed[kind] = error
            else:
                ttl = min(ttl, known_for)
                found[kind] = [record.address for record in records]
        if not found:
            raise next(iter((failed or missing).values()))
        for kind, problem in failed.items():
            log.warning("discovery: %s of %s stays as it was: %s", kind, name, problem)
            found[kind] = self._last.get((name, kind), [])
            ttl = min(ttl, _AGAIN)
        for kind in missing:
            self._last.pop((name, kind), None)
        self._last.update({(name, kind): addresses for kind, addresses in found.items()})
        return sorted(chain.from_iterable(found.values())), ttl

    def _spec(self, address: str, port: int, weight: int, *, backup: bool = False) -> EndpointSpec:
        origin = Origin(self._scheme, address, port)
        return EndpointSpec(origin=origin, weight=weight, backup=backup, max_connections=self._max_connections)

    def look(self) -> tuple[list[EndpointSpec], float]:
        """The endpoints now, and for how many seconds."""
        raise NotImplementedError

    def watch(self, found: Found, stop: threading.Event) -> None:
        """See `Source`."""
        while not stop.is_set():
            specs, ttl = self.look()
            found(specs)
            stop.wait(min(max(ttl, _SHORTEST), _LONGEST))


class AddressSource(_Resolving):
    """All addresses of a host."""

    def __init__(self, place: str, options: Mapping[str, str]) -> None:
        match = _PLACE.fullmatch(place)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ConfigError(f"discover = 'dns:{place}': write 'dns:shop.internal:8000'")
        super().__init__(options)
        self._name, self._port = match[1], int(match[2])

    def look(self) -> tuple[list[EndpointSpec], float]:
        addresses, ttl = self._addresses(self._name)
        return [self._spec(address, self._port, self._weight) for address in addresses], ttl


class ServiceSource(_Resolving):
    """SRV records (RFC 2782): the best priority takes the requests, the others are backups."""

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        super().__init__(options)
        self._name = name

    def look(self) -> tuple[list[EndpointSpec], float]:
        answer, ttl = self._ask(self._name, "SRV")
        records = sorted(answer, key=lambda record: (record.priority, str(record.target), record.port))
        targets = {str(record.target) for record in records}
        self._last = {key: addresses for key, addresses in self._last.items() if key[0] in targets}
        specs: dict[str, EndpointSpec] = {}
        for record in records:
            target = str(record.target)
            if target == ".":
                continue  # RFC 2782: the service is not there
            try:
                addresses, known_for = self._addresses(target)
            except self._nothing as error:
                log.warning("discovery: a target of %s is left out: %s", self._name, error)
                ttl = min(ttl, _AGAIN)
                continue
            ttl = min(ttl, known_for)
            for address in addresses:
                # weight 0 means "hardly ever" there, and there is no smaller one here
                weight = min(max(record.weight, 1) * self._weight, MAX_WEIGHT)
                spec = self._spec(address, record.port, weight, backup=record.priority > records[0].priority)
                specs.setdefault(spec.url, spec)
        return list(specs.values()), ttl


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not _NUMBER.fullmatch(text) or int(text) < default:
        raise ConfigError(f"discover: {name} = {text!r}: a whole number from {default}")
    return int(text)


def _resolver(nameserver: str) -> Any:
    import dns.resolver

    if not nameserver:
        return dns.resolver.Resolver()
    match = _PLACE.fullmatch(nameserver)
    if match is None:
        raise ConfigError(f"discover: nameserver = {nameserver!r}: write '10.0.0.53:53'")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [match[1]]
    resolver.port = int(match[2])
    return resolver
