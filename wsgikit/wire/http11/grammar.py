"""The grammar of HTTP/1.1 (RFC 9110 and RFC 9112) as compiled regular expressions: the only place where it stands.

Owns every pattern that decides what is a token, a field value, a target, a host, a length or a chunk line. Knows
nothing of what they mean. Bytes patterns read what a peer sent, `str` patterns check what an application gives.

Three rules for every pattern here:

* Quantifiers are possessive (`*+`), so that no input makes the engine go back: matching is linear (CVE-2020-5236).
* No `$` (it matches before a final newline), no `\\d`, `\\s` or `\\w` (they take Unicode): use `fullmatch` or `\\Z`.
* No IGNORECASE on `str`: it folds U+017F and U+212A into ASCII letters.
"""

from __future__ import annotations

import re

# RFC 9110 5.6.2. Written as the inside of a character class.
_TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"

# RFC 9110 5.5: VCHAR, obs-text, SP and HTAB. obs-text is opaque, so it passes.
_FIELD_BYTE = rb"\t -~\x80-\xff"

# RFC 3986 gives a smaller set. `[ ] ^ ` { | }` are not in it, but browsers send them raw in queries (WHATWG URL,
# query percent-encode set). The rest (`" # < > \`, controls, anything above 0x7E) is refused: RFC 9112 3.2.
_PATH_CHAR = rb"!$%&'()*+,\-./0-9:;=@A-Z\[\]\^_`a-z{|}~"
_TARGET_CHAR = rb"?" + _PATH_CHAR

TOKEN = re.compile(rb"[" + _TCHAR + rb"]++")
TOKEN_RUN = re.compile(rb"[" + _TCHAR + rb"]*+")
VALUE_RUN = re.compile(rb"[" + _FIELD_BYTE + rb"]*+")
TARGET_RUN = re.compile(rb"[" + _TARGET_CHAR + rb"]*+")


def _run_of(*parts: bytes) -> re.Pattern[bytes]:
    """A pattern for the longest beginning of `parts`, one after the other, that is there (it may be empty)."""
    nested = b""
    for part in reversed(parts):
        nested = rb"(?:" + part + nested + rb")?+"
    return re.compile(nested)


_VERSION_PARTS = (rb"H", rb"T", rb"T", rb"P", rb"/", rb"[0-9]", rb"\.", rb"[0-9]")
VERSION_RUN = _run_of(*_VERSION_PARTS)
STATUS_RUN = _run_of(*_VERSION_PARTS, rb" ", rb"[0-9]", rb"[0-9]", rb"[0-9]")
DIGITS = re.compile(rb"[0-9]++")

# One field line as almost everybody writes it: at most one space after the colon, none at the end. Other spacing is
# as valid (RFC 9112 5.1) and takes the slow way.
_PLAIN_FIELD = rb"[" + _TCHAR + rb"]++: ?+(?:[!-~\x80-\xff][" + _FIELD_BYTE + rb"]*+(?<![ \t]))?+\r\n"

# A whole request head in origin-form: method, target, path, query, minor version. Group ends tell where the fields are.
PLAIN_REQUEST = re.compile(
    rb"([A-Z][A-Z\-]{2,20}+) (/[" + _TARGET_CHAR + rb"]*+) HTTP/1\.([01])\r\n(?:" + _PLAIN_FIELD + rb")*+\r\n"
)
# Its first line alone, for HTTP/1.1: what differs when a client sends the same fields again.
PLAIN_REQUEST_LINE = re.compile(rb"([A-Z][A-Z\-]{2,20}+) (/[" + _TARGET_CHAR + rb"]*+) HTTP/1\.1\r\n")
PLAIN_RESPONSE = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9]{2}) ([" + _FIELD_BYTE + rb"]*+)\r\n(?:" + _PLAIN_FIELD + rb")*+\r\n"
)
# Splits field lines that one of the two patterns above has accepted.
PLAIN_SPLIT = re.compile(rb"([^:]++): ?+([^\r]*+)\r\n")

# RFC 9112 3.2.2, for the schemes that an HTTP origin server serves.
ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?+://([^/?]*+)(/[^?]*+)?+(?:\?(.*+))?+")

# RFC 3986 3.2.2. The comma is a sub-delim there, but in Host it is what joining two Host lines gives: refused.
_REG_NAME = rb"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++"
_H16 = rb"[0-9A-Fa-f]{1,4}"
_DEC_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rb"(?:" + _DEC_OCTET + rb"\.){3}" + _DEC_OCTET
_LS32 = rb"(?:" + _H16 + rb":" + _H16 + rb"|" + _IPV4 + rb")"
_IPV6 = rb"|".join(
    (
        rb"(?:%(h)b:){6}%(l)b",
        rb"::(?:%(h)b:){5}%(l)b",
        rb"(?:%(h)b)?::(?:%(h)b:){4}%(l)b",
        rb"(?:(?:%(h)b:){0,1}%(h)b)?::(?:%(h)b:){3}%(l)b",
        rb"(?:(?:%(h)b:){0,2}%(h)b)?::(?:%(h)b:){2}%(l)b",
        rb"(?:(?:%(h)b:){0,3}%(h)b)?::%(h)b:%(l)b",
        rb"(?:(?:%(h)b:){0,4}%(h)b)?::%(l)b",
        rb"(?:(?:%(h)b:){0,5}%(h)b)?::%(h)b",
        rb"(?:(?:%(h)b:){0,6}%(h)b)?::",
    )
) % {b"h": _H16, b"l": _LS32}
_IPVFUTURE = rb"[Vv][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++"
_HOST = rb"(?:" + _REG_NAME + rb"|\[(?:" + _IPV6 + rb"|" + _IPVFUTURE + rb")\])"
# Group 1 is the port; five digits at most, so that it is always small.
HOST = re.compile(_HOST + rb"(?::([0-9]{0,5}+))?+")

# RFC 9112 7: a transfer coding with optional parameters; group 1 is its name.
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_PARAMETER = rb"[ \t]*+;[ \t]*+[" + _TCHAR + rb"]++[ \t]*+=[ \t]*+(?:[" + _TCHAR + rb"]++|" + _QUOTED + rb")"
TRANSFER_CODING = re.compile(rb"([" + _TCHAR + rb"]++)((?:" + _PARAMETER + rb")*+)")
# List elements (RFC 9110 5.6.1); a comma inside a quoted string does not separate.
LIST_ELEMENT = re.compile(rb'(?:[^,"]++|"(?:[^"\\]|\\.)*+"?+)++')

# RFC 9112 7.1 and 7.1.1. 16 hex digits hold 2**64 - 1. Group 1 is the size, 2 the extensions.
LINE_RUN = re.compile(rb"[^\r\n]*+")
CHUNK_DIGITS = re.compile(rb"[0-9A-Fa-f]*+")
CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16}+)((?:[ \t]*+;[ \t]*+["
    + _TCHAR
    + rb"]++(?:[ \t]*+=[ \t]*+(?:["
    + _TCHAR
    + rb"]++|"
    + _QUOTED
    + rb"))?+)*+)\r\n"
)

# What an application gives: native strings that must become one status line and whole field lines (PEP 3333).
STATUS_TEXT = re.compile(r"([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*+))?+")
NAME_TEXT = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
VALUE_TEXT = re.compile(r"[\t -~\x80-\xff]*+")
