"""The fields of the client's request, as they are to go on.

Owns where they come from: `wsgikit.raw_headers` (order, case, repetitions), held against the environ, because a layer
further out may have changed, added or dropped a variable; on other servers the environ alone. And which fields belong
to the client's connection and end here (RFC 9110 7.6.1). Must not know what is added.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from wsgikit.wire.http11.grammar import TOKEN

Fields = list[tuple[bytes, bytes]]

PASS, DROP, FORWARDING, CODING = range(4)

# RFC 9110 7.6.1 and those that were hop-by-hop before it; what frames the body and names the host is written anew.
_DROPPED = frozenset(
    b"""
    connection keep-alive proxy-connection te trailer upgrade proxy-authenticate proxy-authorization
    content-length host expect http2-settings
    """.split()  # ASCII source text, not wire data
)
# What says where a request comes from. Any `x-forwarded-` besides: people invent new ones.
_FORWARDING = frozenset((b"forwarded", b"x-real-ip"))
# Names that were met, and whole fields: clients have some dozens, and send the same again and again. A value longer
# than `_SHORT` is most likely made for one request.
_LEARNED, _SHORT = 2048, 128


class Known(NamedTuple):
    """What is known of a field: what becomes of it, its name in lower case and as a variable, its value as text.

    `variable` is "" for a name with an underscore: X_User and X-User are one variable to many an upstream, so that the
    server keeps it from its apps and we do not pass it on.
    """

    kind: int
    lower: bytes
    variable: str
    text: str


_known: dict[tuple[bytes, bytes], Known] = {}
# Variables that were met and are no fields: REQUEST_METHOD, wsgi.input and the like.
_others: set[str] = set()
_names: dict[str, tuple[bytes, int]] = {}


def _learn(field: tuple[bytes, bytes]) -> Known:
    name, value = field
    lower = name.lower()
    variable = str(lower, "latin-1").upper().replace("-", "_")
    if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        variable = "HTTP_" + variable
    kind = _kind(lower)
    known = Known(kind, lower, "" if b"_" in name else variable, str(value, "latin-1"))
    if len(value) <= _SHORT:
        if len(_known) >= _LEARNED:
            _known.clear()
        _known[field] = known
    return known


def _kind(lower: bytes) -> int:
    if lower == b"transfer-encoding":
        return CODING
    if lower in _DROPPED or b"_" in lower or TOKEN.fullmatch(lower) is None:
        return DROP
    return FORWARDING if lower in _FORWARDING or lower.startswith(b"x-forwarded-") else PASS


def client_fields(environ: dict[str, Any], *, trusted: bool) -> tuple[Fields, bool]:
    """What the client sent and what the layers further out made of it, without the fields of its connection.

    `trusted`: keep what it says of its own clients (Forwarded, X-Forwarded-*). The second value says whether the body
    has come in chunks.
    """
    named = connection_options(environ.get("HTTP_CONNECTION", ""))
    fields: Fields = []
    seen: set[str] = set()
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    raw: Fields = environ.get("wsgikit.raw_headers") or []
    changed: set[str] | None = None
    for field in raw:
        kind, lower, variable, text = _known.get(field) or _learn(field)
        seen.add(variable)
        if kind:
            if kind == CODING:
                chunked = True
            if kind != FORWARDING or not trusted:
                continue
        if named and lower in named:
            continue
        current = environ.get(variable)
        if current != text:
            if current is None:
                continue  # the server or a layer has taken it away
            if changed is None:
                changed = _changed(environ, raw)
            if variable in changed:
                continue
        fields.append(field)
    if changed:
        seen -= changed
    others = environ.keys() - _others - seen
    if others:
        _add_others(fields, environ, others, named, trusted)
    return fields, chunked


def _changed(environ: dict[str, Any], raw: Fields) -> set[str]:
    """Variables whose value is not what the fields of that name make together."""
    joined: dict[str, str] = {}
    for field in raw:
        kind, lower, variable, text = _known.get(field) or _learn(field)
        if variable and kind in (PASS, FORWARDING):
            separator = "; " if lower == b"cookie" else ", "
            joined[variable] = f"{joined[variable]}{separator}{text}" if variable in joined else text
    return {variable for variable, text in joined.items() if environ.get(variable) != text}


def _add_others(
    fields: Fields, environ: dict[str, Any], variables: set[str], named: frozenset[bytes], trusted: bool
) -> None:
    """Add what stands in the environ alone, in its order."""
    found = {variable for variable in variables if variable[:5] == "HTTP_" or variable == "CONTENT_TYPE"}
    if len(_others) < _LEARNED:
        _others.update(variables - found)
    if not found:
        return
    for variable in environ:
        if variable not in found or not environ[variable]:
            continue
        name, kind = _names.get(variable) or _learn_variable(variable)
        if (kind == PASS or (kind == FORWARDING and trusted)) and name.lower() not in named:
            fields.append((name, environ[variable].encode("latin-1")))


def _learn_variable(variable: str) -> tuple[bytes, int]:
    name = variable.removeprefix("HTTP_").replace("_", "-").title().encode("latin-1", "replace")
    known = name, _kind(name.lower())
    if len(_names) < _LEARNED:
        _names[variable] = known
    return known


_USUAL = {"": frozenset[bytes](), "keep-alive": frozenset[bytes](), "close": frozenset[bytes]()}


def connection_options(value: str) -> frozenset[bytes]:
    """The names that a Connection field lists, in lower case (RFC 9110 7.6.1)."""
    usual = _USUAL.get(value)
    if usual is None:
        parts = (part.strip(" \t").lower() for part in value.split(","))
        usual = frozenset(part.encode("latin-1", "replace") for part in parts if part)
    return usual
