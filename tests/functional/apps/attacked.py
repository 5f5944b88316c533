"""An app for hostile clients: paths beside those of `many_sided` that end in the ways a server must survive."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time

import many_sided


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").partition("/")[0]
    return PATHS.get(name, many_sided.app)(environ, start_response)


def taken(environ, start_response):
    """Take the socket over, say what came with the request, and leave the closing to the server."""
    sock, data = environ["wsgikit.takeover"]("101 Switching Protocols", UPGRADE)
    sock.sendall(b"<%b>" % data)
    return []


def read_and_taken(environ, start_response):
    environ["wsgi.input"].read()
    return taken(environ, start_response)


def taken_and_closed(environ, start_response):
    """Take the socket over, close it, and go on until the file in the query exists."""
    sock, _ = environ["wsgikit.takeover"]("101 Switching Protocols", UPGRADE)
    sock.close()
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    return []


def slow_close(environ, start_response):
    """A body of so many bytes, and a close() that takes longer than the deadline that the test sets."""
    size = int(environ["QUERY_STRING"])

    class Body:
        def __iter__(self):
            return iter([b"x" * size])

        def close(self):
            time.sleep(0.7)

    start_response("200 OK", [("Content-Length", str(size))])
    return Body()


def late_reader(environ, start_response):
    """Read the body after as many seconds as the query says."""
    time.sleep(float(environ["QUERY_STRING"]))
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


OPENED, CLOSED = [0], [0]  # response bodies, over the life of the worker


def pattern(seed, size):
    block = hashlib.sha256(seed.encode()).digest() * 64
    return (block * (size // len(block) + 1))[:size]


class Counted:
    """A body that counts its own close()."""

    def __init__(self, blocks):
        self.blocks = blocks
        OPENED[0] += 1

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        CLOSED[0] += 1


def made(environ, start_response):
    """The query: seed,size,style,pause. Always the same bytes for the same seed and size."""
    seed, size, style, pause = environ["QUERY_STRING"].split(",")
    data = pattern(seed, int(size))
    time.sleep(float(pause))
    if style == "file":
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the wrapper closes it)
        file.write(data)
        file.seek(0)
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)
    if style == "write":
        write = start_response("200 OK", [])
        for start in range(0, len(data), 9000):
            write(data[start : start + 9000])
        return Counted([])
    start_response("200 OK", [("Content-Length", size)] if style == "length" else [])
    if style == "list":
        return [data[:100], data[100:]]
    step = 700 if style == "small" else 20_000
    return Counted(data[start : start + step] for start in range(0, len(data), step))


def endless(environ, start_response):
    """Blocks of so many bytes for ever, with pauses of a hundredth of a second."""
    start_response("200 OK", [])
    return Counted(ticking(b"x" * int(environ["QUERY_STRING"])))


def ticking(block):
    while True:
        yield block
        time.sleep(0.01)


def forking(environ, start_response):
    """Leave a child behind that has inherited the connection."""
    if os.fork() == 0:
        time.sleep(5)
        os._exit(0)
    start_response("200 OK", [])
    return iter([b"hello"])


def starved(environ, start_response):
    """Take away all descriptors but so many, until the worker ends."""
    import resource

    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + int(environ["QUERY_STRING"]),) * 2)
    return many_sided.pid(environ, start_response)


def balance(environ, start_response):
    """How many bodies were opened and not closed."""
    start_response("200 OK", [])
    return [str(OPENED[0] - CLOSED[0]).encode()]


SMUGGLED = [0]


def smuggled(environ, start_response):
    """What no attack may reach; `smugglings` tells how often it was."""
    SMUGGLED[0] += 1
    return many_sided.hello(environ, start_response)


def smugglings(environ, start_response):
    start_response("200 OK", [])
    return [str(SMUGGLED[0]).encode()]


def answering(environ, start_response):
    """A response with a header whose value the query chooses."""
    value = {"crlf": "a\r\nX-Injected: b", "lf": "a\nb", "nul": "a\0b", "snowman": "\N{SNOWMAN}"}[
        environ["QUERY_STRING"]
    ]
    start_response("200 OK", [("X-Value", value)])
    return [b"hello"]


UPGRADE = [("Upgrade", "x"), ("Connection", "upgrade")]

PATHS = {name: value for name, value in list(globals().items()) if callable(value) and name != "app"}
