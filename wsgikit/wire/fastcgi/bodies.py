"""The fixed bodies of FastCGI's discrete records (sections 4.2, 5.1 and 5.5), read and written."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from wsgikit.errors import ProtocolError
from wsgikit.wire.fastcgi.records import Kind, format_record

_BEGIN = struct.Struct(">HB5x")
_END = struct.Struct(">IB3x")
_KEEP: Final = 1


class Begin(NamedTuple):
    """BEGIN_REQUEST. `keep`: the connection is the web server's to close (FCGI_KEEP_CONN)."""

    role: int
    keep: bool


class End(NamedTuple):
    """END_REQUEST. `status` is the application's own (an exit status for CGI), `verdict` the protocol's."""

    status: int
    verdict: int


def parse_begin(content: bytes) -> Begin:
    """Raises ProtocolError("bad-begin-request")."""
    if len(content) != _BEGIN.size:
        raise ProtocolError("bad-begin-request", 400, f"a body of {len(content)} bytes")
    role, flags = _BEGIN.unpack(content)
    return Begin(role, bool(flags & _KEEP))


def format_begin(request: int, role: int, *, keep: bool) -> bytes:
    return format_record(Kind.BEGIN_REQUEST, request, _BEGIN.pack(role, _KEEP if keep else 0))


def parse_end(content: bytes) -> End:
    """Raises ProtocolError("bad-end-request")."""
    if len(content) != _END.size:
        raise ProtocolError("bad-end-request", 502, f"a body of {len(content)} bytes")
    return End(*_END.unpack(content))


def format_end(request: int, verdict: int, status: int = 0) -> bytes:
    return format_record(Kind.END_REQUEST, request, _END.pack(status, verdict))


def format_unknown_type(kind: int) -> bytes:
    """The answer to a management record of a type that we do not know (section 4.2)."""
    return format_record(Kind.UNKNOWN_TYPE, 0, bytes((kind, 0, 0, 0, 0, 0, 0, 0)))
