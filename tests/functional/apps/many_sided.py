"""An app for the server's own functional tests: one path, one behaviour."""

from __future__ import annotations

import hashlib
import os
import threading
import time


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").partition("/")[0] or "hello"
    return PATHS.get(name, upload)(environ, start_response)


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def pid(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


def sleep(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    return hello(environ, start_response)


def spin(environ, start_response):
    end = time.monotonic() + float(environ["QUERY_STRING"])
    while time.monotonic() < end:
        pass
    return hello(environ, start_response)


def big(environ, start_response):
    """QUERY_STRING: bytes, in blocks of 64 KiB by a generator."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return blocks(int(environ["QUERY_STRING"]))


def blocks(size):
    while size > 0:
        yield b"x" * min(size, 65536)
        size -= 65536


def upload(environ, start_response):
    """The length and digest of the body."""
    digest, length = hashlib.sha256(), 0
    while block := environ["wsgi.input"].read(65536):
        digest.update(block)
        length += len(block)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{length} {digest.hexdigest()}".encode()]


def environment(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=latin-1")])
    lines = [f"{key}={value}" for key, value in sorted(environ.items()) if isinstance(value, str)]
    return ["\n".join(lines).encode("latin-1")]


def fail(environ, start_response):
    raise RuntimeError("the app fails on purpose")


def fail_late(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begun"
    raise RuntimeError("the app fails on purpose")


def file(environ, start_response):
    path = os.environ["SERVED_FILE"]
    start_response("200 OK", [("Content-Length", str(os.path.getsize(path)))])
    return environ["wsgi.file_wrapper"](open(path, "rb"))


def ticks(environ, start_response):
    """Three events, each after a signal from outside: a line in the file TICKS."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    for number in range(3):
        while not os.path.exists(f"{os.environ['TICKS']}.{number}"):
            time.sleep(0.002)
        yield f"data: {number}\n\n".encode()


def pieces(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    yield b"two "
    yield b"three"


def early(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    return hello(environ, start_response)


def trailers(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body, b"|", repr(environ["wsgikit.trailers"]).encode()]


def echo(environ, start_response):
    """Take the socket over, and echo what comes until the client ends its side."""
    sock, data = environ["wsgikit.takeover"](
        "101 Switching Protocols", [("Upgrade", "echo"), ("Connection", "upgrade")]
    )
    while data or (data := sock.recv(4096)):
        sock.sendall(data)
        data = b""
    return []


GONE = threading.Event()


def wait_for_leave(environ, start_response):
    if environ["wsgikit.client_gone"].wait(10):
        GONE.set()
    return hello(environ, start_response)


def has_left(environ, start_response):
    start_response("200 OK", [])
    return [str(GONE.wait(5)).encode()]


CLOSED = []


def closing(environ, start_response):
    """Note in CLOSED that close() ran and that the callback ran after it."""
    environ["wsgikit.on_close"](lambda: CLOSED.append("callback"))
    start_response("200 OK", [])

    class Body:
        def __iter__(self):
            return iter([b"closing"])

        def close(self):
            CLOSED.append("close")

    return Body()


def closed(environ, start_response):
    start_response("200 OK", [])
    return [" ".join(CLOSED).encode()]


PATHS = {name: value for name, value in list(globals().items()) if callable(value) and name != "app"}
