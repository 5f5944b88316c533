"""FastCGI 1.0, pure: bytes in, values out, for both sides. See the modules for what each owns.

records     record types, reading records from a stream of bytes, writing them
params      name-value pairs
bodies      the fixed bodies of BEGIN_REQUEST, END_REQUEST and UNKNOWN_TYPE

Source: the FastCGI Specification 1.0 (Mark R. Brown, 29 April 1996); section numbers in the modules are its.
"""

from __future__ import annotations

from wsgikit.wire.fastcgi.bodies import (
    Begin,
    End,
    format_begin,
    format_end,
    format_unknown_type,
    parse_begin,
    parse_end,
)
from wsgikit.wire.fastcgi.params import ParamsDecoder, format_pairs, parse_pairs
from wsgikit.wire.fastcgi.records import (
    FRAGMENT,
    Kind,
    Record,
    RecordReader,
    Role,
    Verdict,
    format_record,
    format_stream,
    record_start,
)

__all__ = [
    "FRAGMENT",
    "Begin",
    "End",
    "Kind",
    "ParamsDecoder",
    "Record",
    "RecordReader",
    "Role",
    "Verdict",
    "format_begin",
    "format_end",
    "format_pairs",
    "format_record",
    "format_stream",
    "format_unknown_type",
    "parse_begin",
    "parse_end",
    "parse_pairs",
    "record_start",
]
