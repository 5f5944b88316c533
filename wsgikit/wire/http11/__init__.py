"""HTTP/1.1 messages (RFC 9112), pure: bytes in, values out. See the modules for what each owns.

head, response_head    parse_head, parse_response_head
body                   decoders of message bodies
framing                how what we send is framed
persistence            what happens to a connection after a response
limits                 how large a message may be
grammar                every pattern; request_line, walk and meaning: the parts of the head parser
"""

from __future__ import annotations

from wsgikit.wire.http11.body import (
    ChunkedDecoder,
    CloseDecoder,
    Decoder,
    LengthDecoder,
    request_decoder,
    response_decoder,
)
from wsgikit.wire.http11.framing import (
    LAST_CHUNK,
    Framing,
    Plan,
    choose_framing,
    chunk,
    chunk_start,
    connection_field,
    format_head,
)
from wsgikit.wire.http11.head import Head, parse_head
from wsgikit.wire.http11.limits import DEFAULT_LIMITS, Limits
from wsgikit.wire.http11.persistence import Rule, Step, after_response
from wsgikit.wire.http11.response_head import ResponseHead, ResponseHeads, parse_response_head

__all__ = [
    "DEFAULT_LIMITS",
    "LAST_CHUNK",
    "ChunkedDecoder",
    "CloseDecoder",
    "Decoder",
    "Framing",
    "Head",
    "LengthDecoder",
    "Limits",
    "Plan",
    "ResponseHead",
    "ResponseHeads",
    "Rule",
    "Step",
    "after_response",
    "choose_framing",
    "chunk",
    "chunk_start",
    "connection_field",
    "format_head",
    "parse_head",
    "parse_response_head",
    "request_decoder",
    "response_decoder",
]
