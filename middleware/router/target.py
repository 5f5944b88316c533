"""The path of a request: decoded for matching, with `%2F` kept apart from `/`, and moved to SCRIPT_NAME piece by piece.

Owns: which environ keys carry the raw target, and when they can be trusted. Knows nothing of rules.

PATH_INFO is bytes read as latin-1 (PEP 3333), and the server has already decoded `%2F` in it. The raw target
(`wsgikit.raw_target`, `REQUEST_URI`, `RAW_URI`) still tells `/a%2Fb` from `/a/b`. It is believed only when it decodes
to exactly SCRIPT_NAME + PATH_INFO: a rewriting middleware, or a server that merges slashes, changes one, not the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

# Stands for a decoded %2F in a path that is being matched. No decoder yields it: surrogateescape makes only U+DC80 to
# U+DCFF, and `[^/]+` accepts it as it should.
ENCODED_SLASH = "\udc2f"
SURROGATES = re.compile("[\ud800-\udfff]")

_ESCAPED_SLASH = re.compile(r"%2[fF]")
_OCTET = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_SCHEME_AND_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
# RFC 3986 3.3: pchar and "/", without the percent sign.
SAFE_IN_PATH = "/:@!$&'()*+,;=~"


def matching_path(environ: Mapping[str, Any], *, raw: bool = True) -> str:
    """PATH_INFO as text (UTF-8; broken bytes as surrogates), `%2F` as ENCODED_SLASH where the raw target shows it.

    The empty path is the root of a mounted app without its slash (PEP 3333); where nothing is mounted it is "/".
    """
    info: str = environ.get("PATH_INFO", "") or ("" if environ.get("SCRIPT_NAME") else "/")
    if raw:
        target = raw_target(environ)
        if "%2" in target and _ESCAPED_SLASH.search(target):
            sent = raw_parts(environ)
            if sent is not None:
                return decode_keeping_slashes(sent[1])
    if info.isascii():
        return info
    return info.encode("latin-1").decode("utf-8", "surrogateescape")


def raw_target(environ: Mapping[str, Any]) -> str:
    """The request target as sent, read as latin-1; "" when the server does not tell."""
    target = environ.get("wsgikit.raw_target")
    if target is not None:
        return str(target, "latin-1") if isinstance(target, bytes | bytearray) else str(target)
    return environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""


def raw_path(environ: Mapping[str, Any]) -> str | None:
    """The percent-encoded SCRIPT_NAME + PATH_INFO as sent; None when the environ's path is not what was sent."""
    target = raw_target(environ)
    authority = _SCHEME_AND_AUTHORITY.match(target)
    path = target[authority.end() if authority else 0 :].partition("?")[0]
    whole: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    try:
        sent, seen = unquote_to_bytes(path.encode("latin-1")), whole.encode("latin-1")
    except UnicodeEncodeError:
        return None
    return path if path and sent == seen else None


def raw_parts(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """`raw_path()` cut in two, where SCRIPT_NAME ends and PATH_INFO begins."""
    path = raw_path(environ)
    if path is None:
        return None
    octets = _OCTET.finditer(path)
    end = 0
    for _ in range(len(environ.get("SCRIPT_NAME", ""))):
        end = next(octets).end()
    return path[:end], path[end:]


def decode_keeping_slashes(encoded: str) -> str:
    """Percent-decode a path as UTF-8, with ENCODED_SLASH for each `%2F`."""
    pieces = _ESCAPED_SLASH.split(encoded)
    return ENCODED_SLASH.join(unquote_to_bytes(p.encode("latin-1")).decode("utf-8", "surrogateescape") for p in pieces)


def wire_length(text: str) -> int:
    """How many characters of PATH_INFO a piece of a matching path stands for."""
    return len(text) if text.isascii() else len(text.replace(ENCODED_SLASH, "/").encode("utf-8", "surrogateescape"))


def shift(environ: dict[str, Any], length: int) -> None:
    """Move `length` characters from PATH_INFO to SCRIPT_NAME. Slashes at the end of what moves stay in PATH_INFO.

    SCRIPT_NAME never ends with a slash (PEP 3333, CGI), and SCRIPT_NAME + PATH_INFO stays what it was; only the "/"
    that some gateways give for the root is repaired.
    """
    info: str = environ.get("PATH_INFO", "")
    moved = info[:length].rstrip("/")
    environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "").rstrip("/") + moved
    environ["PATH_INFO"] = info[len(moved) :]


def replace_path(environ: dict[str, Any], info: str, sent: str | None = None) -> None:
    """Give an environ copy another PATH_INFO, and `wsgikit.raw_target` to go with it.

    `sent` is the percent-encoded SCRIPT_NAME + PATH_INFO, where the caller knows one that keeps `%2F`; it is believed
    when it decodes to the new path. REQUEST_URI and RAW_URI stay what the client sent.
    """
    environ["PATH_INFO"] = info
    whole = environ.get("SCRIPT_NAME", "") + info
    if sent is None or unquote_to_bytes(sent.encode("latin-1")) != whole.encode("latin-1"):
        sent = quote(whole, safe=SAFE_IN_PATH, encoding="latin-1")
    query = environ.get("QUERY_STRING", "")
    environ["wsgikit.raw_target"] = (sent + ("?" + query if query else "")).encode("latin-1")


def quoted_path(environ: Mapping[str, Any]) -> str:
    """SCRIPT_NAME + PATH_INFO fit for a URL: as sent where that is known, else encoded anew."""
    sent = raw_path(environ)
    if sent is not None:
        return quote(sent, safe=SAFE_IN_PATH + "%", encoding="latin-1")
    return quote(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), safe=SAFE_IN_PATH, encoding="latin-1")


def local_reference(path: str, query: str = "") -> str:
    """A path-absolute reference that no client reads as a reference to another host (RFC 3986 4.2, 5.2.4).

    A path that begins with two slashes gets the `/.` in front that RFC 3986 and WHATWG URL serialisation use; a
    backslash, which browsers read as a slash, never comes here unencoded.
    """
    if path.startswith("//"):
        path = "/." + path
    return path + ("?" + quote(query, safe=SAFE_IN_PATH + "%?[]", encoding="latin-1") if query else "")
