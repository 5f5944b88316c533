"""However requests follow one another and arrive, each gets its own response, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from paper_link import PaperLink

from wsgikit.protocols import Action
from wsgikit.testing import Response, ResponseReader

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """The path says what: /number/status/shape/reads."""
    _, number, status, shape, reads = environ["PATH_INFO"].split("/")
    if reads == "all":
        environ["wsgi.input"].read()
    elif reads == "some":
        environ["wsgi.input"].read(3)
    headers = [("X-Number", number)]
    body = f"body of {number}".encode()
    if shape == "short":
        headers.append(("Content-Length", str(len(body) + 5)))
    elif shape == "long":
        headers.append(("Content-Length", "4"))
    elif shape == "fails":
        raise RuntimeError("on purpose")
    start_response(f"{status} Status", headers)
    if shape == "breaks":
        return breaking(body)
    return iter([body[:3], b"", body[3:]]) if shape == "generator" else [body]


def breaking(body: bytes) -> Iterator[bytes]:
    yield body
    raise RuntimeError("on purpose")


METHODS = st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"])
STATUSES = st.sampled_from(["200", "204", "304", "404", "205"])
SHAPES = st.sampled_from(["list", "list", "generator", "long", "fails", "short", "breaks"])
READS = st.sampled_from(["all", "some", "none"])
BODIES = st.sampled_from(["none", "length", "chunked", "expected"])
VERSIONS = st.sampled_from(["1.1", "1.1", "1.1", "1.0"])
REQUESTS = st.tuples(METHODS, STATUSES, SHAPES, READS, BODIES, VERSIONS)


def written(number: int, request: tuple[str, str, str, str, str, str]) -> bytes:
    method, status, shape, reads, body, version = request
    head = f"{method} /{number}/{status}/{shape}/{reads} HTTP/{version}\r\nHost: a\r\n".encode()
    if version == "1.0":
        head += b"Connection: keep-alive\r\n"
    if body == "none":
        return head + b"\r\n"
    if body == "chunked" and version == "1.1":
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    expect = b"Expect: 100-continue\r\n" if body == "expected" else b""
    return head + expect + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED


def served(link: PaperLink) -> int:
    """Do what a connection does with the link's pieces; returns the last action."""
    action: int = Action.READ
    while link.pieces:
        action = link.protocol.receive(link.pieces.popleft())
        while action in (Action.RUN, Action.NEXT):
            action = link.protocol.run(0.0) if action == Action.RUN else link.protocol.advance()
        if action != Action.READ:
            break
    return action


def responses(sent: bytes, methods: list[str]) -> list[Response]:
    found = []
    for method in methods:
        if not sent:
            break
        reader = ResponseReader(method)
        reader.feed(sent)
        if not reader.done:
            break
        found.append(reader.response)
        sent = reader.rest
    return [response for response in found if response is not None]


@settings(max_examples=300)
@given(st.lists(REQUESTS, min_size=1, max_size=5), st.lists(st.integers(0, 900), max_size=6), st.booleans())
def test_responses_belong_to_their_requests(requests: list[Any], cuts: list[int], stream: bool) -> None:
    stream_of_bytes = b"".join(written(number, request) for number, request in enumerate(requests))
    offsets = [0, *sorted(cut for cut in cuts if cut < len(stream_of_bytes)), len(stream_of_bytes)]
    link = PaperLink(counting := Counting(), body="stream" if stream else "spool")
    link.pieces.extend(stream_of_bytes[start:end] for start, end in pairwise(offsets) if start < end)
    last = served(link)
    assert counting.paths == [f"/{number}" for number in range(len(counting.paths))]  # each once, in order, no other
    found = responses(link.sent, [method for method, *_ in requests])
    for number, (response, request) in enumerate(zip(found, requests, strict=False)):
        if response.status not in (500, 400, 408):
            assert response.get("X-Number") == b"%d" % number
            assert response.status == int(request[1])
        closes = b"close" in (response.get("Connection") or b"")
        assert not closes or number == len(found) - 1  # nothing is sent after what ends the connection
    if last == Action.READ:
        assert len(found) == len(counting.paths) == len(requests)


class Counting:
    """The app, with an account of its calls."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.paths.append("/" + environ["PATH_INFO"].split("/")[1])
        return app(environ, start_response)
