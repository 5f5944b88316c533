"""Call the app, iterate and close what it returns, and turn its faults into answers.

Owns the order of PEP 3333's server side: call, iterate, finish, close() once on the object the app returned. The
response never leaves the thread it runs in. It must not know how a connection goes on afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import WSGIApplication

from wsgikit.errors import Disconnected, PeerTimeout, ProtocolError
from wsgikit.wsgi.exchange import Exchange, Guard
from wsgikit.wsgi.file_wrapper import FileWrapper

log = logging.getLogger("wsgikit.error")


class RequestTimeout(BaseException):
    """Raised inside an app whose request is past its deadline. No Exception, so that `except Exception` lets it by."""


def respond(app: WSGIApplication, environ: dict[str, Any], exchange: Exchange, name: Callable[[], str]) -> None:
    """Run one request to its end. App errors are logged and answered; only KeyboardInterrupt comes out.

    `name` gives the request line for the log.
    """
    result: Any = None
    guard = exchange.guard
    try:
        if guard is None:
            result = app(environ, exchange.start_response)
        else:
            guard.enter(exchange)
            try:
                # A for loop stores what the app returned before an interruption can come between: a C callable's
                # result would be lost, and with it its close(), by a plain assignment.
                for result in map(app, (environ,), (exchange.start_response,)):  # noqa: B007
                    break
            finally:
                guard.leave()
        _send(result, exchange)
    except KeyboardInterrupt:
        _give_up(exchange)
        raise
    except BaseException as error:
        if guard is not None:
            guard.leave()  # again: the interruption may have struck inside leave()
        _fail(error, exchange, name)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            _run_closer(close, exchange, name)
        if exchange.closers is not None:
            for callback in exchange.closers:
                _run_closer(callback, exchange, name)


def _send(result: Any, exchange: Exchange) -> None:
    kind = type(result)
    if not exchange.head_sent:
        if (kind is list and result) or kind is tuple:
            exchange.send_list(result)
            return
        if kind is FileWrapper and exchange.send_file(result):
            return
    blocks: Iterable[bytes] = result
    if exchange.guard is not None and kind is not list and kind is not tuple:
        blocks = _guarded(result, exchange, exchange.guard)
    send = exchange.send
    for block in blocks:
        send(block)
        if exchange.satisfied():
            break
    exchange.finish()


def _guarded(result: Iterable[bytes], exchange: Exchange, guard: Guard) -> Iterator[bytes]:
    """The app's blocks, each made inside the interruptible region and handed out outside of it."""
    guard.enter(exchange)
    try:
        iterator = iter(result)
    finally:
        guard.leave()
    while True:
        guard.enter(exchange)
        try:
            block = next(iterator)
        except StopIteration:
            return
        finally:
            guard.leave()
        yield block
        exchange.renew()


def _fail(error: BaseException, exchange: Exchange, name: Callable[[], str]) -> None:
    """Answer for an app that raised: a page before output, a reset connection after it."""
    if isinstance(error, (Disconnected, RequestTimeout)):
        _give_up(exchange)
        return
    status = "500 Internal Server Error"
    if isinstance(error, ProtocolError):  # the app let out what reading the body told it
        status, exchange.persist = _PEER_FAULTS.get(error.status, "400 Bad Request"), False
        log.info("%s: %s", name(), error)
    elif isinstance(error, PeerTimeout):
        status, exchange.persist = "408 Request Timeout", False
        log.info("%s: %s", name(), error)
    elif exchange.complete:
        log.error("%s: %s", name(), error)  # a short body: nothing is wrong with the app's code, only with its length
    else:
        log.error("%s: the app failed", name(), exc_info=error)
    if exchange.head_sent:
        _give_up(exchange)
    else:
        send_page(exchange, status, _page(status, error, exchange))


_PEER_FAULTS = {413: "413 Content Too Large", 431: "431 Request Header Fields Too Large"}


def _page(status: str, error: BaseException, exchange: Exchange) -> str:
    if status[0] == "5" and exchange.debug:
        import traceback  # rarely needed, and a worker is to start fast

        return "".join(traceback.format_exception(error))
    return status[4:] + "\n"


def send_page(exchange: Exchange, status: str, text: str) -> None:
    """Send a plain page of the server's own in place of the app's response. Does nothing when it is too late."""
    body = text.encode("utf-8", "backslashreplace")
    exchange.head = None
    exchange.called = False
    try:
        exchange.start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        exchange.send_list([body])
    except Disconnected:
        _give_up(exchange)


def _give_up(exchange: Exchange) -> None:
    exchange.dead = True
    if not exchange.replaced:  # a reset would take from the client the answer that went out in place of the app's
        exchange.transport.abort()


def _run_closer(close: Callable[[], object], exchange: Exchange, name: Callable[[], str]) -> None:
    """Run close() or a callback; what it raises is logged: the response is out and nothing can be mended."""
    guard = exchange.guard
    try:
        try:
            if guard is not None:
                exchange.renew()  # also after a time-out: what the app holds is to be released
                guard.enter(exchange)
            close()
        finally:
            if guard is not None:
                guard.leave()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if guard is not None:
            guard.leave()
        log.error("%s: close() failed", name(), exc_info=error)
