"""Bytes that are no FastCGI, SCGI, uwsgi, CGI or PROXY, or nearly, for every decoder of these wires.

    python tests/fakes/gateway_fuzz.py SECONDS [SEED]

Each decoder gets whole messages, damaged ones, cut ones, sizes far beyond what is there, floods, wrong request numbers,
unknown types and plain noise, in pieces of any size. It may refuse them by an error of its own; nothing else may come
out, and what it allocates stays below a bound. Prints how often each end was reached.
"""

from __future__ import annotations

import random
import struct
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from wsgikit.client.fastcgi import Stdout
from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.protocols.fastcgi import FastcgiProtocol
from wsgikit.protocols.scgi import ScgiProtocol
from wsgikit.protocols.service import Service
from wsgikit.protocols.uwsgi import UwsgiProtocol
from wsgikit.wire.cgi import VariableLimits, parse_cgi_response, read_request
from wsgikit.wire.fastcgi import Kind, ParamsDecoder, RecordReader, format_pairs, parse_begin, parse_end
from wsgikit.wire.http11 import Limits
from wsgikit.wire.proxy_protocol import LONGEST, parse_proxy_header
from wsgikit.wire.scgi import format_scgi, parse_scgi
from wsgikit.wire.uwsgi import format_uwsgi, parse_uwsgi
from wsgikit.workers.settings import WorkerSettings
from wsgikit.wsgi.environ import template
from wsgikit.wsgi.error_stream import ErrorStream
from wsgikit.wsgi.exchange import Lines

LIMITS = Limits()
VARIABLES = VariableLimits.of(LIMITS)
MEMORY = 64 * 1024
ROOM = 4 * 1024 * 1024
"""Bytes that one conversation may take, the making of it included: `multiplex` requests with all they may have."""
USUAL = [
    (b"REQUEST_METHOD", b"POST"), (b"REQUEST_URI", b"/a%2Fb?c=d"), (b"SCRIPT_NAME", b"/a"), (b"PATH_INFO", b"/b"),
    (b"QUERY_STRING", b"c=d"), (b"CONTENT_LENGTH", b"5"), (b"CONTENT_TYPE", b"text/plain"), (b"HTTPS", b"on"),
    (b"SERVER_PROTOCOL", b"HTTP/1.1"), (b"REMOTE_ADDR", b"192.0.2.7"), (b"HTTP_COOKIE", b"a=b; c=d" * 9),
    (b"HTTP_X_LONG", b"x" * 200),
]  # fmt: skip
ODD = (
    b"",
    b"0",
    b"-1",
    b"+5",
    b"5 ",
    b"99999999999999999999",
    b"\x00",
    b"\r\n",
    b"\xff\xfe",
    b"%",
    b"%zz",
    b"//",
    b"*",
)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read(100)]


def service() -> Service:
    return Service(
        app=app,
        settings=WorkerSettings(body_memory=MEMORY, max_body=1 << 20, multiplex=20),
        limits=LIMITS,
        template=template(scheme="http", name="a", port="1", errors=ErrorStream(), multithread=True, multiprocess=True),
        lines=Lines("fuzz"),
    )


SERVICE = service()


class Link:
    """A connection whose other end is gone now and then. `run` is done at once."""

    remote = "192.0.2.1"

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.protocol: Any = None
        self.over = False

    def send(self, data: bytes) -> None:
        if self._rng.random() < 0.02:
            raise Disconnected("gone")

    def send_parts(self, parts: Any) -> None:
        self.send(b"")

    def reply(self, data: bytes) -> None:
        pass

    def describe(self, environ: dict[str, Any]) -> None:
        environ["REMOTE_ADDR"] = self.remote
        environ["wsgikit.client_gone"] = False

    def receive(self, received: int, since: float) -> bytes:
        return b""

    def guard(self) -> None:
        return None

    def abort(self) -> None:
        self.over = True

    def end(self) -> None:
        self.over = True

    def start(self, call: Any) -> Any:
        call.channel = SimpleNamespace(guard=lambda: None)
        call.run(0.0)
        return call.channel


# What is said to them


def variables(rng: random.Random) -> list[tuple[bytes, bytes]]:
    pairs = list(USUAL)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(pairs))
        name, value = pairs[at]
        choice = rng.randrange(5)
        if choice == 0:
            pairs[at] = (name, rng.choice(ODD))
        elif choice == 1:
            pairs.insert(at, (name, rng.randbytes(rng.randrange(40))))
        elif choice == 2:
            del pairs[at]
        elif choice == 3:
            pairs[at] = (rng.randbytes(rng.randrange(12)), value)
        else:
            pairs += [(b"HTTP_X%d" % number, b"y" * rng.randrange(300)) for number in range(rng.choice((3, 250)))]
    return pairs


def record(kind: int, number: int, content: bytes, rng: random.Random) -> bytes:
    """One record; now and then its header lies."""
    length, padding, version = len(content), rng.choice((0, 0, 7, 255)), 1
    lie = rng.random()
    if lie < 0.01:
        version = rng.randrange(256)
    elif lie < 0.03:
        length = rng.choice((0, 65535, rng.randrange(65536)))
    return struct.pack(">BBHHBB", version, kind, number, length, padding, rng.randrange(256)) + content + bytes(padding)


def fastcgi(rng: random.Random) -> bytes:
    parts = []
    if rng.random() < 0.05:  # a flood of small records
        kind, count = rng.choice((1, 2, 4, 5, 9, 11, 77)), rng.choice((300, 3000))
        content = struct.pack(">HB5x", 1, 1) if kind == Kind.BEGIN_REQUEST else b""
        parts = [record(kind, number % 65536, content, rng) for number in range(count)]
    for _ in range(rng.randrange(1, 5)):
        number = rng.choice((1, 1, 2, 3, 0, 65535, rng.randrange(65536)))
        pairs = format_pairs((name, value) for name, value in variables(rng))
        body = rng.randbytes(rng.choice((0, 5, 5, 70, 9000)))
        begin = struct.pack(">HB5x", rng.choice((1, 1, 1, 2, 3, 9)), rng.randrange(2))
        cut = rng.randrange(len(pairs) + 1)
        told = [(1, begin), (4, pairs[:cut][:65535]), (4, pairs[cut:][:65535]), (4, b""), (5, body), (5, b""), (8, b"")]
        if rng.random() < 0.3:
            rng.shuffle(told)
        if rng.random() < 0.3:
            told.insert(rng.randrange(len(told)), (rng.randrange(256), rng.randbytes(rng.randrange(30))))
        parts += [record(kind, number, content, rng) for kind, content in told if rng.random() < 0.95]
    return b"".join(parts)


def answers(rng: random.Random) -> bytes:
    """What an application sends back."""
    parts = []
    for _ in range(rng.choice((1, 4, 4, 400))):
        kind = rng.choice((6, 6, 6, 7, 11, 10, rng.randrange(256)))
        parts.append(record(kind, rng.choice((1, 1, 1, 0, 2)), rng.randbytes(rng.choice((0, 9, 3000))), rng))
    end = struct.pack(">IB3x", rng.randrange(3), rng.choice((0, 0, 0, 1, 2, 3, 200)))
    return b"".join([*parts, record(3, 1, end, rng), rng.choice((b"", b"", b"more"))])


def scgi(rng: random.Random) -> bytes:
    pairs = [(name.replace(b"\0", b""), value.replace(b"\0", b"")) for name, value in variables(rng)]
    data = format_scgi(pairs, rng.choice((0, 5, 5, 10**9))) + rng.randbytes(rng.choice((0, 5, 5, 900)))
    if rng.random() < 0.2:
        data = rng.choice((b"", b"0", b"9", b"999999999", b"-1", b"12x", b" 7")) + data[rng.randrange(4) :]
    return data


def uwsgi(rng: random.Random) -> bytes:
    try:
        data = format_uwsgi(variables(rng), rng.choice((0, 0, 0, 30, 100, rng.randrange(256))), rng.randrange(256))
    except ValueError:
        data = b"\0\xff\xff\0" + rng.randbytes(200)
    return data + rng.randbytes(rng.choice((0, 5, 5, 900)))


def response(rng: random.Random) -> bytes:
    lines = [rng.choice((b"Status: 200 OK", b"Status: 9", b"HTTP/1.1 404 No", b"HTTP/x", b"Status: 100", b""))]
    for _ in range(rng.choice((1, 3, 300))):
        value = rng.choice((b"text/html", b"5", b"5, 5", b"/local", b"//x", b"http://a/b", b"chunked", *ODD))
        name = rng.choice((b"Content-Type", b"Location", b"Content-Length", b"X-A", b"Transfer-Encoding", b"B d", b""))
        lines.append(name + rng.choice((b": ", b":", b" : ", b"")) + value)
    return rng.choice((b"\r\n", b"\n")).join([*lines, b"", b"body"])


def proxy(rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        family = rng.choice((b"TCP4", b"TCP6", b"UNKNOWN", b"UDP4"))
        words = [rng.choice((b"192.0.2.1", b"::1", b"1.2.3", b"x", b"9" * 60)) for _ in range(2)]
        ports = [rng.choice((b"80", b"65536", b"-1", b"0", b"99999999")) for _ in range(2)]
        return b" ".join([b"PROXY", family, *words, *ports]) + rng.choice((b"\r\n", b"\n", b"")) + b"GET /"
    start = b"\r\n\r\n\x00\r\nQUIT\n"
    size = rng.choice((0, 4, 12, 36, 216, 513, 65535))
    return start + bytes((rng.choice((0x20, 0x21, 0x22, 0x11)), rng.choice((0, 0x11, 0x21, 0x31, 0xFF)))) + struct.pack(
        ">H", size
    ) + rng.randbytes(min(size, 600))  # fmt: skip


def damage(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, doubled, cut out; or the end missing."""
    out = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(out) + 1)
        choice = rng.randrange(4)
        if choice == 0:
            out[at : at + 1] = bytes((rng.randrange(256),))
        elif choice == 1:
            del out[at : at + rng.randrange(1, 20)]
        elif choice == 2:
            out[at:at] = rng.choice((b"\xff" * 4, b"\0", b"\r\n", rng.randbytes(9)))
        else:
            out[at:at] = out[max(0, at - 30) : at]
    return bytes(out[: rng.randrange(len(out) + 1)] if rng.random() < 0.2 else out)


# Who is told it: each returns the word for how it ended


def pieces(data: bytes, rng: random.Random) -> Iterable[bytes]:
    longest = rng.choice((1 if len(data) < 3000 else 50, 9, 500, len(data) + 1))
    while data:
        size = rng.randint(1, longest)
        yield data[:size]
        data = data[size:]


def growing(parse: Callable[[bytearray], Any]) -> Callable[[bytes, random.Random], str]:
    """A parser that is asked again whenever more has come."""

    def told(data: bytes, rng: random.Random) -> str:
        buffer = bytearray()
        for piece in pieces(data, rng):
            buffer += piece
            if parse(buffer) is not None:
                return "whole"
        return "more"

    return told


def records(data: bytes, rng: random.Random) -> str:
    reader, found = RecordReader(), 0
    for piece in pieces(data, rng):
        for each in reader.feed(piece):
            found += 1
            if each.kind == Kind.BEGIN_REQUEST:
                parse_begin(each.content)
            elif each.kind == Kind.END_REQUEST:
                parse_end(each.content)
        if reader.pending > 8 + 65535 + 255 + len(piece):
            raise AssertionError(f"{reader.pending} bytes are kept")
    return "records" if found else "more"


def params(data: bytes, rng: random.Random) -> str:
    decoder = ParamsDecoder(VARIABLES)
    for piece in pieces(data, rng):
        decoder.feed(piece)
    read_request(decoder.end())
    return "whole"


def client(data: bytes, rng: random.Random) -> str:
    stdout = Stdout("fastcgi://fuzz")
    for piece in pieces(data, rng):
        stdout.feed(piece)
    return "whole" if stdout.done else "more"


def served(kind: Any) -> Callable[[bytes, random.Random], str]:
    """A whole protocol of the server's."""

    def told(data: bytes, rng: random.Random) -> str:
        link = Link(rng)
        protocol = kind(SERVICE, link)
        action = 0
        for piece in pieces(data, rng):
            action = protocol.receive(piece)
            if link.over or action:
                break
        if not link.over and hasattr(protocol, "run") and action:
            protocol.run(0.0)
        if rng.random() < 0.5:
            protocol.eof()
        protocol.close()
        return "closed" if link.over else f"action {action}"

    return told


DECODERS: dict[str, tuple[Callable[[random.Random], bytes], Callable[[bytes, random.Random], str]]] = {
    "fastcgi records": (fastcgi, records),
    "fastcgi params": (lambda rng: format_pairs(variables(rng)), params),
    "fastcgi client": (answers, client),
    "fastcgi server": (fastcgi, served(FastcgiProtocol)),
    "scgi": (scgi, growing(lambda buffer: parse_scgi(buffer, VARIABLES))),
    "scgi server": (scgi, served(ScgiProtocol)),
    "uwsgi": (uwsgi, growing(lambda buffer: parse_uwsgi(buffer, VARIABLES))),
    "uwsgi server": (uwsgi, served(UwsgiProtocol)),
    "cgi response": (response, growing(lambda buffer: parse_cgi_response(buffer, LIMITS))),
    "proxy": (proxy, growing(lambda buffer: parse_proxy_header(bytes(buffer[:LONGEST])))),
}


def one(name: str, rng: random.Random) -> str:
    """One conversation. Raises whatever no decoder may raise, with the bytes that did it."""
    make, tell = DECODERS[name]
    data = rng.randbytes(rng.randrange(1, 400)) if rng.random() < 0.1 else make(rng)
    if rng.random() < 0.6:
        data = damage(data, rng)
    state = rng.getstate()
    try:
        return tell(data, rng)
    except ProtocolError as error:
        return error.code
    except Exception as error:
        raise AssertionError(
            f"{name}: {type(error).__name__}: {error}\ndata = {data!r}\nstate = {hash(state)}"
        ) from error


def run(name: str, rounds: int, rng: random.Random, *, measured: int = 20) -> tuple[Counter[str], int]:
    """`rounds` conversations; how they ended, and the most bytes that one took. One in `measured` is looked at."""
    ends: Counter[str] = Counter()
    most = 0
    for number in range(rounds):
        if number % measured:
            ends[one(name, rng)] += 1
            continue
        tracemalloc.start()
        try:
            ends[one(name, rng)] += 1
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        most = max(most, peak)
        if peak > ROOM:
            raise AssertionError(f"{name}: {peak} bytes were allocated")
    return ends, most


def main(seconds: float, seed: int) -> None:
    import logging

    logging.disable(logging.CRITICAL)
    for name in DECODERS:
        rng, ends = random.Random(f"{seed} {name}"), Counter[str]()
        until, most = time.monotonic() + seconds / len(DECODERS), 0
        while time.monotonic() < until:
            found, peak = run(name, 100, rng)
            ends += found
            most = max(most, peak)
        print(summary(name, ends, most), flush=True)


def summary(name: str, ends: Counter[str], most: int) -> str:
    told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    return f"{name}: {ends.total()} conversations, {most // 1024} KiB at most: {told}"


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())
