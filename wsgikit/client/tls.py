"""TLS towards upstreams: the context, made once. Verification is on unless somebody switched it off by name."""

from __future__ import annotations

import os
import ssl

from wsgikit.client.settings import TlsSettings
from wsgikit.errors import ConfigError


def make_context(settings: TlsSettings) -> ssl.SSLContext:
    """A client context. ConfigError names the file that cannot be used. Takes 10 ms or more: make it once."""
    try:
        context = _trusting(settings.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ca = {settings.ca!r}: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # We speak nothing else, and some servers take no ALPN for HTTP/2 (RFC 7301).
    context.set_alpn_protocols(["http/1.1"])
    if settings.cert:
        try:
            context.load_cert_chain(settings.cert, settings.key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cert = {settings.cert!r}, key = {settings.key!r}: {error}") from None
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(place: str) -> ssl.SSLContext:
    if not place:
        return ssl.create_default_context()
    if os.path.isdir(place):
        return ssl.create_default_context(capath=place)
    return ssl.create_default_context(cafile=place)
