"""The lint itself: a middleware that watches one app and the server that calls it.

Owns the way of a request through the wrappers and the list of responses that are still open. The rules are elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from wsgikit.validators.lint.body import linted_body
from wsgikit.validators.lint.environ import check_environ
from wsgikit.validators.lint.exchange import Exchange
from wsgikit.validators.lint.notes import Note, shown
from wsgikit.validators.lint.recorder import LintError, LintSettings, Recorder
from wsgikit.validators.lint.streams import ErrorStream, InputStream
from wsgikit.validators.lint.wrapper import FileWrapper
from wsgikit.validators.report.model import Finding, Report

# A response that ended and is not closed while its thread begins this many others will not be closed any more.
# Two, because error pages are often made by calling the app again before the first answer is closed.
_LATER = 2


class Lint:
    """Wrap `app` and watch both sides of every request.

    `on_violation`: "record" keeps findings; "warn" also warns (`LintWarning`), "log" also logs to "wsgikit.lint",
    "raise" also raises `LintError`, an AssertionError, when a must is broken. `profile` is the largest profile whose
    rules are judged, `roles` whose duties: "app", "server", or both. At most `keep` findings are kept, and as many
    responses that are not closed yet are remembered. `layer` is a name that findings carry.

    The wrapper is transparent: environ stays the same dict, len() of the response works as before, what came out of
    wsgi.file_wrapper is returned as it is. It adds a close() to responses that have none.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        on_violation: str = "record",
        *,
        profile: str = "http",
        roles: tuple[str, ...] = ("app", "server"),
        keep: int = 1000,
        layer: str = "",
    ) -> None:
        settings = LintSettings(on_violation=on_violation, profile=profile, roles=roles, keep=keep, layer=layer)
        self.app = app
        self.recorder = Recorder(settings)
        self._open: dict[Exchange, int] = {}
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run one request of the wrapped app."""
        if len(args) != 2 or not hasattr(args[0], "get"):
            return self._odd_call(args, options)
        environ, start_response = args
        exchange = Exchange(self.recorder, self.app, dict(environ), start_response)
        self._age()
        notes = list(check_environ(environ))
        if options:
            notes.append(Note("S03", f"the server calls the app with the keyword {', '.join(options)}"))
        exchange.judge(notes)
        return self._run(exchange, environ, options)

    def _run(self, exchange: Exchange, environ: Any, options: dict[str, Any]) -> Any:
        streams = _watch(exchange, environ)
        restore = partial(_restore, environ, streams, exchange.environ)
        try:
            result = self.app(environ, exchange.start_response, **options)
        except BaseException:
            exchange.unsettle()
            restore()
            raise
        exchange.returned = True
        try:
            return self._returned(exchange, result, streams.get("wsgi.file_wrapper"), restore)
        except LintError:
            restore()
            if hasattr(result, "close"):
                result.close()
            raise

    def _returned(self, exchange: Exchange, result: Any, wrapper: Any, restore: Callable[[], None]) -> Any:
        exchange.settle()
        if wrapper is not None and wrapper.made(result):
            restore()
            exchange.judge_app(_never_started(exchange))
            return result
        return self._response(exchange, result, restore)

    def _response(self, exchange: Exchange, result: Any, restore: Callable[[], None]) -> Any:
        kind = type(result)
        if not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
            restore()
            exchange.judge_app([Note("A26", f"the app returned {shown(result)}, which is not iterable")])
            return result
        if isinstance(result, str | bytes):
            exchange.text = True
            exchange.judge_app([Note("A28", f"the app returned {shown(result)}, a {kind.__name__}, as its iterable")])
        with self._lock:
            self._open[exchange] = threading.get_ident()
            if len(self._open) > self.recorder.settings.keep:
                del self._open[next(iter(self._open))]

        def done(exchange: Exchange) -> None:
            with self._lock:
                self._open.pop(exchange, None)
            restore()

        return linted_body(exchange, result, done)

    def _odd_call(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """A call that is not `app(environ, start_response)`; judged as far as it goes, and handed on."""
        environ = args[0] if args and hasattr(args[0], "get") else options.get("environ", {})
        facts = dict(environ) if isinstance(environ, dict) else {}
        exchange = Exchange(self.recorder, self.app, facts, lambda *_: None)
        if args and not hasattr(args[0], "get"):
            exchange.judge(check_environ(args[0]))
        else:
            names = ", ".join(options) or "none"
            exchange.judge([Note("S03", f"the server calls the app with {len(args)} arguments and keywords: {names}")])
        return self.app(*args, **options)

    def _age(self) -> None:
        """Find responses of this thread that ended, were never closed, and never will be."""
        thread = threading.get_ident()
        with self._lock:
            ended = [one for one, owner in self._open.items() if owner == thread and (one.exhausted or one.failed)]
            for one in ended:
                one.later_starts += 1
            given_up = [one for one in ended if one.later_starts > _LATER]
            for one in given_up:
                del self._open[one]
        for one in given_up:
            one.judge(one.outcome())

    def finish(self) -> None:
        """Say that every request is over: what is still open now was not closed by the server (S13, S14)."""
        with self._lock:
            left = list(self._open)
            self._open.clear()
        for one in left:
            one.judge(one.outcome())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far, the oldest first."""
        return self.recorder.findings

    def clear(self) -> None:
        """Forget all findings, and the requests that are still open."""
        with self._lock:
            self._open.clear()
        self.recorder.clear()

    def report(self, target: str = "") -> Report:
        """The findings so far as a report."""
        dropped = self.recorder.dropped
        return Report(
            kind="lint",
            target=target or getattr(self.app, "__name__", type(self.app).__name__),
            profile=self.recorder.settings.profile,
            findings=self.findings,
            notes=(f"{dropped} more findings were counted and not kept",) if dropped else (),
        )


def validator(application: Callable[..., Any]) -> Lint:
    """A drop-in for `wsgiref.validate.validator`: raises `LintError`, an AssertionError, when a must is broken."""
    return Lint(application, "raise")


def _watch(exchange: Exchange, environ: Any) -> dict[str, Any]:
    """Put the watching objects into environ. It stays the server's own dict: middleware and servers count on that."""
    watchers = {"wsgi.input": InputStream, "wsgi.errors": ErrorStream, "wsgi.file_wrapper": FileWrapper}
    streams = {key: kind(exchange, environ[key]) for key, kind in watchers.items() if key in environ}
    try:
        environ.update(streams)
    except (AttributeError, TypeError):
        return {}  # not a dict, and reported as such (S04)
    return streams


def _restore(environ: Any, streams: dict[str, Any], originals: dict[Any, Any]) -> None:
    """Take the watching objects out again, unless somebody has replaced them meanwhile."""
    for key, stream in streams.items():
        if environ.get(key) is stream:
            environ[key] = originals[key]


def _never_started(exchange: Exchange) -> list[Note]:
    """A file wrapper cannot call start_response any more."""
    return [] if exchange.calls else [Note("A25", "a file wrapper was returned, and start_response was never called")]
