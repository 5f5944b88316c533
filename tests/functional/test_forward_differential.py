"""The same generated requests through Balancer and through nginx to the same upstream, and what each side saw.

Bodies are equal to the byte, statuses are equal, and fields are equal but for the lists below, each with its reason.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nginx_server import NGINX, Nginx
from scripted_upstream import Peer, ScriptedUpstream

from wsgikit.testing import RawClient, ServerProcess
from wsgikit.testing.response import Response

APPS = Path(__file__).parent / "apps"

# What the upstream sees and only one of the two sends, in lower case.
REQUEST_DIFFERENCES = {
    b"via": "a gateway has to add it (RFC 9110 7.6.3); nginx does not",
    b"proxy-connection": "belongs to the client's connection; nginx passes it on",
    b"proxy-authorization": "is for a proxy the client has chosen (RFC 9110 11.7.2); nginx passes it on",
    b"trailer": "tells of trailers; nginx passes the field on and drops the trailers",
    b"x-hop": "is named by Connection (RFC 9110 7.6.1); nginx passes it on",
    b"transfer-encoding": "nginx gives a chunked body a length where it has all of it already",
    b"content-length": "the same",
}
# What the client sees.
RESPONSE_DIFFERENCES = {
    b"via": "may be added (RFC 9110 7.6.3); nginx does not",
    b"connection": "nginx says keep-alive where it goes without saying",
    b"transfer-encoding": "each server frames by itself: we know the length of an answer that came whole",
    b"content-length": "the same",
    b"server": "nginx puts its own in place",
    b"date": "nginx puts its own in place",
    b"x-hop": "is named by Connection; nginx passes it on",
    b"proxy-authenticate": "is for the next client alone; nginx passes it on",
    b"proxy-connection": "belongs to the upstream's connection; nginx passes it on",
    b"trailer": "tells of trailers, which neither passes on; nginx passes the field on",
}

# Fields that must not come twice; nginx keeps the last one.
_SINGLE = ("Content-Type", "ETag", "User-Agent", "If-None-Match", "Referer", "Content-Encoding")

NGINX_BLOCKS = """
upstream up {{ server 127.0.0.1:{upstream}; keepalive 8; }}
server {{ listen 127.0.0.1:{{port}}; location / {{
 proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
 proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
 proxy_set_header X-Forwarded-Host $http_host; proxy_request_buffering off; proxy_buffering off;
 proxy_redirect off; proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering
 X-Accel-Charset Expires Cache-Control Set-Cookie Vary; proxy_pass_header Date; proxy_pass_header Server;
}} }}
"""


def echo(peer: Peer) -> None:
    """Gives the answer that belongs to the seed in X-Answer, and keeps what it has seen of the request."""
    while True:
        received = peer.read_request()
        wanted = Maker(int(received.get("X-Answer") or b"0")).answer()
        seen = {
            "line": (received.method.decode(), received.target.decode("latin-1")),
            "fields": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in received.fields],
            "body": received.body,
            "framing": "chunked" if received.get("Transfer-Encoding") else "length",
        }
        peer.upstream.seen.append(seen)  # type: ignore[attr-defined]
        body = wanted["body"]
        lines = [f"HTTP/1.1 {wanted['status']}", *(f"{name}: {value}" for name, value in wanted["fields"])]
        bodiless = received.method == b"HEAD" or wanted["status"][:3] in ("204", "304")
        if wanted["framing"] == "chunked" and wanted["status"][:3] != "204":
            lines.append("Transfer-Encoding: chunked")
        elif wanted["framing"] == "length" and wanted["status"][:3] != "204":
            lines.append(f"Content-Length: {len(body)}")
        elif wanted["framing"] == "close":
            lines.append("Connection: close")
        peer.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if not bodiless and wanted["framing"] == "chunked":
            for start in range(0, len(body), 7001):
                piece = body[start : start + 7001]
                peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            peer.send(b"0\r\n\r\n")
        elif not bodiless:
            peer.send(body)
        if wanted["framing"] == "close":
            return


class Maker:
    """Requests by chance, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def body(self) -> bytes:
        size = self._chance.choice((0, 1, 14, 1000, 5000, 70_000))
        return self._chance.randbytes(size)

    def target(self) -> str:
        chance = self._chance
        letters = "abcXYZ019-._~!$&'()*+,;=:@"
        pieces = []
        for _ in range(chance.randrange(1, 4)):
            piece = "".join(chance.choices(letters, k=chance.randrange(0, 8)))
            if chance.random() < 0.3:
                piece += chance.choice(("%2F", "%20", "%C3%A9", "%ff", "%3f", "%25", "%2e"))
            pieces.append(piece if piece.strip(".") else piece + "x")
        query = chance.choice(("", "", "?", "?a=1&b=%20", "?x=/y?z", "?[a]=|{}"))
        return "/" + "/".join(pieces) + query

    def fields(self, names: tuple[str, ...]) -> list[tuple[str, str]]:
        chance = self._chance
        found = []
        for _ in range(chance.randrange(0, 7)):
            name = chance.choice(names)
            if name in _SINGLE and any(name.lower() == other.lower() for other, _ in found):
                continue
            name = chance.choice((name, name.lower(), name.upper()))
            value = "".join(chance.choices("abc XYZ,;=\"'\t()<>é", k=chance.randrange(0, 20))).strip(" \t")
            # nginx leaves out a Content-Type that is empty, and both sides' servers may
            found.append((name, value or ("" if name.lower() == "x-thing" else "x")))
        return found

    def request(self) -> tuple[str, bytes]:
        chance = self._chance
        method = chance.choice(("GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
        fields = self.fields(("Accept", "Cookie", "X-Thing", "User-Agent", "Content-Type", "If-None-Match", "Referer"))
        if chance.random() < 0.3:
            fields += [("Connection", chance.choice(("keep-alive", "X-Hop", "keep-alive, x-hop"))), ("X-Hop", "1")]
        if chance.random() < 0.2:
            fields.append(chance.choice((("TE", "trailers"), ("Keep-Alive", "5"), ("Proxy-Connection", "x"))))
        fields.append(("X-Answer", str(chance.randrange(1 << 30))))
        lines = [f"{method} {self.target()} HTTP/1.1", "Host: shop.example:8080"]
        body = self.body() if method in ("POST", "PUT", "PATCH") else b""
        if body and chance.random() < 0.4:
            fields.append(("Transfer-Encoding", "chunked"))
            at = chance.randrange(1, len(body) + 1)
            pieces = [piece for piece in (body[:at], body[at:]) if piece]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        elif method in ("POST", "PUT", "PATCH"):
            fields.append(("Content-Length", str(len(body))))
        lines += [f"{name}: {value}" for name, value in fields]
        return method, "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def answer(self) -> dict[str, Any]:
        names = ("Set-Cookie", "X-Thing", "ETag", "Cache-Control", "Vary", "Content-Type", "Content-Encoding", "Link")
        fields = self.fields(names)
        if self._chance.random() < 0.2:
            fields += [("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5")]
        statuses = ("200 OK", "200 OK", "404 Not Found", "302 Found", "500 Oh", "204 No Content", "304 Not Modified")
        return {
            "status": self._chance.choice(statuses),
            "fields": fields,
            "body": self.body(),
            "framing": self._chance.choice(("length", "chunked", "length", "close")),
        }


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[ScriptedUpstream, dict[str, tuple[str, int]]]]:
    """The upstream, and the addresses of both gateways."""
    with ScriptedUpstream(echo) as upstream:
        upstream.seen = []  # type: ignore[attr-defined]
        command = [sys.executable, "-m", "wsgikit", "serve", "gateways:app", "-b", "{host}:{port}", "--threads", "4"]
        command += ["--pythonpath", str(APPS), "--body", "stream"]
        options = {"endpoints": [upstream.url], "eject": {"failures": 0}}
        with (
            ServerProcess(command, env={"GATEWAY": json.dumps(options)}) as ours,
            Nginx(NGINX_BLOCKS.format(upstream=upstream.port)) as theirs,
        ):
            yield upstream, {"wsgikit": ("127.0.0.1", ours.port), "nginx": ("127.0.0.1", theirs.port)}


def kept(fields: list[tuple[bytes, bytes]], left_out: dict[bytes, str]) -> Counter[tuple[bytes, bytes]]:
    # nginx writes some names its own way ("Content-Type" for "CONTENT-TYPE"); ours come as they went, see target 18
    return Counter((name.lower(), value) for name, value in fields if name.lower() not in left_out)


def in_order(fields: list[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    """Values of each name in their order, which may mean something (RFC 9110 5.3)."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(value)
    return found


def seen_fields(seen: dict[str, object]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in seen["fields"]]  # type: ignore[attr-defined]


def compare(seed: int, both: tuple[ScriptedUpstream, dict[str, tuple[str, int]]]) -> None:
    upstream, addresses = both
    method, request = Maker(seed).request()
    answers: dict[str, Response] = {}
    seen: dict[str, dict[str, object]] = {}
    for name, address in addresses.items():
        with RawClient(address, timeout=20) as client:
            client.send(request)
            answers[name] = client.read_response(method)
        seen[name] = upstream.seen.pop()  # type: ignore[attr-defined]
    ours, theirs = answers["wsgikit"], answers["nginx"]
    place = f"seed {seed}: {request[:2000]!r}"
    assert ours.status == theirs.status, place
    assert ours.body == theirs.body, place
    assert kept(ours.fields, RESPONSE_DIFFERENCES) == kept(theirs.fields, RESPONSE_DIFFERENCES), place
    mine, other = in_order(ours.fields), in_order(theirs.fields)
    for name in mine.keys() & other.keys() - RESPONSE_DIFFERENCES.keys():
        assert mine[name] == other[name], place
    assert seen["wsgikit"]["line"] == seen["nginx"]["line"], place
    assert seen["wsgikit"]["body"] == seen["nginx"]["body"], place
    mine_sent, other_sent = seen_fields(seen["wsgikit"]), seen_fields(seen["nginx"])
    assert kept(mine_sent, REQUEST_DIFFERENCES) == kept(other_sent, REQUEST_DIFFERENCES), place
    first, second = in_order(mine_sent), in_order(other_sent)
    for name in first.keys() & second.keys() - REQUEST_DIFFERENCES.keys():
        assert first[name] == second[name], place


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_300_requests_through_us_and_through_nginx(both) -> None:
    for seed in range(300):
        compare(seed, both)


@pytest.mark.soak
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_5000_requests_through_us_and_through_nginx(both) -> None:
    for seed in range(1000, 6000):
        compare(seed, both)
