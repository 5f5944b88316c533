"""An app that lets clients in or not: a FastCGI Authorizer.

    wsgikit serve gatekeeper:app --bind fastcgi://127.0.0.1:9000

200 lets the client in; each header `Variable-NAME: value` becomes a variable NAME of the request that follows. Any
other status, with its body, is what the client gets. Apache asks for a name and a password itself and hands them over
as REMOTE_USER and REMOTE_PASSWD; other servers pass the Authorization field.
"""

from __future__ import annotations

import base64
import binascii
import hmac

USERS = {"alice": "wonderland"}


def app(environ, start_response):
    name, password = credentials(environ)
    if name in USERS and hmac.compare_digest(USERS[name].encode(), password.encode()):
        start_response("200 OK", [("Variable-WHO", name)])
        return []
    start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="private"'), ("Content-Type", "text/plain")])
    return [b"the gatekeeper says no\n"]


def credentials(environ):
    if "REMOTE_PASSWD" in environ:
        return environ.get("REMOTE_USER", ""), environ["REMOTE_PASSWD"]
    scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password
