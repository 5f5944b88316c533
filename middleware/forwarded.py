"""The two families of fields in which proxies tell about a request: Forwarded (RFC 7239) and X-Forwarded-*.

Owns their grammar and turns each into a chain of hops, the client's side first. Must not know whom to trust.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from wsgikit.middleware.amounts import address

__all__ = ["Hop", "forwarded_hops", "x_forwarded_hops"]

# Proxies pass on what clients write, so that this has to be linear (CVE-2020-5236 was not).
_MARKS = {mark: re.compile(rf'(?<!\\)\\*+["{mark}]') for mark in ",;"}
# one forwarded-pair (RFC 7239 4): token "=" ( token / quoted-string ); colons are let through unquoted, as they are met
_PAIR = re.compile(r"""([!#$%&'*+.^_`|~0-9A-Za-z-]++)=(?:([^\s",;=]++)|"((?:[^"\\]++|\\.)*+)")""")
# no address is longer than 45 characters; what is remembered of them stays small
_NODE = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9.]{7,15}|[0-9A-Fa-f:.]{2,45})(?::([0-9]{1,5}))?\Z")
# what a chain may be long: no one has more proxies, and the field is attacker-made
_MOST = 64


class Hop(NamedTuple):
    """What one proxy said about whom it heard from. Empty texts where it said nothing, or nothing that is valid."""

    address: str
    port: str = ""
    scheme: str = ""
    host: str = ""
    server_port: str = ""
    text: str = ""


def forwarded_hops(environ: Mapping[str, Any]) -> list[Hop]:
    """The elements of Forwarded, at most the last 64. An element with a syntax error in it says nothing."""
    elements = (element.strip(" \t") for element in _split(environ.get("HTTP_FORWARDED", ""), ","))
    return [_forwarded_hop(element) for element in elements if element][-_MOST:]


def _split(value: str, mark: str) -> list[str]:
    """Split at each `mark` that is not inside quotes.

    Quotes are counted from the right, where our proxy has written: one that a client left open ends in what the client
    wrote. A quote behind an odd number of backslashes is part of a text (RFC 9110 5.6.4).
    """
    parts: list[str] = []
    end, inside = len(value), False
    for found in reversed(list(_MARKS[mark].finditer(value))):
        if found[0][-1] == mark:
            if not inside:
                parts.append(value[found.end() : end])
                end = found.end() - 1
        elif len(found[0]) % 2:
            inside = not inside
    return [value[:end], *reversed(parts)]


def _forwarded_hop(element: str) -> Hop:
    pairs: dict[str, str] = {}
    for text in _split(element, ";"):
        match = _PAIR.fullmatch(text.strip(" \t"))
        if match is not None and match[1].lower() not in pairs:
            pairs[match[1].lower()] = match[2] if match[3] is None else re.sub(r"\\(.)", r"\1", match[3])
        elif match is not None or text.strip(" \t"):
            return Hop("")
    node, port = _node(pairs.get("for", ""))
    return Hop(node, port, _scheme(pairs.get("proto", "")), pairs.get("host", ""), "", element)


def x_forwarded_hops(environ: Mapping[str, Any]) -> list[Hop]:
    """X-Forwarded-For with the other four beside it.

    A proxy either appends to all of these lists, so that they run along the addresses, or sets one value about the
    client: with lists of another length the last value counts, which is the one that our proxy wrote.
    """
    nodes = _list(environ, "FOR")
    schemes, hosts, ports = _list(environ, "PROTO"), _list(environ, "HOST"), _list(environ, "PORT")
    hops = []
    for place, text in enumerate(nodes or [""] * bool(schemes or hosts or ports)):
        node, port = _node(text)
        scheme, host, server_port = (
            (values[place] if len(values) == len(nodes) else values[-1]) if values else ""
            for values in (schemes, hosts, ports)
        )
        hops.append(Hop(node, port, _scheme(scheme), host, server_port if _is_port(server_port) else ""))
    return hops


def _list(environ: Mapping[str, Any], name: str) -> list[str]:
    value: str = environ.get(f"HTTP_X_FORWARDED_{name}", "")
    return [part.strip(" \t") for part in value.split(",")][-_MOST:] if value else []


def _node(text: str) -> tuple[str, str]:
    """(address, port) of "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80" or, as some write it, "2001:db8::1"."""
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    match = _NODE.match(text)
    found = address(match[1].strip("[]")) if match else None
    return (str(found), (match[2] or "") if match else "") if found is not None else ("", "")


def _scheme(text: str) -> str:
    text = text.lower()
    return text if text in ("http", "https") else ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535
