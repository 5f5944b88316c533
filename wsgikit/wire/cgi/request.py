"""From the variables of a request to its head, as HTTP's parser would have made it.

The web server has read the request and answers for its syntax; what is checked again is what could make two requests of
one, or reach an app as something else than text. Owns the way back from HTTP_* to fields. Must not know environs.

Where there is room: a variable that comes twice has its last value, as in uWSGI and PHP; one whose name is no name of a
variable (`wsgi.input`) is dropped; bytes that RFC 9112 3.2 does not allow in a target are percent-encoded, since the
server has taken them; a target in absolute form loses scheme and authority.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wsgikit.errors import LimitError, ProtocolError
from wsgikit.wire.cgi.paths import quote_path
from wsgikit.wire.http11.grammar import ABSOLUTE_FORM, DIGITS, TARGET_RUN, TOKEN, VALUE_RUN
from wsgikit.wire.http11.head import Head
from wsgikit.wire.http11.request_line import METHODS

Variables = dict[bytes, bytes]

_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_\-]*+")
_LONGEST_METHOD = 64  # as `Limits.method`; the server in front has a limit of its own
_LENGTH_DIGITS = 18
_OUTSIDE_TARGET = re.compile(rb"[^!$-;=?-\[\]-~]")

_LEARNED = 1024  # distinct names kept; a server sends some dozens
_fields: dict[bytes, bytes] = {}
"""The field of each variable that has been seen: b"" for one that is no field, b"-" for one that is dropped."""
_DROPPED = b"-"
_BLANKS = (b" ", b"\t")  # no part of a field's value (RFC 9110 5.5)
# The server in front has taken the coding off; HTTP_PROXY configures CGI programs (httpoxy); the other two have
# variables of their own.
_NO_FIELDS = frozenset((b"HTTP_TRANSFER_ENCODING", b"HTTP_PROXY", b"HTTP_CONTENT_LENGTH", b"HTTP_CONTENT_TYPE"))


def read_request(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[Head, Variables]:
    """The head, and the variables that an app may see.

    Raises ProtocolError: "bad-method", "bad-content-length", "repeated-content-length", "bad-variable" (a control
    character in a field's value); LimitError "body-too-large".
    """
    variables: Variables = {}
    fields: list[tuple[bytes, bytes]] = []
    known = _fields
    for name, value in pairs:
        field = known.get(name)
        if field is None:
            field = _learn(name)
        if field is _DROPPED:
            continue
        if name in variables:
            _note_repeated(name, value, variables, fields, field)
        elif field:
            if VALUE_RUN.fullmatch(value) is None:
                raise ProtocolError("bad-variable", 400, f"a control character in {name[:40]!r}")
            if value[-1:] in _BLANKS:  # nginx leaves a tab that ends a line
                value = value.strip(b" \t")
            fields.append((field, value))
        variables[name] = value
    return _head(variables, fields), variables


def _note_repeated(
    name: bytes, value: bytes, variables: Variables, fields: list[tuple[bytes, bytes]], field: bytes
) -> None:
    if name == b"CONTENT_LENGTH" and variables[name] != value:
        raise ProtocolError("repeated-content-length", 400, "two lengths for one body")
    if field:
        if VALUE_RUN.fullmatch(value) is None:
            raise ProtocolError("bad-variable", 400, f"a control character in {name[:40]!r}")
        fields[:] = [(known, value if known == field else old) for known, old in fields]


def _head(variables: Variables, fields: list[tuple[bytes, bytes]]) -> Head:
    head = Head()
    head.method = _method(variables.get(b"REQUEST_METHOD", b""))
    head.target = _target(variables)
    head.path, _, head.query = head.target.partition(b"?")
    head.authority = None
    head.minor = 0 if variables.get(b"SERVER_PROTOCOL") in (b"HTTP/1.0", b"HTTP/0.9") else 1
    head.fields = fields
    head.host = variables.get(b"HTTP_HOST")
    head.content_length = _length(variables.get(b"CONTENT_LENGTH", b""))
    head.chunked = head.keep_alive = head.expect_continue = head.upgrade = False
    head.end = 0
    head.section = b""
    head.memo = None
    for name, field in ((b"CONTENT_TYPE", b"Content-Type"), (b"CONTENT_LENGTH", b"Content-Length")):
        if variables.get(name):
            fields.append((field, variables[name]))
    return head


def _method(text: bytes) -> str:
    method = METHODS.get(text)
    if method is None:
        if len(text) > _LONGEST_METHOD or TOKEN.fullmatch(text) is None:
            raise ProtocolError("bad-method", 400, f"REQUEST_METHOD is {text[:64]!r}")
        method = text.decode("ascii")
    return method


def _length(text: bytes) -> int | None:
    if not text:
        return None
    if DIGITS.fullmatch(text) is None:
        raise ProtocolError("bad-content-length", 400, f"CONTENT_LENGTH is {text[:40]!r}")
    if len(text.lstrip(b"0")) > _LENGTH_DIGITS:
        raise LimitError("body-too-large", 413, "CONTENT_LENGTH has too many digits")
    return int(text)


def _target(variables: Variables) -> bytes:
    target = variables.get(b"REQUEST_URI", b"")
    if not target:
        path = variables.get(b"SCRIPT_NAME", b"") + variables.get(b"PATH_INFO", b"")
        query = variables.get(b"QUERY_STRING", b"")
        target = quote_path(path or b"/") + (b"?" + query if query else b"")
    if TARGET_RUN.fullmatch(target) is None:
        target = _OUTSIDE_TARGET.sub(lambda match: b"%%%02X" % match[0][0], target)
    if target[:1] != b"/" and target != b"*":
        absolute = ABSOLUTE_FORM.fullmatch(target)
        if absolute is not None:
            target = (absolute[2] or b"/") + (b"?" + absolute[3] if absolute[3] is not None else b"")
        else:
            target = b"/" + target
    return target


def _learn(name: bytes) -> bytes:
    if _NAME.fullmatch(name) is None or name in _NO_FIELDS:
        field = _DROPPED
    elif name.startswith(b"HTTP_") and len(name) > 5:
        field = name[5:].replace(b"_", b"-").title()
    else:
        field = b""
    if len(_fields) < _LEARNED:
        _fields[name] = field
    return field
