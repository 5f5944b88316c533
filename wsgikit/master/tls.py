"""TLS contexts of listeners.

Made in the master: it may read keys that workers may not, and all workers then share one set of session ticket keys, so
that a client resumes its session at any of them.

Imported only when there is a certificate: `ssl` is the largest thing a master would carry.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import TypeVar

from wsgikit.errors import ConfigError
from wsgikit.master.settings import CertificateSettings, TlsSettings

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_CLIENT_CERTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

T = TypeVar("T")
ServerNameCallback = Callable[[ssl.SSLObject | ssl.SSLSocket, str | None, ssl.SSLContext], int | None]


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context of a listener; it changes to another certificate's by the server name a client asks for.

    ConfigError: a file is missing, unreadable, holds no certificate or key, or the two do not belong together.
    """
    if not settings.certificates:
        raise ConfigError("tls: there is no certificate")
    contexts: dict[str, ssl.SSLContext] = {}
    default: ssl.SSLContext | None = None
    for certificate in settings.certificates:
        context = _context(settings, certificate)
        if default is None:
            default = context
        elif not certificate.names:
            raise ConfigError(f"tls: certificate {certificate.cert} needs names: only the first does without")
        for name in certificate.names:
            if contexts.setdefault(_canonical(name), context) is not context:
                raise ConfigError(f"tls: two certificates for the name {name!r}")
    if default is None:
        raise ConfigError("tls: there is no certificate")
    if len(settings.certificates) > 1:
        default.sni_callback = _chooser(contexts)
    return default


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")


def _chooser(contexts: dict[str, ssl.SSLContext]) -> ServerNameCallback:
    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
        if name is not None:
            name = _canonical(name)
            # A wildcard stands for exactly one label (RFC 9525 6.3).
            context = contexts.get(name) or contexts.get("*." + name.partition(".")[2])
            if context is not None:
                connection.context = context
        return None

    return choose


def _context(settings: TlsSettings, certificate: CertificateSettings) -> ssl.SSLContext:
    """One certificate's context. All share one set of rules: OpenSSL keeps some of the first context's after a change
    of certificate (version, client verification) and takes some from the new one (ALPN, authorities)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _choice("minimum", settings.minimum, _VERSIONS)
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    if settings.ciphers:
        try:
            context.set_ciphers(settings.ciphers)
        except ssl.SSLError:
            raise ConfigError(f"tls: OpenSSL knows no cipher in {settings.ciphers!r}") from None
    _load_certificate(context, certificate)
    verify = _choice("client_cert", settings.client_cert, _CLIENT_CERTS)
    if verify != ssl.CERT_NONE:
        _load_authorities(context, settings.client_ca)
        context.verify_mode = verify
    return context


def _choice(name: str, value: str, choices: dict[str, T]) -> T:
    if value not in choices:
        raise ConfigError(f"tls: {name} is {value!r}, allowed are {', '.join(choices)}")
    return choices[value]


def _load_certificate(context: ssl.SSLContext, certificate: CertificateSettings) -> None:
    key = certificate.key or certificate.cert
    _check_readable("certificate", certificate.cert)
    _check_readable("key", key)

    def password() -> str:
        if not certificate.password:
            # Without this OpenSSL asks on the terminal, and a server that starts at boot waits there for ever.
            raise ConfigError(f"tls: key {key} is encrypted: set its password")
        return certificate.password

    try:
        context.load_cert_chain(certificate.cert, key, password)
    except ssl.SSLError as error:
        raise ConfigError(f"tls: {_explain(error, certificate.cert, key)}") from error


def _explain(error: ssl.SSLError, cert: str, key: str) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"key {key} does not belong to certificate {cert}"
    return f"cannot use certificate {cert} with key {key}: both must be PEM files ({error.reason or error})"


def _load_authorities(context: ssl.SSLContext, path: str) -> None:
    if not path:
        raise ConfigError("tls: client certificates need client_ca, the file of the authorities that sign them")
    _check_readable("client_ca", path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(f"tls: client_ca {path} holds no PEM certificate ({error.reason or error})") from error


def _check_readable(what: str, path: str) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise ConfigError(f"tls: cannot read the {what} file {path}: {error.strerror}") from None
