"""The fields of the client's request, as they are to go on.

Owns where they come from: `wsgikit.raw_headers` (order, case, repetitions), held against the environ, because a layer
further out may have changed, added or dropped a variable; on other servers the environ alone. And which fields belong
to the client's connection and end here (RFC 9110 7.6.1). Must not know what is added.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from wsgikit.wire.http11.grammar import TOKEN

Fields = list[tuple[bytes, bytes]]

PASS, DROP, FORWARDING = range(3)

# RFC 9110 7.6.1 and those that were hop-by-hop before it; what frames the body and names the host is written anew.
_DROPPED = frozenset(
    b"""
    connection keep-alive proxy-connection te trailer transfer-encoding upgrade proxy-authenticate proxy-authorization
    content-length host expect http2-settings
    """.split()  # ASCII source text, not wire data
)
# What says where a request comes from. Any `x-forwarded-` besides: people invent new ones.
_FORWARDING = frozenset((b"forwarded", b"x-real-ip"))
_LEARNED = 2048  # spellings of names that were met; clients have some dozens


class Spelling(NamedTuple):
    """What is known of a field name: in lower case, as a variable of the environ, and what becomes of it."""

    lower: bytes
    variable: str
    kind: int
    separator: str


_spellings: dict[bytes, Spelling] = {}
_names: dict[str, bytes] = {}


def spelling(name: bytes) -> Spelling:
    """What is known of a field name."""
    known = _spellings.get(name)
    if known is None:
        known = _learn(name)
        if len(_spellings) < _LEARNED:
            _spellings[name] = known
    return known


def _learn(name: bytes) -> Spelling:
    lower = name.lower()
    variable = str(lower, "latin-1").upper().replace("-", "_")
    if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        variable = "HTTP_" + variable
    kind = PASS
    # X_User and X-User are one variable to many an upstream; the server keeps neither from its apps nor do we pass it
    if lower in _DROPPED or b"_" in name or TOKEN.fullmatch(name) is None:
        kind = DROP
    elif lower in _FORWARDING or lower.startswith(b"x-forwarded-"):
        kind = FORWARDING
    return Spelling(lower, variable, kind, "; " if lower == b"cookie" else ", ")


def client_fields(environ: dict[str, Any], *, trusted: bool) -> Fields:
    """What the client sent and what the layers further out made of it, without the fields of its connection.

    `trusted`: keep what it says of its own clients (Forwarded, X-Forwarded-*).
    """
    named = connection_options(environ.get("HTTP_CONNECTION", ""))
    fields: Fields = []
    seen: set[str] = set()
    raw: Fields = environ.get("wsgikit.raw_headers") or []
    changed: set[str] | None = None
    for name, value in raw:
        lower, variable, kind, _ = spelling(name)
        if b"_" not in name:
            seen.add(variable)
        if kind == DROP or (kind == FORWARDING and not trusted) or lower in named:
            continue
        current = environ.get(variable)
        if current is None:
            continue  # the server or a layer has taken it away
        if current != str(value, "latin-1"):
            if changed is None:
                changed = _changed(environ, raw)
            if variable in changed:
                continue
        fields.append((name, value))
    if changed:
        seen -= changed
    _add_others(fields, environ, seen, named, trusted)
    return fields


def _changed(environ: dict[str, Any], raw: Fields) -> set[str]:
    """Variables whose value is not what the fields of that name make together."""
    joined: dict[str, str] = {}
    for name, value in raw:
        _, variable, kind, separator = spelling(name)
        if b"_" not in name and kind != DROP:
            text = str(value, "latin-1")
            joined[variable] = f"{joined[variable]}{separator}{text}" if variable in joined else text
    return {variable for variable, text in joined.items() if environ.get(variable) != text}


def _add_others(
    fields: Fields, environ: dict[str, Any], seen: set[str], named: frozenset[bytes], trusted: bool
) -> None:
    """Add what stands in the environ alone."""
    for variable in environ:
        if variable in seen or not (variable[:5] == "HTTP_" or variable == "CONTENT_TYPE"):
            continue
        value = environ[variable]
        name = _names.get(variable)
        if name is None:
            name = variable.removeprefix("HTTP_").replace("_", "-").title().encode("latin-1", "replace")
            if len(_names) < _LEARNED:
                _names[variable] = name
        lower, _, kind, _ = spelling(name)
        if value and kind != DROP and (kind != FORWARDING or trusted) and lower not in named:
            fields.append((name, value.encode("latin-1")))


_USUAL = {"": frozenset[bytes](), "keep-alive": frozenset[bytes](), "close": frozenset[bytes]()}


def connection_options(value: str) -> frozenset[bytes]:
    """The names that a Connection field lists, in lower case (RFC 9110 7.6.1)."""
    usual = _USUAL.get(value)
    if usual is None:
        parts = (part.strip(" \t").lower() for part in value.split(","))
        usual = frozenset(part.encode("latin-1", "replace") for part in parts if part)
    return usual
