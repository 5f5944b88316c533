"""Certificates that live as long as a test: made by the openssl command, for localhost or another name."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def make(directory: Path, name: str = "localhost", address: str = "127.0.0.1") -> tuple[str, str]:
    """Paths of a self-signed certificate and of its key."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name},IP:{address}"]
    command += [
        "-addext",
        "keyUsage=critical,digitalSignature,keyCertSign",
    ]  # Python 3.13 asks for it (RFC 5280 4.2.1.3)
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return str(cert), str(key)


def server_context(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
