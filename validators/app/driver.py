"""The in-process server: strict, legal, and as unhelpful as PEP 3333 allows.

Owns one conversation with an app, from the call to close(), and the `Answer` that came of it. It judges nothing; the
lint around the app and the scenarios do.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wsgikit.validators.app.request import Request, Streams, full_environ, minimal_environ
from wsgikit.validators.app.streams import BodyInput, ErrorLog

# Of a body, this much is kept and this much is read before the conversation is closed early.
KEPT = 1024 * 1024
MOST = 16 * 1024 * 1024
# What an app may raise and a server has to survive: sys.exit() in an app is a mistake, not the end of the check.
RAISED = (Exception, SystemExit)


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How the server behaves. All of it is legal.

    `take`: how many blocks to take before close(), None for all. `start`: which kind of callable start_response and
    write are. `environ`: "full" or "minimal". `extra`: more environ. `input_fails_at`, `errors_fail`: faults.
    `spoil_headers`: empty the app's header list after use. `file_wrapper`: offer one. `rich_streams`: the streams can
    do more than they must (seek, tell, close). `chunked`: the body came without a length.
    """

    take: int | None = None
    start: str = "function"
    environ: str = "full"
    extra: dict[str, Any] = field(default_factory=dict)
    input_fails_at: int = 0
    errors_fail: bool = False
    spoil_headers: bool = False
    file_wrapper: bool = False
    rich_streams: bool = False
    chunked: bool = False


PLAIN = Conduct()


@dataclass
class Answer:
    """What came of one conversation. `raised` is what the app raised, in `phase` "call", "iterate" or "close"."""

    status: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    digest: str = ""
    size: int = 0
    blocks: int = 0
    raised: BaseException | None = None
    phase: str = ""
    looked_at: tuple[str, ...] = ()
    cut: bool = False
    wrapped: bool = False
    faults: bool = False
    log: str = ""

    @property
    def crashed(self) -> bool:
        """Whether the app raised instead of answering."""
        return self.raised is not None

    def header(self, name: str) -> str:
        """The first header of this name, "" when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")


class StartedTwice(Exception):
    """What start_response raises when an app calls it again without exc_info."""


class Wrapper:
    """The in-process server's file_wrapper."""

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:
        self.filelike = filelike
        self._block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Any:
        return iter(lambda: self.filelike.read(self._block_size), b"")


class Conversation:
    """One request through one app."""

    def __init__(self, request: Request, conduct: Conduct = PLAIN) -> None:
        self.request = request
        self.conduct = conduct
        self.answer = Answer()
        self.streams = Streams(
            input=BodyInput(request.body, conduct.input_fails_at), errors=ErrorLog(conduct.errors_fail)
        )
        self._head: tuple[Any, Any] | None = None
        self._sent = False
        self._parts: list[bytes] = []
        self._digest = hashlib.sha256()
        self._looked_at: list[str] = []
        self._result: Any = None

    def run(self, app: Callable[..., Any]) -> Answer:
        """Call, iterate, close."""
        self.call(app)
        return self.finish()

    def call(self, app: Callable[..., Any]) -> None:
        """Call the app and keep its iterable for `finish`."""
        try:
            self._result = app(self.environ(), self._start_response())
        except RAISED as error:
            self._raised(error, "call")

    def environ(self) -> dict[str, Any]:
        """A fresh environ of the kind that the conduct asks for."""
        make = minimal_environ if self.conduct.environ == "minimal" else full_environ
        environ = make(self.request, self.streams) | self.conduct.extra
        if self.conduct.file_wrapper:
            environ["wsgi.file_wrapper"] = Wrapper
        if self.conduct.rich_streams:
            environ |= {"wsgi.input": io.BytesIO(self.request.body), "wsgi.errors": io.StringIO()}
        if self.conduct.chunked:
            environ.pop("CONTENT_LENGTH", None)
        return environ

    def finish(self) -> Answer:
        """Iterate and close what the app returned; give the answer."""
        answer = self.answer
        if not answer.crashed:
            answer.wrapped = isinstance(self._result, Wrapper)
            self._iterate()
            self._close()
        self._result = None
        if self._head is not None:
            status, headers = self._head
            answer.status = status if isinstance(status, str) else repr(status)
            answer.headers = tuple(_pairs(headers))
            if self.conduct.spoil_headers and isinstance(headers, list):
                headers[:] = [("X-Spoiled", "by the server")]
        answer.body = b"".join(self._parts)
        answer.digest = self._digest.hexdigest()
        answer.looked_at = tuple(self._looked_at)
        answer.faults = self.streams.input.failed or self.streams.errors.failed
        answer.log = self.streams.errors.text
        return answer

    def _iterate(self) -> None:
        take = self.conduct.take
        if take == 0:
            return
        try:
            for block in self._result:
                self.answer.blocks += 1
                self._send(block)
                if take is not None and self.answer.blocks >= take:
                    return
                if self.answer.size > MOST:
                    self.answer.cut = True
                    return
        except RAISED as error:
            self._raised(error, "iterate")

    def _close(self) -> None:
        try:
            if hasattr(self._result, "close"):
                self._result.close()
        except RAISED as error:
            if not self.answer.crashed:
                self._raised(error, "close")

    def _raised(self, error: BaseException, phase: str) -> None:
        self.answer.raised, self.answer.phase = error, phase

    def _send(self, data: Any) -> None:
        if not data or not isinstance(data, bytes):
            return
        self._sent = True
        self._digest.update(data)
        if self.answer.size < KEPT:
            self._parts.append(data[:KEPT])
        self.answer.size += len(data)

    # start_response, in every kind of callable

    def _start(self, status: Any, headers: Any, exc_info: Any = None) -> Any:
        if exc_info:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._head is not None:
            raise StartedTwice("start_response was called a second time without exc_info")
        self._head = (status, headers)
        return self._as_kind(self._send)

    def _start_response(self) -> Any:
        return self._as_kind(self._start)

    def _as_kind(self, call: Callable[..., Any]) -> Any:
        kind = self.conduct.start
        if kind == "method":
            return call
        if kind == "partial":
            return functools.partial(call)
        if kind == "object":
            return Opaque(call, self._looked_at)

        def function(*args: Any) -> Any:
            return call(*args)

        return function


KINDS = ("function", "method", "partial", "object")


class Opaque:
    """A callable that notices who looks at it instead of calling it."""

    __slots__ = ("__call", "__seen")

    def __init__(self, call: Callable[..., Any], seen: list[str]) -> None:
        object.__setattr__(self, "_Opaque__call", call)
        object.__setattr__(self, "_Opaque__seen", seen)

    def __call__(self, *args: Any) -> Any:
        return object.__getattribute__(self, "_Opaque__call")(*args)

    def __getattribute__(self, name: str) -> Any:
        # isinstance() asks for the class; that is no look inside.
        if name != "__class__":
            object.__getattribute__(self, "_Opaque__seen").append(name)
        return object.__getattribute__(self, name)


def _pairs(headers: Any) -> list[tuple[str, str]]:
    if not isinstance(headers, list | tuple):
        return []
    return [(str(item[0]), str(item[1])) for item in headers if isinstance(item, tuple) and len(item) == 2]


def ask(app: Callable[..., Any], request: Request, conduct: Conduct = PLAIN) -> Answer:
    """One conversation from beginning to end."""
    return Conversation(request, conduct).run(app)
