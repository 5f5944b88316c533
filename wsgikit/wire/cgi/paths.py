"""Where the app is mounted and what it is asked for: SCRIPT_NAME and PATH_INFO, as web servers split them.

Each server fills the two in its own way. For a request of `/shop/cart`, with the wire given the prefix `/shop`:

    server, with its usual configuration       SCRIPT_NAME    PATH_INFO     what is made of it
    nginx, fastcgi_params                      /shop/cart     -             ""       /shop/cart
    nginx, scgi_params                         -              -             ""       /shop/cart
    nginx, uwsgi_params                        -              /shop/cart    ""       /shop/cart
    Apache, mod_proxy_fcgi and _scgi           /shop/cart     -             ""       /shop/cart
    Apache, mod_proxy_uwsgi                    /shop/cart     /cart         /shop    /cart
    lighttpd, mod_fastcgi and mod_scgi         /shop          /cart         /shop    /cart

So a server that cannot say where the app begins is believed to have sent the whole path, as an HTTP proxy does, and
mounts are made here; one that does say so is followed. lighttpd leaves PATH_INFO out when it is empty, and is told by
its name for that. `docs/gateways.md` has the lines that make the others split. Apache with `AllowEncodedSlashes
NoDecode` leaves %2F in what is decoded otherwise; PATH_INFO gets the slash, as it does over HTTP.

Owns that table. Must not know the wire: values in, values out.
"""

from __future__ import annotations

import re

# RFC 3986 3.3, without "%": what need not be escaped in a path
_TO_ESCAPE = re.compile(rb"[^!$&'()*+,\-./0-9:;=@A-Z_a-z~]")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_OCTETS = {b"%02x" % number: bytes((number,)) for number in range(256)}


def split_path(script: bytes | None, info: bytes | None, path: bytes, server: bytes) -> tuple[bytes, bytes]:
    """SCRIPT_NAME and PATH_INFO for the app.

    `script` and `info` are the variables, None where they are absent; `path` is the decoded path of REQUEST_URI, and
    `server` SERVER_SOFTWARE.
    """
    return mend_slashes(*_split(script or b"", info or b"", path, server), path)


def mend_slashes(script: bytes, info: bytes, path: bytes) -> tuple[bytes, bytes]:
    """SCRIPT_NAME and PATH_INFO with slashes for %2F, where that makes them the decoded path of REQUEST_URI."""
    if b"%" in script + info and script + info != path and _with_slashes(script + info) == path:
        return _with_slashes(script), _with_slashes(info)
    return script, info


def _split(script: bytes, info: bytes, path: bytes, server: bytes) -> tuple[bytes, bytes]:
    if not info:
        if not script:
            return b"", path
        if not server.startswith(b"lighttpd"):
            return b"", script
        return (script, b"") if script != b"/" else (b"", b"/")
    if not script:
        return b"", info
    if script + info != path and script.endswith(info):
        script = script[: -len(info)]
    if script.endswith(b"/"):
        # PEP 3333 lets SCRIPT_NAME + PATH_INFO make the path; the slash between them is PATH_INFO's
        script, info = script.rstrip(b"/"), info if info.startswith(b"/") else b"/" + info
    return script, info


def _with_slashes(path: bytes) -> bytes:
    return path.replace(b"%2F", b"/").replace(b"%2f", b"/")


def unquote_path(path: bytes) -> bytes:
    """Percent escapes decoded once; what is none stays."""
    return _ESCAPE.sub(_octet, path) if b"%" in path else path


def quote_path(path: bytes) -> bytes:
    """A decoded path as it stands in a request target."""
    return _TO_ESCAPE.sub(_escaped, path)


def _octet(match: re.Match[bytes]) -> bytes:
    return _OCTETS[match[1].lower()]


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
