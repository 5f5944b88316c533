"""A TLS socket as a `Stream`. Imported for listeners with a certificate only: `ssl` is large."""

from __future__ import annotations

import ssl

from wsgikit.workers.poller import READ, WRITE
from wsgikit.workers.stream import RECEIVE, read_part


class TlsStream:
    """A TLS socket. The handshake is done by the connection, on the poller."""

    __slots__ = ("_wants", "sock")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock: ssl.SSLSocket = sock
        self._wants = 0

    def handshake(self) -> bool:
        """Go on with the handshake. True: it is done. Else `wants()` says for what to wait. Raises OSError."""
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._wants = READ
            return False
        except ssl.SSLWantWriteError:
            self._wants = WRITE
            return False
        self._wants = 0
        return True

    def receive(self, most: int = RECEIVE) -> bytes | None:  # all that OpenSSL holds, so that nothing is left unseen
        parts: list[bytes] = []
        try:
            while True:
                part = self.sock.recv(RECEIVE)
                if not part:
                    return b"".join(parts)
                parts.append(part)
                if not self.sock.pending():  # what OpenSSL holds already, the poller would never tell of
                    return b"".join(parts)
        except ssl.SSLWantReadError:
            self._wants = 0
        except ssl.SSLWantWriteError:
            self._wants = WRITE
        except ssl.SSLEOFError:  # the peer closed without close_notify: an end like another
            return b"".join(parts)
        return b"".join(parts) or None

    def send(self, data: bytes | memoryview) -> int:
        try:
            return self.sock.send(data)
        except ssl.SSLWantWriteError:
            return 0
        except ssl.SSLWantReadError:
            self._wants = READ
            return 0

    def send_parts(self, parts: list[bytes]) -> int:
        # Never used for a queue's sake: a retry after "not now" must bring the same bytes in one piece again.
        return self.send(b"".join(parts))

    def goodbye(self) -> None:
        """Send close_notify, so that the client can tell this end from a cut. Does not wait for the client's."""
        try:
            self.sock.setblocking(False)  # an app that has taken it over leaves it as it likes
            self.sock.unwrap()
        except (OSError, ValueError):
            pass

    def send_file(self, fd: int, offset: int, count: int) -> int:
        return self.send(read_part(fd, offset, count))

    def wants(self) -> int:
        wants, self._wants = self._wants, 0
        return wants

    def pending(self) -> bool:
        return self.sock.pending() > 0


def tls_variables(sock: ssl.SSLSocket) -> dict[str, str]:
    """HTTPS and SSL_* of a connection, as Apache's mod_ssl names them."""
    cipher = sock.cipher()
    variables = {"HTTPS": "on", "wsgi.url_scheme": "https", "SSL_PROTOCOL": sock.version() or ""}
    if cipher is not None:
        variables["SSL_CIPHER"] = cipher[0]
        variables["SSL_CIPHER_USEKEYSIZE"] = str(cipher[2])
    server_name = getattr(sock, "server_name_asked", None)
    if server_name:
        variables["SSL_TLS_SNI"] = server_name
    certificate = sock.getpeercert()
    if certificate:
        variables["SSL_CLIENT_VERIFY"] = "SUCCESS"
        for kind, prefix in (("subject", "SSL_CLIENT_S_DN"), ("issuer", "SSL_CLIENT_I_DN")):
            names = certificate.get(kind)
            if names:
                variables.update(_names(prefix, names))
        variables["SSL_CLIENT_M_SERIAL"] = str(certificate.get("serialNumber", ""))
        variables["SSL_CLIENT_V_START"] = str(certificate.get("notBefore", ""))
        variables["SSL_CLIENT_V_END"] = str(certificate.get("notAfter", ""))
    else:
        variables["SSL_CLIENT_VERIFY"] = "NONE"
    return {key: value for key, value in variables.items() if value}


_SHORT = {
    "countryName": "C", "stateOrProvinceName": "ST", "localityName": "L", "organizationName": "O",
    "organizationalUnitName": "OU", "commonName": "CN", "emailAddress": "Email",
}  # fmt: skip


def _names(prefix: str, names: object) -> dict[str, str]:
    """SSL_CLIENT_S_DN and its parts. Latin-1 only goes into an environ: the rest is escaped."""
    found: dict[str, str] = {}
    whole = []
    for relative in names if isinstance(names, tuple) else ():
        for name, value in relative:
            short = _SHORT.get(name, name)
            text = str(value).encode("latin-1", "backslashreplace").decode("latin-1")
            whole.append(f"{short}={text}")
            found.setdefault(f"{prefix}_{short}", text)
    found[prefix] = ",".join(reversed(whole))  # RFC 2253: the most specific first
    return found
