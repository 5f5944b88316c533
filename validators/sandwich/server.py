"""The scripted server above a middleware: legal, strict, and it notes every event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wsgikit.validators.app.driver import RAISED, Conversation, StartedTwice, Wrapper
from wsgikit.validators.app.request import Request
from wsgikit.validators.sandwich import trace as at
from wsgikit.validators.sandwich.script import Script, ScriptedApp
from wsgikit.validators.sandwich.trace import Trace

# A middleware that never stops giving is stopped.
_MOST_BLOCKS = 10_000


class Refusal(Exception):
    """What the scripted server's start_response raises when it is told to."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the server does: how many blocks it takes before close(), whether start_response refuses, what it spoils."""

    take: int | None = None
    refuses: bool = False
    spoils: bool = False


@dataclass
class Run:
    """One request through a middleware, with all that was noted.

    `raised` is what came out of the middleware, `given_environ` the dict the server gave, `before` a copy of it, `size`
    the len() of what it returned.
    """

    script: Script
    request: Request
    behaviour: Behaviour
    trace: Trace
    app: ScriptedApp
    raised: BaseException | None = None
    result: Any = None
    given_environ: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    status: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    middleware: Any = None
    size: int | None = None

    @property
    def body(self) -> bytes:
        """What reached the server."""
        return self.trace.body()

    @property
    def reached(self) -> bool:
        """Whether the middleware called the app at all."""
        return self.trace.count(at.IN_CALL) > 0

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def case(self) -> str:
        """Script and behaviour, for people."""
        words = [f"{self.request.label}, app {self.script.name!r}"]
        if self.behaviour.take is not None:
            words.append(f"closed after {self.behaviour.take} blocks")
        if self.behaviour.refuses:
            words.append("start_response of the server raises")
        return ", ".join(words)


class ScriptedServer:
    """Runs one request."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.trace = run.trace
        self._sent = False
        self._started = False
        self._list: Any = None

    def serve(self, middleware: Callable[..., Any]) -> None:
        """Call, iterate, close, as the behaviour says. What the middleware raises is kept in the run."""
        run = self.run
        environ = Conversation(run.request).environ() | {"wsgi.file_wrapper": Wrapper}
        run.given_environ, run.before, run.middleware = environ, dict(environ), middleware
        self.trace.add(at.CALL)
        try:
            run.result = middleware(environ, self.start_response)
            self.trace.add(at.RETURN)
            run.size = _size(run.result)
        except RAISED as error:
            self._raised(error)
            return
        try:
            self._iterate(run.result)
        except RAISED as error:
            self._raised(error)
        self._close(run.result)

    def _iterate(self, result: Any) -> None:
        take = self.run.behaviour.take
        if take == 0:
            return
        iterator = iter(result)
        for number in range(1, _MOST_BLOCKS):
            self.trace.add(at.ASK)
            try:
                block = next(iterator)
            except StopIteration:
                self.trace.add(at.END)
                return
            self.trace.add(at.GIVE, block)
            self._sent = self._sent or bool(block)
            if take is not None and number >= take:
                return

    def _close(self, result: Any) -> None:
        self.trace.add(at.CLOSE)
        try:
            if hasattr(result, "close"):
                result.close()
        except RAISED as error:
            self._raised(error)
        if self.run.behaviour.spoils and isinstance(self._list, list):
            self._list[:] = [("X-Spoiled", "by the server")]

    def _raised(self, error: BaseException) -> None:
        self.trace.add(at.RAISE, type(error).__name__)
        if self.run.raised is None:
            self.run.raised = error

    def start_response(self, status: Any, headers: Any, exc_info: Any = None) -> Any:
        """The server's start_response."""
        self.trace.add(at.START, (status, exc_info is not None))
        if self.run.behaviour.refuses:
            raise Refusal("the scripted server refuses this response")
        if exc_info:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._started:
            raise StartedTwice("start_response was called a second time without exc_info")
        self._started = True
        self._list = headers
        self.run.status = status
        self.run.headers = tuple((str(name), str(value)) for name, value in headers)
        return self.write

    def write(self, data: bytes) -> None:
        """The server's write()."""
        self.trace.add(at.WRITE, data)
        self._sent = self._sent or bool(data)


def _size(result: Any) -> int | None:
    """len() before the first block, where it works: that is when servers ask."""
    try:
        return len(result)
    except Exception:
        return None


def play(factory: Callable[..., Any], script: Script, request: Request, behaviour: Behaviour | None = None) -> Run:
    """Make the middleware around a scripted app and run one request through it."""
    trace = Trace()
    app = ScriptedApp(script, trace)
    run = Run(script, request, behaviour or Behaviour(), trace, app)
    ScriptedServer(run).serve(factory(app))
    return run
