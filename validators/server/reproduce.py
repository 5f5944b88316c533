"""From the bytes of a trial to something a reader can run: `printf ... | nc`, or a line of Python when it is long."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Sequence

from wsgikit.testing import Address
from wsgikit.validators.report import Reproducer
from wsgikit.validators.server.probe import ENDPOINTS

PLACE = ("127.0.0.1", 8000)
SOCKET = "probe/server.sock"
"""Where the reader's own server is expected to run, when the report is not about a URL."""
_MARKS = {
    "{host}": PLACE[0], "{port}": str(PLACE[1]), "{app}": "wsgi_probe:application", "{module}": "wsgi_probe",
    "{file}": "probe/wsgi_probe_file.py", "{directory}": "probe", "{cert}": "probe/cert.pem", "{key}": "probe/key.pem",
    "{socket}": SOCKET,
}  # fmt: skip
_SHELL_LIMIT = 700
_RUN = re.compile(rb"(.)\1{31,}", re.DOTALL)


def reproducer(raw: bytes, endpoint: str = "", *, place: Address = PLACE, tls: bool = False) -> Reproducer:
    """The raw bytes, a command that sends them to `place`, and the source of the app's endpoint."""
    short = len(raw) <= _SHELL_LIMIT or isinstance(place, str)
    command = _printf(raw, place, tls) if short else _python(raw, place, tls)
    return Reproducer(raw=raw, command=command if raw else "", script=endpoint_source(endpoint))


def reproduction(command: Sequence[str]) -> str:
    """Shell lines that start the server with the probe where `reproducer` expects it, from the command with marks."""
    text = " ".join(command)
    lines = ["wsgikit check server --write-probe probe"]
    if "{cert}" in text:
        lines.append(
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout probe/key.pem -out probe/cert.pem"
        )
    return " && ".join([*lines, f"PYTHONPATH=probe {shlex.join(_filled(part) for part in command)}"])


def _filled(part: str) -> str:
    for mark, value in _MARKS.items():
        part = part.replace(mark, value)
    return part


def endpoint_source(name: str) -> str:
    """The function of the probe that answered, "" where there is none of that name."""
    function = ENDPOINTS.get(name)
    return inspect.getsource(function) if function is not None else ""


def _printf(raw: bytes, place: Address, tls: bool) -> str:
    if isinstance(place, str):
        sender = f"nc -w 3 -U {shlex.quote(place)}"
    elif tls:
        sender = f"openssl s_client -quiet -connect {place[0]}:{place[1]}"
    else:
        sender = f"nc -w 3 {place[0]} {place[1]}"
    return f"printf {shlex.quote(_escaped(raw))} | {sender}"


def _escaped(raw: bytes) -> str:
    """For printf(1): octal escapes work in every shell, and a percent sign has to be doubled."""
    special = {0x0D: "\\r", 0x0A: "\\n", 0x09: "\\t", 0x5C: "\\\\", 0x25: "%%"}
    return "".join(special.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in raw)


def _python(raw: bytes, place: Address, tls: bool) -> str:
    wrapped = "s = ssl._create_unverified_context().wrap_socket(s); " if tls else ""
    code = (
        f"import socket, ssl; s = socket.create_connection({place!r}, 5); {wrapped}"
        f"s.sendall({literal(raw)}); print(s.recv(65536))"
    )
    return f"python3 -c {shlex.quote(code)}"


def literal(raw: bytes) -> str:
    """A Python expression for the bytes, with long runs of one byte written as a product."""
    parts, start = [], 0
    for match in _RUN.finditer(raw):
        if match.start() > start:
            parts.append(repr(raw[start : match.start()]))
        parts.append(f"{match[1]!r} * {len(match[0])}")
        start = match.end()
    if start < len(raw) or not parts:
        parts.append(repr(raw[start:]))
    return " + ".join(parts)
