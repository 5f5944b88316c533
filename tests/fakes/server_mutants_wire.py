"""Mutants of errors, 100-continue, chunks, conditions and wsgi.file_wrapper (S76-S93)."""

from __future__ import annotations

from typing import Any

from server_mutants import mutant
from tiny_server import Connection, FileWrapper, Request

from wsgikit.errors import ProtocolError
from wsgikit.wire.http11 import Head


@mutant("S76", "an error before output ends the connection without a response")
class Silent(Request):
    def fail(self) -> None:
        self.keep = False
        self.connection.broken = self.head_sent


@mutant("S77", "after an error a second response is written into the first")
class SecondResponse(Request):
    def fail(self) -> None:
        if self.framing == "chunked" and self.sent:
            self.send_block(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
        super().fail()


class NoContinue(Connection):
    def say_continue(self) -> None:
        pass


@mutant("S78", "100 is never sent", implied={"H54": "the same on the wire"})
class Waits(Request):
    connection_type = NoContinue


@mutant("S79", "Set-Cookie headers are joined")
class JoinedCookies(Request):
    def send_head(self) -> None:
        cookies = [value for name, value in self.headers if name == "Set-Cookie"]
        if cookies:
            self.headers = [pair for pair in self.headers if pair[0] != "Set-Cookie"]
            self.headers.append(("Set-Cookie", ", ".join(cookies)))
        super().send_head()


class NoChunks(Connection):
    def read_body(self, head: Head) -> bytes:
        if head.chunked:
            raise ProtocolError("length-required", 411)
        return super().read_body(head)


@mutant("S80", "a chunked body is refused", implied={"H37": "its last vectors are chunked requests without fault",
                                                    "H52": "one of its bodies is chunked",
                                                    "H53": "one of its bodies is chunked",
                                                    "H54": "one of its bodies is chunked"})  # fmt: skip
class Refuses(Request):
    connection_type = NoChunks


@mutant("S81", "If-None-Match always gives 304")
class AlwaysFresh(Request):
    def send_head(self) -> None:
        if any(name.lower() == b"if-none-match" for name, _ in self.head.fields):
            self.status = "304 Not Modified"
        super().send_head()


class OneArgument(FileWrapper):
    def __init__(self, filelike: Any) -> None:
        super().__init__(filelike)


@mutant("S86", "file_wrapper takes no block size")
class NoBlockSize(Request):
    wrapper_type = OneArgument


class Opaque:
    """Only the server knows how to send it."""

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self.filelike = filelike
        if hasattr(filelike, "close"):
            self.close = filelike.close


@mutant("S87", "the wrapper cannot be iterated", implied={"S93": "its second case iterates one"})
class NotIterable(Request):
    wrapper_type = Opaque

    def iterate(self, result: Any) -> None:
        super().iterate(FileWrapper(result.filelike) if type(result) is Opaque else result)


@mutant("S88", "making a wrapper sends the head")
class SendsAtOnce(Request):
    def environ(self) -> dict[str, Any]:
        environ = super().environ()
        request = self

        class Wrapper(FileWrapper):
            def __init__(self, filelike: Any, block_size: int = 8192) -> None:
                super().__init__(filelike, block_size)
                if request.started and not request.head_sent:
                    request.send_head()

        environ["wsgi.file_wrapper"] = Wrapper
        return environ


class NeverCloses(FileWrapper):
    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        super().__init__(filelike, block_size)
        self.__dict__.pop("close", None)


@mutant("S89", "the wrapper has no close()", implied={"S96": "one of its cases looks for the file's close()"})
class Unclosed(Request):
    wrapper_type = NeverCloses


@mutant("S90", "only files with fileno() can be sent",
        implied={"S89": "its objects have no fileno()", "S91": "some of its objects have no fileno()"})  # fmt: skip
class RealFilesOnly(Request):
    def iterate(self, result: Any) -> None:
        if type(result) is FileWrapper:
            result.filelike.fileno()
        super().iterate(result)


@mutant("S91", "a file is sent from its beginning")
class FromTheStart(Request):
    def iterate(self, result: Any) -> None:
        if type(result) is FileWrapper and hasattr(result.filelike, "seek"):
            result.filelike.seek(0)
        super().iterate(result)


@mutant("S92", "Content-Length is the size of the whole file",
        implied={"S91": "what begins later is shorter than its Content-Length"})  # fmt: skip
class WholeSize(Request):
    def iterate(self, result: Any) -> None:
        if type(result) is FileWrapper and hasattr(result.filelike, "seek") and not self.has("Content-Length"):
            here = result.filelike.tell()
            self.length = result.filelike.seek(0, 2)
            result.filelike.seek(here)
        super().iterate(result)


@mutant("S93", "an object of a derived type goes the fast way")
class AnyInstance(Request):
    def iterate(self, result: Any) -> None:
        super().iterate(FileWrapper(result.filelike) if isinstance(result, FileWrapper) else result)
