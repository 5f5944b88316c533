"""The half of the tiny server that knows WSGI: one request, its environ, its response. See `tiny_server`.

Every method of `Request` is a place where a mutant may go wrong.
"""

from __future__ import annotations

import io
import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from wsgikit.errors import Disconnected
from wsgikit.wire.http11 import Head

if TYPE_CHECKING:
    from tiny_server import Connection

HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
STATUS = re.compile(r"[1-9][0-9]{2} [^\x00-\x1f\x7f]*")
NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


class Errors:
    """wsgi.errors: takes any text and forgets it."""

    def write(self, text: str) -> None:
        text.encode("utf-8", "backslashreplace")

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass


class FileWrapper:
    """wsgi.file_wrapper: iterates; has a close() when the file has one."""

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block = self.filelike.read(self.block_size)
        if not block:
            raise StopIteration
        return bytes(block)


class Request:
    """One request and its response."""

    input_type: Any = io.BytesIO
    errors_type: Any = Errors
    wrapper_type: Any = FileWrapper

    def __init__(self, connection: Connection, head: Head, body: bytes) -> None:
        self.connection = connection
        self.head, self.body = head, body
        self.status, self.headers = "", [("", "")][:0]
        self.started = self.head_sent = self.wrote = self.over = False
        self.keep = head.keep_alive
        self.length: int | None = None
        self.framing = ""
        self.sent = 0

    # What the app is given

    def environ(self) -> dict[str, Any]:
        host, port = self.connection.server.address
        return {**self.request_variables(), **self.header_variables(), "SERVER_NAME": host, "SERVER_PORT": str(port),
                "SERVER_SOFTWARE": "tiny", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0),
                "wsgi.url_scheme": "https" if self.connection.tls else "http", "wsgi.input": self.input_type(self.body),
                "wsgi.errors": self.errors_type(), "wsgi.multithread": True, "wsgi.multiprocess": False,
                "wsgi.run_once": False, "wsgi.file_wrapper": self.wrapper_type,
                **({"HTTPS": "on", "SSL_PROTOCOL": "TLS"} if self.connection.tls else {})}  # fmt: skip

    def request_variables(self) -> dict[str, Any]:
        head = self.head
        return {"REQUEST_METHOD": head.method, "SCRIPT_NAME": "", "PATH_INFO": self.path(), "QUERY_STRING":
                head.query.decode("latin-1"), "SERVER_PROTOCOL": f"HTTP/1.{head.minor}"}  # fmt: skip

    def path(self) -> str:
        return unquote_to_bytes(self.head.path).decode("latin-1")

    def header_variables(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for raw, value in self.head.fields:
            name = raw.decode("latin-1").upper()
            if self.wanted(name):
                key = "HTTP_" + name.replace("-", "_")
                found[key] = self.joined(key, found[key], self.text(value)) if key in found else self.text(value)
        if self.head.host is not None:
            found["HTTP_HOST"] = self.head.host.decode("latin-1")
        found.pop("HTTP_CONTENT_LENGTH", None)
        if "HTTP_CONTENT_TYPE" in found:
            found["CONTENT_TYPE"] = found.pop("HTTP_CONTENT_TYPE")
        if self.head.content_length is not None or self.head.chunked:
            found["CONTENT_LENGTH"] = str(len(self.body))
        return found

    def wanted(self, name: str) -> bool:
        return "_" not in name and name not in ("PROXY", "TRANSFER-ENCODING")

    def text(self, value: bytes) -> str:
        return value.decode("latin-1")

    def joined(self, key: str, first: str, second: str) -> str:
        return f"{first}; {second}" if key == "HTTP_COOKIE" else f"{first}, {second}"

    # What the app calls

    def start_response(self, status: Any, headers: Any, exc_info: Any = None, /) -> Any:
        if exc_info:
            try:
                if self.head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.started:
            raise AssertionError("start_response was called before")
        self.started = True
        self.check(status, headers)
        self.check_hop_by_hop(headers)
        self.status, self.headers = status, list(headers)
        return self.write

    def check(self, status: Any, headers: Any) -> None:
        good = type(status) is str and STATUS.fullmatch(status) and self.narrow(status) and type(headers) is list
        if not good:
            raise ValueError(f"wrong status {status!r} or headers")
        for item in headers:
            if type(item) is not tuple or len(item) != 2 or any(type(part) is not str for part in item):
                raise TypeError(f"no pair of str: {item!r}")
            if not (NAME.fullmatch(item[0]) and VALUE.fullmatch(item[1]) and self.narrow(item[1])):
                raise ValueError(f"wrong header {item!r}")

    def narrow(self, text: str) -> bool:
        return all(ord(letter) < 256 for letter in text)

    def check_hop_by_hop(self, headers: list[tuple[str, str]]) -> None:
        for name, _ in headers:
            if name.lower() in HOP_BY_HOP:
                raise ValueError(f"{name} is the server's")

    def write(self, data: bytes) -> None:
        self.wrote = True
        if self.length_reached(len(data)):
            raise ValueError("write() beyond Content-Length")
        self.send_block(data)

    def length_reached(self, more: int) -> bool:
        length = self.declared()
        return length is not None and self.sent + more > length

    # The course of a request

    def run(self, app: Any) -> bool:
        """Whether the connection may take another request."""
        result: Any = None
        try:
            result = self.call(app)
            self.iterate(result)
            self.finish()
        except Disconnected:
            self.keep = False
        except Exception:
            self.fail()
        finally:
            self.close(result)
        return self.keep

    def call(self, app: Any) -> Any:
        return app(self.environ(), self.start_response)

    def iterate(self, result: Any) -> None:
        for block in result:
            self.take(block, result)
            if self.declared() is not None and self.sent >= (self.declared() or 0):
                self.over = True
            if self.over:
                break

    def take(self, block: Any, result: Any) -> None:
        if type(block) is not bytes:
            raise TypeError("a block is not bytes")
        if (
            type(result) is list
            and len(result) == 1
            and not self.wrote
            and self.started
            and not self.has("Content-Length")
        ):
            self.length = len(block)
        if block:
            self.send_block(block)

    def finish(self) -> None:
        if not self.started:
            raise AssertionError("start_response was never called")
        if not self.head_sent:
            self.length = 0 if not self.has("Content-Length") else None
            self.send_head()
        if self.framing == "chunked":
            self.send(b"0\r\n\r\n")
        if self.framing == "length" and self.sent < (self.declared() or 0):
            self.keep = False

    def fail(self) -> None:
        self.keep = False
        if self.head_sent:
            self.connection.broken = True
            return
        self.status, self.headers = "500 Internal Server Error", [("Content-Type", "text/plain")]
        self.length = 0
        self.send_head()

    def close(self, result: Any) -> None:
        if hasattr(result, "close"):
            try:
                result.close()
            except Exception:
                pass  # the response is out; a real server logs it

    # The wire

    def has(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self.headers)

    def declared(self) -> int | None:
        """Content-Length, the app's or ours."""
        return next((int(value) for key, value in self.headers if key.lower() == "content-length"), self.length)

    def bodiless(self) -> bool:
        return self.head.method == "HEAD" or self.status[:3] in ("204", "205", "304")

    def send_block(self, block: bytes) -> None:
        if not self.started:
            raise AssertionError("a block before start_response")
        if not self.head_sent:
            self.send_head()
        length = self.declared()
        if length is not None:
            block = self.cut(block, length)
        self.sent += len(block)
        if block and not self.bodiless():
            self.send(b"%x\r\n%b\r\n" % (len(block), block) if self.framing == "chunked" else block)

    def cut(self, block: bytes, length: int) -> bytes:
        return block[: length - self.sent]

    def send_head(self) -> None:
        self.head_sent = True
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.response_headers())]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def response_headers(self) -> list[tuple[str, str]]:
        headers = [pair for pair in self.headers if not (pair[0].lower() == "content-length" and self.no_length())]
        for name, value in (("Date", formatdate(usegmt=True)), ("Server", "tiny")):
            if not self.has(name):
                headers.append((name, value))
        headers += self.framing_headers()
        if not self.keep:
            headers.append(("Connection", "close"))
        elif self.head.minor == 0:
            headers.append(("Connection", "keep-alive"))
        return headers

    def no_length(self) -> bool:
        return self.status[:3] in ("204", "205")

    def framing_headers(self) -> list[tuple[str, str]]:
        if self.bodiless():
            self.framing = "none"
            return [("Content-Length", "0")] if self.status.startswith("205") else []
        if self.declared() is not None:
            self.framing = "length"
            return [] if self.has("Content-Length") else [("Content-Length", str(self.length))]
        if self.head.minor == 1:
            self.framing = "chunked"
            return [("Transfer-Encoding", "chunked")]
        self.framing, self.keep = "close", False
        return []

    def send(self, data: bytes) -> None:
        self.connection.send(data)
