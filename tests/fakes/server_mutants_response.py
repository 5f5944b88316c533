"""Mutants of blocks, close(), start_response and Content-Length (S09-S20, S58-S75, S94-S97)."""

from __future__ import annotations

import contextlib
from typing import Any

from server_mutants import mutant
from tiny_server import Request

from wsgikit.errors import Disconnected


@mutant("S09", "each block is held back until the next one is there")
class HeldBack(Request):
    held = b""

    def take(self, block: Any, result: Any) -> None:
        if self.held:
            super().take(self.held, result)
        self.held = block

    def finish(self) -> None:
        if self.held:
            super().take(self.held, [])
        super().finish()


@mutant("S10", "CR LF in the body becomes LF")
class LineEnds(Request):
    def send_block(self, block: bytes) -> None:
        super().send_block(block.replace(b"\r\n", b"\n") if self.declared() is None else block)


@mutant("S11", "a range request gets a wrong part")
class WrongRange(Request):
    def send_head(self) -> None:
        if any(name.lower() == b"range" for name, _ in self.head.fields) and self.status.startswith("200"):
            self.status = "206 Partial Content"
            self.headers.append(("Content-Range", "bytes 0-9/10"))
        super().send_head()


@mutant("S12", "an iterable of length 1 is indexed")
class Indexed(Request):
    def iterate(self, result: Any) -> None:
        if hasattr(result, "__len__") and len(result) == 1:
            self.take(result[0], result)
        else:
            super().iterate(result)


class CloseUnless(Request):
    """close() is left out under a condition."""

    failed = False

    def fail(self) -> None:
        self.failed = True
        super().fail()

    def close(self, result: Any) -> None:
        if not self.omits():
            super().close(result)

    def omits(self) -> bool:
        raise NotImplementedError


def _plainly_done(request: Request) -> bool:
    return request.status.startswith("200") and request.head.method == "GET" and request.started


@mutant("S13", "no close() after an ordinary response",
        implied={"S05": "its response is an ordinary one", "S15": "the same close()", "S16": "the same close()",
                 "S17": "the same close()", "S69": "counts at close()", "S75": "looks for close()",
                 "S89": "the wrapper's close()"})  # fmt: skip
class NeverClosed(CloseUnless):
    def omits(self) -> bool:
        return not self.failed and _plainly_done(self)


@mutant("S14", "no close() after an error", implied={"S17": "an app that never started is an error"})
class NotAfterErrors(CloseUnless):
    def omits(self) -> bool:
        return self.failed


@mutant("S15", "a client that has gone is not noticed")
class GoesOn(Request):
    def send(self, data: bytes) -> None:
        with contextlib.suppress(Disconnected):
            super().send(data)


@mutant("S16", "the iterator is closed, not the iterable")
class WrongClose(Request):
    def iterate(self, result: Any) -> None:
        self.iterator = iter(result)
        super().iterate(self.iterator)

    def close(self, result: Any) -> None:
        super().close(getattr(self, "iterator", result))


@mutant("S17", "no close() after HEAD", implied={"S96": "the same close()"})
class NotAfterHead(CloseUnless):
    def omits(self) -> bool:
        return self.head.method == "HEAD"


@mutant("S18", "start_response has to be called before the first block is asked for")
class StartFirst(Request):
    def iterate(self, result: Any) -> None:
        if not self.started:
            raise AssertionError("start_response was not called")
        super().iterate(result)


@mutant("S19", "the iterable is asked for fileno()")
class Curious(Request):
    def iterate(self, result: Any) -> None:
        if hasattr(result, "fileno"):
            result.fileno()
        super().iterate(result)


@mutant("S20", "a block is asked for after close()")
class AfterClose(Request):
    def close(self, result: Any) -> None:
        super().close(result)
        if hasattr(result, "asked"):
            next(iter(result), None)


_OUT = "the head is out before anything could be changed"


@mutant("S58", "start_response sends the head",
        implied={"S59": _OUT, "S60": _OUT, "S61": "nothing", "S76": _OUT, "S88": _OUT, "S95": _OUT,
                 "H60": "the framing is chosen too early"})  # fmt: skip
class Eager(Request):
    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Any:
        write = super().start_response(status, headers, exc_info)
        if not self.head_sent:
            self.send_head()
        return write


@mutant("S59", "an empty block sends the head")
class EmptySends(Request):
    def take(self, block: Any, result: Any) -> None:
        super().take(block, result)
        if not self.head_sent and self.started:
            self.send_head()


@mutant("S60", "the headers of the first call stay")
class KeepsHeaders(Request):
    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Any:
        before = self.headers
        write = super().start_response(status, headers, exc_info)
        self.headers = before + self.headers
        return write


@mutant("S61", "exc_info after output is ignored")
class NoRaise(Request):
    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Any:
        return self.write if self.head_sent else super().start_response(status, headers, exc_info)


@mutant("S62", "a second call without exc_info is fine")
class Again(Request):
    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Any:
        self.started = False
        return super().start_response(status, headers, exc_info)


@mutant("S63", "status and headers are not looked at")
class Unchecked(Request):
    def check(self, status: Any, headers: Any) -> None:
        if type(status) is not str:
            raise TypeError("no str")


@mutant("S64", "hop-by-hop headers are dropped in silence")
class Dropping(Request):
    def check_hop_by_hop(self, headers: list[tuple[str, str]]) -> None:
        headers[:] = [pair for pair in headers if pair[0].lower() not in ("connection", "keep-alive", "te")]
        super().check_hop_by_hop(headers)


@mutant("S65", "no Date is added", implied={"H61": "the same on the wire"})
class Undated(Request):
    def response_headers(self) -> list[tuple[str, str]]:
        own = {name.lower() for name, _ in self.headers}
        return [pair for pair in super().response_headers() if pair[0] != "Date" or "date" in own]


@mutant("S66", "the app's dAtE is not taken for a Date")
class CaseSensitive(Request):
    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.headers)


@mutant("S67", "exc_info is kept")
class Keeps(Request):
    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Any:
        self.kept = exc_info
        return super().start_response(status, headers, exc_info)


@mutant("S68", "the block that goes beyond Content-Length is sent whole", implied={"S91": "the same with a file"})
class Beyond(Request):
    def cut(self, block: bytes, length: int) -> bytes:
        return block


@mutant("S69", "iteration goes on when Content-Length is reached")
class ToTheEnd(Request):
    def iterate(self, result: Any) -> None:
        for block in result:
            self.take(block, result)


@mutant("S70", "a short body leaves the connection open")
class StaysOpen(Request):
    def finish(self) -> None:
        keep = self.keep
        super().finish()
        self.keep = self.framing != "close" and keep


@mutant("S71", "Content-Length is the length of a single block, whatever was written before")
class ForgetsWrites(Request):
    def take(self, block: Any, result: Any) -> None:
        if type(result) is list:
            self.wrote = False
        super().take(block, result)


@mutant("S72", "an empty block becomes the last chunk")
class EmptyChunk(Request):
    def take(self, block: Any, result: Any) -> None:
        super().take(block, result)
        if not block and self.framing == "chunked":
            self.send(b"0\r\n\r\n")


@mutant("S73", "a 1.0 client that asked for keep-alive gets no end",
        implied={"H62": "the same on the wire"})  # fmt: skip
class NoEnd(Request):
    def framing_headers(self) -> list[tuple[str, str]]:
        keep = self.keep
        found = super().framing_headers()
        self.keep = keep
        return found


@mutant("S74", "write() waits for the end of the app")
class LateWrite(Request):
    early = b""

    def write(self, data: bytes) -> None:
        if self.length_reached(len(self.early) + len(data)):
            raise ValueError("write() beyond Content-Length")
        self.early += data

    def iterate(self, result: Any) -> None:
        if self.early:
            super().write(self.early)
        super().iterate(result)


@mutant("S75", "after write() the iterable is not sent", implied={"S71": "its second case has both"})
class WritesOnly(Request):
    def take(self, block: Any, result: Any) -> None:
        if not self.wrote:
            super().take(block, result)


@mutant("S94", "an empty iterable is no response", implied={"S12": "one of its lists is empty"})
class NoEmpty(Request):
    def finish(self) -> None:
        if self.head_sent or not self.started or self.bodiless():
            super().finish()
        else:
            self.keep = False


@mutant("S95", "without start_response it is a 200")
class DefaultStatus(Request):
    def take(self, block: Any, result: Any) -> None:
        if not self.started:
            self.start_response("200 OK", [])
        super().take(block, result)

    def finish(self) -> None:
        if not self.started:
            self.start_response("200 OK", [])
        super().finish()


@mutant("S96", "HEAD gets a body", implied={"H60": "the same on the wire"})
class HeadBody(Request):
    def bodiless(self) -> bool:
        return self.head.method != "HEAD" and super().bodiless()


@mutant("S97", "headers go out as UTF-8")
class Utf8(Request):
    def send_head(self) -> None:
        self.headers = [(name, value.encode("utf-8").decode("latin-1")) for name, value in self.headers]
        super().send_head()
