"""An upstream that does what a script says, byte by byte: for tests of clients and gateways.

Runs in threads of the test, on port 0 or a Unix socket. A script is a function that gets a `Peer` for each connection;
`answering()` makes the simplest one. It reads requests with its own few lines, apart from `wsgikit.wire`, so that a
mistake there cannot hide itself.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

Fields = list[tuple[bytes, bytes]]
Script = Callable[["Peer"], object]

_REQUEST_LINE = re.compile(rb"([!-~]+) ([!-~]+) HTTP/1\.([01])")


class Gone(Exception):
    """The other side has closed where the script wanted bytes."""


@dataclass(slots=True)
class Received:
    """One request as it came. `body` is None when the peer left in the middle of it."""

    method: bytes
    target: bytes
    fields: Fields
    head: bytes
    body: bytes | None = b""
    trailers: Fields = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)

    def get_all(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def get(self, name: str) -> bytes | None:
        values = self.get_all(name)
        return values[0] if values else None


class Peer:
    """One connection, as the script sees it. `number` counts connections from 0."""

    def __init__(self, upstream: ScriptedUpstream, sock: socket.socket, number: int) -> None:
        self.upstream = upstream
        self.socket = sock
        self.number = number
        self._buffer = b""
        sock.settimeout(10.0)

    def read_head(self) -> Received:
        """The next request's head. Gone: there is none."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        match = _REQUEST_LINE.fullmatch(lines[0])
        assert match, lines[0]
        fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(b": ")
            assert colon, line
            assert b"\n" not in line, line
            fields.append((name, value))
        received = Received(match[1], match[2], fields, head + b"\r\n\r\n", body=None)
        self.upstream.requests.append(received)
        return received

    def read_request(self) -> Received:
        """The next request with its body. Gone: there is none, or it was cut short."""
        received = self.read_head()
        self.read_body(received)
        return received

    def read_body(self, received: Received) -> bytes:
        lengths, codings = received.get_all("Content-Length"), received.get_all("Transfer-Encoding")
        assert not (lengths and codings), received.head
        if codings:
            assert codings == [b"chunked"], codings
            received.body = self._chunked(received)
        else:
            assert len(lengths) < 2, lengths
            received.body = self.take(int(lengths[0]) if lengths else 0)
        return received.body

    def _chunked(self, received: Received) -> bytes:
        parts = []
        while size := int(self._line(), 16):
            received.chunks.append(size)
            parts.append(self.take(size))
            assert self.take(2) == b"\r\n"
        while line := self._line():
            name, _, value = line.partition(b": ")
            received.trailers.append((name, value))
        return b"".join(parts)

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def read_some(self) -> bytes:
        """What has arrived, at least a byte."""
        if not self._buffer:
            self._more()
        data, self._buffer = self._buffer, b""
        return data

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _more(self) -> None:
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            raise Gone(str(error)) from error
        if not data:
            raise Gone("closed")
        self._buffer += data

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone(str(error)) from error

    def answer(self, status: str = "200 OK", body: bytes = b"", *fields: tuple[str, str]) -> None:
        """A response with Content-Length."""
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields), f"Content-Length: {len(body)}"]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def left(self, timeout: float = 5.0) -> bool:
        """Whether the other side closes or resets within `timeout` seconds, and sends nothing before."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(65536) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.socket.close()


class ScriptedUpstream:
    """Listens from `__enter__` to `__exit__`. `requests`: all heads read so far; `connections`: accepted so far."""

    def __init__(self, script: Script, *, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Received] = []
        self.connections = 0
        self.failures: list[BaseException] = []
        self._tls = tls
        self._path = path
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        family = socket.AF_UNIX if path else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(path or ("127.0.0.1", 0))
        self.port = 0 if path else self._listener.getsockname()[1]
        self._closing = False

    @property
    def url(self) -> str:
        if self._path:
            return f"http+unix:{self._path}"
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> ScriptedUpstream:
        self._listener.listen(128)
        self._start(self._accept)
        return self

    def _start(self, target: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._closing:
                sock.close()
                return
            number = self.connections
            self.connections += 1
            self._start(self._serve, sock, number)

    def _serve(self, sock: socket.socket, number: int) -> None:
        self._open.add(sock)
        try:
            if not self._path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                plain = sock
                sock.settimeout(10.0)
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.discard(plain)
                self._open.add(sock)
            peer = Peer(self, sock, number)
            self.script(peer)
            peer.close()
        except (Gone, OSError):
            pass
        except BaseException as error:
            self.failures.append(error)
        finally:
            sock.close()
            self._open.discard(sock)

    def stop(self) -> None:
        """Close the listener and all connections: from now on nobody is there. May be called twice."""
        self._closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self._listener.close()
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(10.0)

    def __exit__(self, *_: object) -> None:
        self.stop()
        assert not self.failures, self.failures


def answering(*responses: bytes) -> Script:
    """A script that reads whole requests and gives the responses in turn, the last one again and again; over all
    connections. An empty one closes the connection."""
    turn = iter(range(1_000_000))

    def script(peer: Peer) -> None:
        while True:
            peer.read_request()
            response = responses[min(next(turn), len(responses) - 1)]
            if not response:
                return
            peer.send(response)

    return script


def ok(body: bytes = b"hello", *fields: str) -> bytes:
    """A 200 with a length."""
    lines = ["HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Stage:
    """An upstream whose script is set by each test."""

    def __init__(self) -> None:
        self.script: Script = answering(ok())
        self.upstream = ScriptedUpstream(lambda peer: self.script(peer))

    def play(self, script: Script) -> None:
        self.script = script
        self.upstream.requests.clear()
