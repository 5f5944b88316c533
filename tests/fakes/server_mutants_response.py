"""Mutants of blocks, close(), start_response and Content-Length (S09-S20, S58-S75, S94-S97)."""

from __future__ import annotations

import contextlib
from typing import Any

from server_mutants import mutant
from tiny_server import Request

from wsgikit.errors import Disconnected


@mutant("S09", "each block is held back until the next one is there",
        implied={"S61": "at the second block there has been no output yet"})  # fmt: skip
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


@mutant(
    "S13",
    "no close() after an ordinary response",
    implied={
        "S05": "its response is an ordinary one",
        "S15": "the same close()",
        "S16": "the same close()",
        "S17": "the same close()",
        "S69": "counts at close()",
        "S75": "looks for close()",
        "S89": "the wrapper's close()",
    },
)
class HeadBody(Request):
    def bodiless(self) -> bool:
        return self.head.method != "HEAD" and super().bodiless()


@mutant("S97", "headers go out as UTF-8")
class Utf8(Request):
    def send_head(self) -> None:
        self.headers = [(name, value.encode("utf-8").decode("latin-1")) for name, value in self.headers]
        super().send_head()
