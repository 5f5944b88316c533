"""`wrap()`: the one primitive every middleware stands on.

Owns what PEP 3333 asks of something that is an app to its server and a server to its app: a start_response that may
be called late, again with exc_info, or never; write(); one block out for each in; close() exactly once on what the
app returned; Content-Length kept true; a file_wrapper result passed on by identity. Must not know any middleware.

    from wsgikit.wsgi.wrap import Blocks, wrap

    class Shout:
        def __init__(self, app):
            self.app = app

        def __call__(self, environ, start_response):
            return wrap(self.app, environ, start_response, on_headers=self.headers, on_body=self.body)

        def headers(self, response):                  # any time before the headers go out
            response.set("X-Shout", "1")

        def body(self, response):                     # choose what becomes of the body, or None: leave it alone
            if response.may_rewrite and response.media_type == "text/plain":
                return Blocks(bytes.upper)

The four hooks, all optional:

`on_headers(response)`  the app has called start_response: change `response.status` and `response.headers` in place.
    Runs again on a fresh copy when the app changes its mind with exc_info.
`on_body(response)`     after on_headers, on any response that has a body: return a `Transform` or None. A transform
    that changes the body drops Content-Length and digests and weakens the ETag; Content-Length is computed anew
    where the whole body is known before the headers must go: the app returned a list or tuple, or the first block
    has the length it declared (Flask, Django). Else the transform's first block, also a b"", sends the head. Not
    asked for 1xx, 204 and 304. For HEAD it is asked, so that headers match GET, but the transform is not run. What is
    past the app's Content-Length does not come in; a body that ends before it raises ValueError, as it must not look
    whole in its new form.
`on_error(response)`    the app failed, in its call or while iterating, and nothing has been sent yet: call
    `response.restart(...)` and return the body to send, or `raise`. Called inside the except block.
`on_close(response)`    after the app's iterable was closed (or the app's call failed): the request is over. The place
    for timing, logging, releasing. Uses the server's `wsgikit.on_close` where it is offered, so that a file_wrapper
    result keeps its identity; elsewhere a thin iterable with a close().

Without on_body and on_error the app's iterable is returned as it is: such a layer costs about a microsecond.
A middleware never changes `environ`: it passes `{**environ, "key": value}` on.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from wsgikit.wsgi.wrap_body import TransformedBody, close_after
from wsgikit.wsgi.wrap_head import ResponseHead
from wsgikit.wsgi.wrap_transform import Blocks, Collect, Discard, Replace, Tap, Transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    Headers: TypeAlias = list[tuple[str, str]]
    Edit: TypeAlias = Callable[["Response"], object] | None
    Choose: TypeAlias = Callable[["Response"], Transform | None] | None
    Rescue: TypeAlias = Callable[["Response"], bytes] | None
    Hooks: TypeAlias = tuple[Edit, Choose, Rescue, Edit]

__all__ = ["Blocks", "Collect", "Discard", "Replace", "Response", "Tap", "Transform", "wrap"]


class _Ended(Transform):
    """Stands in for a transform that has given its end."""

    done = True


_ENDED = _Ended()


class Response(ResponseHead):
    """One response on its way through one layer. Hooks get it; it lives until the request is over.

    `environ` as the app got it; `status` and `headers`, the layer's own; `state`, a place for whatever a middleware
    keeps from hook to hook; `sent`: a non-empty block has gone out, so nothing can be changed any more (known only
    with on_body or on_error); `failed`: the app raised; `complete`: the app is not iterated any further.
    """

    # Defaults of the class, not of the instance: most responses never change them, and a layer has to be cheap.
    status = ""
    # before start_response; a tuple, so that nobody adds to the fields of a response that has not begun
    headers: Headers = ()  # type: ignore[assignment]
    state: Any = None
    sent = failed = complete = False
    _started = False
    # the head is ready, but the server has not got it: the transform may yet tell a Content-Length
    _pending = False
    # the server has got a head
    _given = False
    # the app's iterable was returned as it is: whatever comes now, its body cannot be transformed any more
    _detached = False
    _transform: Transform | None = None
    _declared: int | None = None
    _owed: int | None = None
    _seen = 0

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse, hooks: Hooks) -> None:
        self.environ = environ
        self._server_start = start_response
        self._hooks = hooks

    # What the app calls ------------------------------------------------------------------------------------------

    def start(self, status: str, headers: Headers, exc_info: Any = None, /) -> Callable[[bytes], object]:
        """The start_response the app is called with (PEP 3333, "The start_response() Callable")."""
        if exc_info is not None:
            try:
                return self._start_again(status, headers, exc_info)
            finally:
                # PEP 3333, "Error Handling": a reference kept in this frame makes a cycle through the traceback
                del exc_info
        if self._started:
            raise RuntimeError("start_response() called a second time without exc_info")
        self._started = True
        self.status = status
        # a copy: the app may use its list again, and the server may change the one it gets
        self.headers = list(headers)
        on_headers, on_body, on_error, _ = self._hooks
        if on_headers is not None:
            on_headers(self)
        if on_body is None and on_error is None:
            return self._server_start(self.status, self.headers)
        if not self._choose():
            self._given = True
            self._server_write = self._server_start(self.status, self.headers)
        return self._write

    def _start_again(self, status: str, headers: Headers, exc_info: Any) -> Callable[[bytes], object]:
        try:
            self._started = True
            if self.sent:
                self._server_start(status, headers, exc_info)
                # a server that lets this pass would append the error page to the page that failed
                raise exc_info[1].with_traceback(exc_info[2])
            self.status = status
            self.headers = list(headers)
            if self._hooks[0] is not None:
                self._hooks[0](self)
            if not self._detached:
                self._choose()
            self._replace_head(exc_info)
        finally:
            del exc_info
        return self._write

    def _write(self, data: bytes, /) -> None:
        out = self._feed(data) if data else data
        if self._pending:
            if not out:
                return
            self._commit(len(out))
        if out or self._transform is None or self._transform.keeps_length:
            # also for b"": a call of write() makes the server send the head
            self.sent = True
            self._server_write(out)

    # What hooks and transforms call ------------------------------------------------------------------------------

    def restart(self, status: str, headers: Headers, exc_info: Any = None) -> None:
        """Begin another response instead of this one; no hook is asked about it.

        Legal until a non-empty block has gone out; after that the server raises, and so must you. `exc_info` defaults
        to `sys.exc_info()`, so call it in an except block. What the app still sends is thrown away.
        """
        exc_info = exc_info or sys.exc_info()
        try:
            self._started, self._transform = True, _ENDED
            self.status, self.headers = status, headers
            self._replace_head(exc_info)
        finally:
            del exc_info

    def _replace_head(self, exc_info: Any) -> None:
        # uWSGI 2.0.31 drops the body of every response begun with exc_info (unbit/uwsgi#2278)
        needless = "uwsgi.version" in self.environ and not self._given
        self._pending, self._given = False, True
        try:
            self._server_write = self._server_start(self.status, self.headers, *([] if needless else [exc_info]))
        finally:
            del exc_info

    def _choose(self) -> bool:
        """Ask on_body. True: the head has to wait for what the transform makes of the body."""
        self._transform, self._declared, self._owed, self._seen, self._pending = None, None, None, 0, False
        on_body = self._hooks[1]
        transform = on_body(self) if on_body is not None and self.has_body else None
        if transform is None:
            return False
        self._declared = self.content_length
        # the body is made of the app's, and the server cannot hold the app to its length any more
        self._owed = None if transform.keeps_length or transform.length is not None else self._declared
        if not transform.keeps_length:
            self.body_changes()
            if transform.length is not None and self.has_body:
                self.set("Content-Length", str(transform.length))
        if self.environ.get("REQUEST_METHOD") == "HEAD" and not transform.done:
            return False
        self._transform = transform
        self._pending = transform.wants_head or not (transform.keeps_length or transform.length is not None)
        return self._pending

    def _commit(self, length: int) -> None:
        """Give the head to the server; `length` is the Content-Length if the transform is through."""
        self._pending, self._given = False, True
        if self.has_body and self._transform is not None and self._transform.done:
            self.set("Content-Length", str(length))
        self._server_write = self._server_start(self.status, self.headers)

    # What the body calls -----------------------------------------------------------------------------------------

    def pass_block(self, block: bytes) -> bytes:
        """What goes out for one block from the app's iterable."""
        out = self._feed(block) if block else block
        if self._pending:
            self._commit(len(out))
        if out:
            self.sent = True
        return out

    def _feed(self, block: bytes) -> bytes:
        transform = self._transform
        if transform is None:
            return block
        if transform.done:
            self.complete = True
            return b""
        block = self._within(block)
        if not block:
            return b""
        if self._pending and self._seen == 0 and len(block) == self._declared:
            # The whole body in one block, as Flask and Django send it: Content-Length can be told after all.
            return self._whole(transform, block)
        self._seen += len(block)
        out = transform.feed(block)
        self.complete = self.complete or transform.done
        return out

    def _within(self, block: bytes) -> bytes:
        """The block without what is past the app's Content-Length: its server would not have sent that."""
        return block if self._owed is None else block[: self._owed - self._seen]

    def _cut_off(self, seen: int) -> None:
        """A body that ends early must not become a whole one, which is what it would be in another coding."""
        if self._owed is not None and seen < self._owed:
            raise ValueError(f"the app's body ended after {seen} bytes of its Content-Length {self._owed}")

    def _whole(self, transform: Transform, body: bytes) -> bytes:
        self._seen += len(body)
        out = transform.whole(body)
        self._transform = _ENDED
        return out

    def end_body(self, before: int = 0) -> bytes:
        """What goes out when the app's iterable is exhausted; `before`: bytes that go out with it."""
        self.complete = True
        transform = self._transform
        if transform is None or transform.done:
            tail = b""
        else:
            self._cut_off(self._seen)
            tail = transform.end()
        if self._pending:
            self._transform = _ENDED
            self._commit(before + len(tail))
        if tail:
            self.sent = True
        return tail

    def pass_all(self, blocks: list[bytes] | tuple[bytes, ...]) -> list[bytes]:
        """A body that is wholly there: as many blocks out as in (at least), and a true Content-Length."""
        transform = self._transform
        if transform is not None and self._pending and self._seen == 0:
            body = self._within(b"".join(blocks))
            self._cut_off(len(body))
            out = self._whole(transform, body)
            if self._pending:
                self._commit(len(out))
            return [*(b"" for _ in blocks[1:]), out]
        out_blocks = [self._feed(block) if block else block for block in blocks]
        tail = self.end_body(sum(map(len, out_blocks)))
        return [*out_blocks, tail] if tail else out_blocks

    def rescue(self) -> bytes:
        """Inside an except block: the body of another response if on_error makes one, else the exception again."""
        self.failed = True
        on_error = self._hooks[2]
        if on_error is None or self.sent:
            raise
        page = on_error(self)
        self.complete = True
        self._transform = None
        if page:
            self.sent = True
        return page

    def closed(self) -> None:
        """Runs on_close, once."""
        on_close = self._hooks[3]
        self._hooks = (None, None, None, None)
        if on_close is not None:
            on_close(self)

    def deliver(self, iterable: Iterable[bytes]) -> Iterable[bytes]:
        """What to return to the server for what the app returned."""
        # not isinstance: a subclass may do anything when it is iterated
        whole = type(iterable) is list or type(iterable) is tuple
        if self._transform is not None and isinstance(iterable, (list, tuple)) and whole:
            return self._close_later(self.pass_all(iterable))
        _, on_body, on_error, _ = self._hooks
        undecided = not self._started and (on_body is not None or on_error is not None)
        may_fail = on_error is not None and not whole and not self._is_file(iterable)
        if self._transform is not None or undecided or may_fail:
            return TransformedBody(iterable, self)
        self._detached = True
        return self._close_later(iterable)

    def _is_file(self, iterable: Iterable[bytes]) -> bool:
        wrapper = self.environ.get("wsgi.file_wrapper")
        return isinstance(wrapper, type) and issubclass(type(iterable), wrapper)

    def _close_later(self, iterable: Iterable[bytes]) -> Iterable[bytes]:
        if self._hooks[3] is None:
            return iterable
        register = self.environ.get("wsgikit.on_close")
        if register is None:
            return close_after(iterable, self.closed)
        register(self.closed)
        return iterable


@cache
def _exchange() -> type:
    """Our server's side of a response. Other servers do not need it."""
    from wsgikit.wsgi.exchange import Exchange

    return Exchange


def may_start_late(start_response: StartResponse | None) -> bool:
    """Whether an app may give empty blocks before it calls start_response: nobody but our own layers, which go by what
    they are told and not by when, stands between it and a wsgikit server.

    PEP 3333 lets every other layer expect the call before the first block, even if that is empty.
    """
    exchange = _exchange()
    while start_response is not None:
        owner = getattr(start_response, "__self__", None)
        if isinstance(owner, exchange):
            return True
        ours = type(owner).__module__.startswith("wsgikit.")
        start_response = getattr(owner, "_server_start", None) if ours else None
    return False


def wrap(
    app: WSGIApplication,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    *,
    on_headers: Edit = None,
    on_body: Choose = None,
    on_error: Rescue = None,
    on_close: Edit = None,
) -> Iterable[bytes]:
    """Call `app` for one request with hooks around its response; returns what the middleware has to return.

    Every obligation of PEP 3333 towards both sides is kept (see the top of this module); exceptions of the app pass
    through unless `on_error` answers for them.
    """
    response = Response(environ, start_response, (on_headers, on_body, on_error, on_close))
    if on_body is None and on_error is None and on_close is None:
        return app(environ, response.start)
    try:
        try:
            iterable = app(environ, response.start)
        except Exception:
            return response.deliver([response.rescue()])
        return response.deliver(iterable)
    except BaseException:
        response.failed = True
        response.closed()
        raise
