"""The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt defines it: how a proxy names its client.

Owns the parsing of one header. It must not know who may send one: believing strangers is for the caller to refuse.
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass

from wsgikit.errors import ProtocolError

LONGEST = 16 + 512
"""Bytes to look at. Version 1 has at most 107; version 2 has 16, the addresses, and extensions that we pass over."""

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V1 = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?"
    rb"|(TCP4|TCP6) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39}) ([0-9]{1,5}) ([0-9]{1,5}))\r\n"
)
_V1_LONGEST = 107
_FAMILIES = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """`source` and `destination` are (address, port); None where the proxy speaks for itself or does not say."""

    source: tuple[str, int] | None
    destination: tuple[str, int] | None
    end: int
    """Offset of the first byte after the header."""


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Parse the header that `data` begins with; None when it is not complete.

    Raises ProtocolError("bad-proxy-header") for anything else: a connection that must begin with a header and does not
    is not to be trusted with a request.
    """
    if data[:12] == _SIGNATURE[: len(data)]:
        return _version2(data)
    if data[:6] == b"PROXY "[: len(data)]:
        return _version1(data)
    raise ProtocolError("bad-proxy-header", 400, "the connection does not begin with a PROXY header")


def _version1(data: bytes) -> ProxyHeader | None:
    match = _V1.match(data)
    if match is None:
        if b"\r\n" in data or len(data) >= _V1_LONGEST:
            raise ProtocolError("bad-proxy-header", 400, "a PROXY line that breaks the grammar")
        return None
    if match.end() > _V1_LONGEST:
        raise ProtocolError("bad-proxy-header", 400, f"a PROXY line longer than {_V1_LONGEST} bytes")
    if match[1] is None:
        return ProxyHeader(None, None, match.end())
    family = socket.AF_INET if match[1] == b"TCP4" else socket.AF_INET6
    return ProxyHeader(_endpoint(family, match[2], match[4]), _endpoint(family, match[3], match[5]), match.end())


def _endpoint(family: socket.AddressFamily, address: bytes, port: bytes) -> tuple[str, int]:
    text = address.decode("ascii")
    try:
        packed = socket.inet_pton(family, text)
    except OSError:
        raise ProtocolError("bad-proxy-header", 400, "an address in the PROXY line is not one") from None
    if int(port) > 65535:
        raise ProtocolError("bad-proxy-header", 400, "a port in the PROXY line is above 65535")
    return socket.inet_ntop(family, packed), int(port)


def _version2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    command, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    if command not in (0x20, 0x21):
        raise ProtocolError("bad-proxy-header", 400, "a PROXY header of an unknown version or command")
    end = 16 + length
    if end > LONGEST:
        raise ProtocolError("bad-proxy-header", 400, f"a PROXY header longer than {LONGEST} bytes")
    if len(data) < end:
        return None
    known = _FAMILIES.get(family)
    if command == 0x20 or known is None:  # LOCAL, or a Unix or UDP client: the connection's own addresses hold
        return ProxyHeader(None, None, end)
    kind, size = known
    if length < 2 * size + 4:
        raise ProtocolError("bad-proxy-header", 400, "a PROXY header too short for its addresses")
    source = socket.inet_ntop(kind, data[16 : 16 + size])
    destination = socket.inet_ntop(kind, data[16 + size : 16 + 2 * size])
    source_port, destination_port = struct.unpack_from("!HH", data, 16 + 2 * size)
    return ProxyHeader((source, source_port), (destination, destination_port), end)
