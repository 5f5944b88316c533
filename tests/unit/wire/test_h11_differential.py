"""The same requests to h11 and to us. Where the two differ, the difference is one of those explained here.

Every part of a generated request is either plain, or marked with the reason for which the two may differ on it. Plain
requests both accept with equal results; a marked one may be refused by one of them, in the direction that its reason
says. Each reason has an example, so that an explanation that no longer holds is found.
"""

from __future__ import annotations

from collections.abc import Iterable

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_reader import read

# We refuse, h11 accepts.
STRICTER = {
    "bare-lf": "h11 takes LF alone for a line end (RFC 9112 2.2 lets it); we do not",
    "obs-fold": "h11 joins folded lines; RFC 9112 5.2 lets a server refuse them, and we do",
    "control": "h11 keeps control characters other than NUL and white space in values",
    "target-character": "h11 takes any visible character in a target; some are in no URI (RFC 9112 3.2)",
    "target-form": "h11 leaves the form of the target to its user",
    "host": "h11 leaves the value of Host to its user",
    "lengths-equal": "h11 reads equal repeated lengths as one (RFC 9110 8.6 lets it); we refuse them",
    "length-and-coding": "h11 lets the coding win (RFC 9112 6.1 lets it); we refuse the two together",
    "coding-in-1.0": "h11 decodes chunks in HTTP/1.0; RFC 9112 6.1 calls that framing faulty",
    "expectation": "h11 leaves unknown expectations to its user; we answer 417",
    "major-version": "h11 reads any version of one digit, a dot and a digit",
    "chunk-extension": "h11 skips whatever follows a semicolon; we hold extensions to their grammar",
    "chunk-size": "h11 lets a chunk size have 20 digits, we 16",
    "trailers": "h11 leaves it to its user to distrust a trailer section of any size; ours has a limit",
    "length-digits": "h11 lets a length have 20 digits, we 18 (it must fit 64 bits)",
}
# h11 refuses, we accept.
LOOSER = {
    "empty-line": "h11 calls an empty line before the request line an error; RFC 9112 2.2 tells a server to skip it",
    "empty-elements": "h11 compares the whole value with chunked; RFC 9110 5.6.1.2 tells to ignore empty elements",
}

Part = tuple[bytes, str]
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def ours(wire: bytes) -> object:
    reader = read([wire], eof=True)
    if reader.error is not None or not reader.seen or not reader.seen[0].complete:
        return None
    seen = reader.seen[0]
    # h11 lowers names, and the value of Transfer-Encoding; our fields are as sent.
    headers = [
        (name.lower(), value.lower() if name.lower() == b"transfer-encoding" else value)
        for name, value in seen.head.fields
    ]
    return seen.head.method.encode(), seen.head.target, headers, seen.body


def theirs(wire: bytes) -> object:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=70_000)
    connection.receive_data(wire)
    connection.receive_data(b"")
    request, body = None, b""
    try:
        for _ in range(1000):
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return request.method, request.target, list(request.headers), body
            else:
                return None
    except h11.RemoteProtocolError:
        return None
    raise AssertionError("h11 does not come to an end")


def plain(*texts: bytes) -> list[Part]:
    return [(text, "") for text in texts]


def some(parts: list[Part], *marked: Part) -> st.SearchStrategy[Part]:
    """Mostly plain parts, so that most requests have one mark or none."""
    return st.one_of(*[st.sampled_from(parts)] * 4, st.sampled_from([*parts, *marked]))


starts = some(plain(b""), (b"\r\n", "empty-line"))
methods = some(plain(b"GET", b"POST", b"HEAD", b"OPTIONS", b"get", b"M-SEARCH", b"X" * 30))
targets = some(
    plain(b"/", b"/a/b?c=d&e", b"/%00%ff", b"//x", b"/a;b=c", b"http://b/x?y", b"http://b", b"/[]|^`{}"),
    (b"/a#b", "target-character"),
    (b'/a"b', "target-character"),
    (b"/a\\b", "target-character"),
    (b"a:80", "target-form"),
    (b"x/y", "target-form"),
    (b"ftp://b/", "target-form"),
)
versions = some(plain(b"1.1"), (b"2.0", "major-version"), (b"0.9", "major-version"))
hosts = some(
    plain(b"Host: a", b"host:a:80", b"HOST: [::1]:80", b"Host:"), (b"Host: a/b", "host"), (b"Host: a b", "host"),
    (b"Host: a,b", "host"), (b"Host: a:99999", "host"),
)  # fmt: skip
lines = some(
    plain(b"X-A: b", b"X-A:b", b"X-A: \t b \t", b"X-A: \xe9\xff", b"X-A:", b"X_A: b", b"!#$%: b", b"Accept: a, b",
          b"Connection: close", b"Cookie: a=b; c=d", b"Expect: 100-continue", b"X-L: " + b"l" * 400),
    (b"X-A: b\r\n c", "obs-fold"),
    (b"X-A: b\x01c", "control"),
    (b"X-A: b\x1bc", "control"),
    (b"X-A: b\nX-C: d", "bare-lf"),
    (b"Expect: other", "expectation"),
)  # fmt: skip
bodies = some(
    plain(
        b"\r\n",
        b"Content-Length: 5\r\n\r\nhello",
        b"Content-Length: 005\r\n\r\nhello",
        b"Content-Length: 0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + HELLO,
        b"transfer-encoding: CHUNKED \r\n\r\n5;a\r\nhello\r\n01\r\n!\r\n0;b=c\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n\r\n",
    ),
    (b"Content-Length: 5, 5\r\n\r\nhello", "lengths-equal"),
    (b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "lengths-equal"),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO, "length-and-coding"),
    (b"Transfer-Encoding: , chunked\r\n\r\n" + HELLO, "empty-elements"),
    (b"Transfer-Encoding: chunked,\r\n\r\n" + HELLO, "empty-elements"),
    (b"Transfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    (b"Transfer-Encoding: chunked\r\n\r\n5;a=(\r\nhello\r\n0\r\n\r\n", "chunk-extension"),
    (b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 17 + b"5\r\nhello\r\n0\r\n\r\n", "chunk-size"),
    (b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", "bare-lf"),
)


def build(parts: Iterable[bytes]) -> bytes:
    start, method, target, version, host, *fields, body = parts
    head = b"%b%b %b HTTP/%b\r\n%b\r\n" % (start, method, target, version, host)
    return head + b"".join(line + b"\r\n" for line in fields) + body


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, set[str]]:
    parts = [draw(part) for part in (starts, methods, targets, versions, hosts)]
    parts += draw(st.lists(lines, max_size=3))
    parts.append(draw(bodies))
    return build(text for text, _ in parts), {reason for _, reason in parts if reason}


@pytest.mark.slow
@given(requests())
@settings(max_examples=1000)
def test_every_difference_is_explained(request: tuple[bytes, set[str]]) -> None:
    wire, reasons = request
    us, them = ours(wire), theirs(wire)
    if us == them:
        assert us is not None or reasons
        return
    assert us is None or them is None, "both accept, and read different messages"
    assert reasons & (STRICTER if us is None else LOOSER).keys()


PLAIN = [b"", b"POST", b"/", b"1.1", b"Host: a", b"\r\n"]
CODED = b"Transfer-Encoding: chunked\r\n\r\n"


def changed(position: int, text: bytes) -> bytes:
    return build([*PLAIN[:position], text, *PLAIN[position + 1 :]])


EXAMPLES = {
    "bare-lf": changed(4, b"Host: a\nX-A: b"),
    "obs-fold": changed(4, b"Host: a\r\nX-A: b\r\n c"),
    "control": changed(4, b"Host: a\r\nX-A: \x01"),
    "target-character": changed(2, b"/#a"),
    "target-form": changed(2, b"*"),
    "host": changed(4, b"Host: a/b"),
    "lengths-equal": changed(5, b"Content-Length: 5, 5\r\n\r\nhello"),
    "length-and-coding": changed(5, b"Content-Length: 5\r\n" + CODED + HELLO),
    "coding-in-1.0": changed(5, CODED + HELLO).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "expectation": changed(4, b"Host: a\r\nExpect: other"),
    "major-version": changed(3, b"2.0"),
    "chunk-extension": changed(5, CODED + b"5;\r\nhello\r\n0\r\n\r\n"),
    "chunk-size": changed(5, CODED + b"0" * 17 + b"\r\n\r\n"),
    "trailers": changed(5, CODED + b"0\r\n" + b"X-T: 1\r\n" * 101 + b"\r\n"),
    "length-digits": changed(5, b"Content-Length: " + b"9" * 19 + b"\r\n\r\n"),
    "empty-line": changed(0, b"\r\n"),
    "empty-elements": changed(5, CODED.replace(b"chunked", b"chunked,") + HELLO),
}


def h11_reads_head(wire: bytes) -> bool:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(wire)
    try:
        return isinstance(connection.next_event(), h11.Request)
    except h11.RemoteProtocolError:
        return False


def test_the_plain_request_is_read_by_both() -> None:
    assert ours(build(PLAIN)) == theirs(build(PLAIN)) == (b"POST", b"/", [(b"host", b"a")], b"")


@pytest.mark.parametrize("reason", STRICTER)
def test_where_we_are_stricter(reason: str) -> None:
    assert ours(EXAMPLES[reason]) is None
    accepts = h11_reads_head if reason == "length-digits" else theirs
    assert accepts(EXAMPLES[reason])


@pytest.mark.parametrize("reason", LOOSER)
def test_where_h11_is_stricter(reason: str) -> None:
    assert ours(EXAMPLES[reason])
    assert theirs(EXAMPLES[reason]) is None
