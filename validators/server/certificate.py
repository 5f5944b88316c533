"""A throw-away certificate for targets that are tried over TLS, made by the `openssl` command, and our side's context.

No key lies in this package: one is made for each run and removed with the run's directory.
"""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from wsgikit.errors import ConfigError


def write(directory: Path) -> tuple[str, str]:
    """Paths of a certificate for localhost and of its key. Raises ConfigError where there is no openssl."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{{cert}} and {{key}} need the openssl command to make a certificate: {error}") from error
    return str(cert), str(key)


def client_context() -> ssl.SSLContext:
    """Takes any certificate: who the peer is, is not the question. HTTP/1.1 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
