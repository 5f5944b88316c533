"""HTTP mutants of bodies, connections and responses (H29-H64)."""

from __future__ import annotations

import socket
from typing import Any

from http_mutants import drops, http_mutant, reading, refuses, stalls, takes
from tiny_server import Connection, Request

from wsgikit.errors import Disconnected, ProtocolError
from wsgikit.validators.report import Verdict
from wsgikit.wire.http11 import Head

INFO, WARN = Verdict.INFO, Verdict.WARN

takes("H31", "smuggled-get", "the length is dropped, and the connection stays", rb"Content-Length: \d+\r\n(?=Tra)", b"")
takes("H32", "keep-alive", "a chunked 1.0 request is as good as a 1.1",
      rb"(?<=HTTP/1\.)0(?=\r\n[^\r]+\r\nConnection: keep-alive\r\nTransfer)", b"1")  # fmt: skip
takes("H33", "gzip", "gzip is taken for chunked", rb"(?<=Encoding: )gzip(?=\r\n)", b"chunked", WARN)
takes("H34", "gzip", "what follows chunked is dropped", rb"(?<=chunked), gzip", b"")
takes("H35", "twice", "chunked twice is chunked once", rb"chunked, chunked", b"chunked", WARN)
takes("H36", "capital", "Chunked is no chunked, and no body", rb"Transfer-Encoding: Chunked\r\n", b"")
refuses("H38", "capital", "capital digits are refused", rb"\r\nA\r\n")
takes("H39", "plus", "a plus sign is part of a size", rb"\+5\r\n", b"5\r\n", WARN)
takes("H40", "past-64-bits", "sizes are taken modulo 2**64", rb"10000000000000005", b"5")
refuses("H41", "token", "chunk extensions are refused", rb"5;a=b\r\n")
takes("H42", "lf", "an extension may hold a line feed", rb"5;a\nb", b"5", WARN)
takes("H43", "data-longer", "data beyond the size is dropped", rb"hello!\r\n", b"hello\r\n", WARN)
takes("H44", "size", "a bare line feed costs a byte", rb"5\nhello", b"4\r\nhell", INFO)
takes("H46", "authorization", "trailers are merged into the head",
      rb"\r\n(\r\n5\r\nhello\r\n0\r\n)(Authorization: [^\r]+\r\n)", rb"\r\n\2\1")  # fmt: skip
takes("H51", "ten", "two equal requests in a row are answered once",
      rb"(GET / HTTP/1\.1\r\nHost: example\.com\r\n\r\n)\1", rb"\1")  # fmt: skip
drops("H53", "length", "a large body ends the connection before the response", rb"Content-Length: 262144", WARN)
stalls("H56", "other", "an unknown expectation is never answered", rb"Expect: other", INFO)
refuses("H58", "line", "a head that takes its time is refused", rb"\AGET / HTTP/1\.1\r\n\Z")
refuses("H64", "trace", "TRACE gets a 405 without Allow", rb"\ATRACE", 405)


class FillsUp(Connection):
    """The end of a body that is too short is made up."""

    def read_body(self, head: Head) -> bytes:
        try:
            return super().read_body(head)
        except (ProtocolError, Disconnected):
            return b"?" * (head.content_length or 5)


reading("H29", "short", "a body that ends early is filled up")(FillsUp)
reading("H45", "before-last-chunk", "a chunked body that ends early is complete", WARN)(FillsUp)


class NoBodyInGet(Connection):
    """Framing depends on the method."""

    def read_body(self, head: Head) -> bytes:
        return b"" if head.method == "GET" else super().read_body(head)


reading("H30", "get", "GET has no body")(NoBodyInGet)
reading("H37", "get", "GET has no chunked body", WARN)(NoBodyInGet)


@reading("H47", "line-ends-inside", "line ends in a chunked body are changed")
class ChangesLineEnds(Connection):
    def read_body(self, head: Head) -> bytes:
        return super().read_body(head).replace(b"\r\n", b"\n")


@reading("H52", "length", "a body stays in the buffer")
class LeavesTheBody(Connection):
    def read_body(self, head: Head) -> bytes:
        return b""


@reading("H54", "length", "100 is never sent")
class NeverContinues(Connection):
    def say_continue(self) -> None:
        pass


@reading("H55", "http-1.0", "a 1.0 client gets a 100")
class ContinuesAll(Connection):
    def read_body(self, head: Head) -> bytes:
        if head.minor == 0 and head.content_length:
            self.say_continue()
        return super().read_body(head)


@reading("H49", "plain", "Connection: close is ignored")
class NeverEnds(Connection):
    def read_head(self) -> Head | None:
        head = super().read_head()
        if head is not None:
            head.keep_alive = True
        return head


@reading("H50", "plain", "a 1.0 connection stays open")
class KeepsOld(NeverEnds):
    pass


@reading("H57", "unknown", "every Upgrade gets a 101")
class Upgrades(Connection):
    def read_head(self) -> Head | None:
        head = super().read_head()
        if head is not None and any(name.lower() == b"upgrade" for name, _ in head.fields):
            self.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: unknown/1\r\nConnection: Upgrade\r\n\r\n")
        return head


@reading("H59", "get", "the end of the client's side ends the request", WARN)
class EndsWithTheClient(Connection):
    def read_head(self) -> Head | None:
        head = super().read_head()
        self.peer.settimeout(0.05)  # long enough for the end that comes right behind
        try:
            return head if self.peer.recv(1, socket.MSG_PEEK) else None
        except TimeoutError:
            return head
        finally:
            self.peer.settimeout(None)


@http_mutant("H48", "two", "the connection ends after a response that does not say so")
class EndsUnannounced(Request):
    def run(self, app: Any) -> bool:
        super().run(app)
        return False


@http_mutant("H60", "head", "HEAD gets the body as well")
class BodyForHead(Request):
    def bodiless(self) -> bool:
        return False


@http_mutant("H61", "200", "no response has a Date")
class Timeless(Request):
    def response_headers(self) -> list[tuple[str, str]]:
        return [pair for pair in super().response_headers() if pair[0] != "Date"]


@http_mutant("H62", "generator-1.0", "a 1.0 client gets chunks")
class ChunksForAll(Request):
    def framing_headers(self) -> list[tuple[str, str]]:
        headers = super().framing_headers()
        if self.framing != "close":
            return headers
        self.framing = "chunked"
        return [("Transfer-Encoding", "chunked")]


@http_mutant("H63", "empty-reason", "the space goes with the reason")
class NoSpace(Request):
    def send_head(self) -> None:
        self.status = self.status.rstrip()
        super().send_head()
