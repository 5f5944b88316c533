"""Call the app, iterate and close what it returns, and turn its faults into answers.

Owns the order of PEP 3333's server side: call, iterate, finish, close() once on the object the app returned. The
response never leaves the thread it runs in, unless the app pauses. It must not know how a connection goes on
afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import WSGIApplication

from wsgikit.errors import Disconnected, PeerTimeout, ProtocolError
from wsgikit.wsgi.exchange import Exchange
from wsgikit.wsgi.file_wrapper import FileWrapper

log = logging.getLogger("wsgikit.error")


class RequestTimeout(BaseException):
    """Raised inside an app whose request is past its deadline. No Exception, so that `except Exception` lets it by."""


class Suspended:
    """An app whose iteration waits (`wsgikit.pause`): what it returned, and the blocks that are still to come."""

    __slots__ = ("blocks", "result")

    def __init__(self, result: Any, blocks: Iterator[bytes]) -> None:
        self.result = result
        self.blocks = blocks


def respond(
    app: WSGIApplication, environ: dict[str, Any], exchange: Exchange, name: Callable[[], str]
) -> Suspended | None:
    """Run one request to its end, or to where its app pauses. App errors are logged and answered; only
    KeyboardInterrupt comes out.

    `name` gives the request line for the log. What is returned is to be given to `resume` or `abandon`, once.
    """
    result: Any = None
    blocks: Iterator[bytes] | None = None
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
        blocks = _send(result, exchange)
    except KeyboardInterrupt:
        _give_up(exchange)
        raise
    except BaseException as error:
        if guard is not None:
            guard.leave()  # again: the interruption may have struck inside leave()
        _fail(error, exchange, name)
    finally:
        if blocks is None:
            _close(result, exchange, name)
    return None if blocks is None else Suspended(result, blocks)


def resume(suspended: Suspended, exchange: Exchange, name: Callable[[], str]) -> Suspended | None:
    """Go on with an app that has paused, in any thread, until its end or its next pause. As `respond`."""
    paused = False
    try:
        paused = _iterate(suspended.blocks, exchange)
    except KeyboardInterrupt:
        _give_up(exchange)
        raise
    except BaseException as error:
        if exchange.guard is not None:
            exchange.guard.leave()
        _fail(error, exchange, name)
    finally:
        if not paused:
            _close(suspended.result, exchange, name)
    return suspended if paused else None


def abandon(suspended: Suspended, exchange: Exchange, name: Callable[[], str]) -> None:
    """End an app that has paused and whose connection is no more: it is asked for no further block (PEP 3333)."""
    _give_up(exchange)
    _close(suspended.result, exchange, name)


def _close(result: Any, exchange: Exchange, name: Callable[[], str]) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        _run_closer(close, exchange, name)
    if exchange.closers is not None:
        for callback in exchange.closers:
            _run_closer(callback, exchange, name)


def _send(result: Any, exchange: Exchange) -> Iterator[bytes] | None:
    """Send what the app returned; the rest of it where the app pauses."""
    kind = type(result)
    if not exchange.head_sent:
        if (kind is list and result) or kind is tuple:
            exchange.send_list(result)
            return None
        if kind is FileWrapper and exchange.send_file(result):
            return None
    if exchange.bypass is not None and (offer := getattr(kind, "relay_through", None)) is not None:
        offer(result, exchange)
    if exchange.guard is not None and kind is not list and kind is not tuple:
        blocks = _guarded(result, exchange)
    else:
        blocks = iter(result)
    return blocks if _iterate(blocks, exchange) else None


def _iterate(blocks: Iterator[bytes], exchange: Exchange) -> bool:
    """Send block by block. True: the app pauses."""
    send, pause = exchange.send, exchange.pause
    for block in blocks:
        send(block)
        if exchange.satisfied():
            break
        if not block and pause is not None and pause.open:
            if exchange.dead:  # past its deadline just as it came back: nobody is there to wait for
                raise Disconnected("the request was given up")
            return True
    exchange.finish()
    return False


def _guarded(result: Iterable[bytes], exchange: Exchange) -> Iterator[bytes]:
    """The app's blocks, each made inside the interruptible region of the present thread and handed out outside of it.

    Which thread that is may change from block to block, where the app pauses.
    """
    guard = exchange.guard
    if guard is None:  # taken away meanwhile (`wsgikit.takeover`)
        yield from result
        return
    guard.enter(exchange)
    try:
        iterator = iter(result)
    finally:
        guard.leave()
    while True:
        guard = exchange.guard
        if guard is None:
            yield from iterator
            return
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
