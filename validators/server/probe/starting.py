"""Endpoints about start_response, write() and status and headers. One function an endpoint, its docstring the plot."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from . import control
from .call import Call, type_name
from .iterables import Body


class ProbeError(Exception):
    """Raised on purpose; a server has to live with it."""


def hello(call: Call) -> Iterable[bytes]:
    """An ordinary answer of two bytes."""
    return call.answer()


def park(call: Call) -> Iterable[bytes]:
    """Stays inside the app until the driver opens the gate."""
    control.gate(call.option("gate", "go"))
    return call.answer()


def late_start(call: Call) -> Iterator[bytes]:
    """A generator: start_response is called when the first block is asked for."""
    call.start_response("201 Created", [*call.headers(4), ("X-Late", "yes")])
    yield b"late"


def start_arguments(call: Call) -> Iterable[bytes]:
    """start_response with two arguments, or with `none=1` with an explicit None; reports what came back."""
    more = (None,) if call.option("none") else ()
    write = call.start_response("200 OK", call.headers(2), *more)
    call.report("write", callable=callable(write), type=type_name(write))
    return [b"ok"]


def start_gate(call: Call) -> Iterable[bytes]:
    """Calls start_response, then waits: nothing may be on the wire meanwhile."""
    call.start_response("200 OK", call.headers(2))
    control.gate("go")
    return [b"ok"]


def empty_items(call: Call) -> Iterable[bytes]:
    """Yields empty blocks, then changes its mind with exc_info: still possible, nothing was sent."""

    def items() -> Iterator[bytes]:
        yield b""
        yield b""
        control.gate("empty")
        try:
            raise ProbeError("changed my mind")
        except ProbeError:
            failed = call.attempt("restart", call.start_response, "202 Accepted", call.headers(6), sys.exc_info())
        yield b"second" if failed is None else b"first"

    call.start_response("200 OK", [*call.headers(), ("X-First", "1")])
    return items()


def replaced(call: Call) -> Iterable[bytes]:
    """start_response twice, the second time with exc_info, before any output."""
    call.start_response("200 OK", [*call.headers(), ("X-Old", "old"), ("Set-Cookie", "old=1")])
    try:
        raise ProbeError("replaced")
    except ProbeError:
        call.attempt(
            "restart", call.start_response, "503 Replaced", [*call.headers(3), ("X-New", "new")], sys.exc_info()
        )
    return [b"new"]


def restart_after_output(call: Call) -> Iterable[bytes]:
    """start_response with exc_info when a block has gone out: it has to raise, by preference that exception."""

    def items() -> Iterator[bytes]:
        yield b"some output"
        error = ProbeError("after output")
        try:
            raise error
        except ProbeError:
            raised = call.attempt("restart", call.start_response, "500 Late", call.headers(), sys.exc_info())
        call.report("identity", same=raised is error, traceback=_frames(raised))
        if raised is not None:
            raise raised

    call.start_response("200 OK", call.headers())
    return Body(call, items())


def _frames(error: BaseException | None) -> list[str]:
    names, step = [], error.__traceback__ if error is not None else None
    while step is not None:
        names.append(step.tb_frame.f_code.co_name)
        step = step.tb_next
    return names


def twice(call: Call) -> Iterable[bytes]:
    """start_response twice without exc_info; with `bad=1` the first call is wrong and raises, or should."""
    first = ("200 OK", call.headers(2)) if not call.option("bad") else (200, "no list")
    call.attempt("first", call.start_response, *first)
    error = call.attempt("second", call.start_response, "200 OK", call.headers(2))
    if error is not None and call.option("bad"):
        return _recovered(call, error)
    return [b"ok"]


def _recovered(call: Call, error: BaseException) -> Iterable[bytes]:
    call.start_response("200 OK", call.headers(2), (type(error), error, error.__traceback__))
    return [b"ok"]


def faulty(call: Call) -> Iterable[bytes]:
    """start_response with one fault in status or headers; reports whether it raised, then answers properly."""
    status, headers = FAULTS[call.option("kind")]
    error = call.attempt("fault", call.start_response, status, [*call.headers(2), *headers])
    return [b"ok"] if error is None else _recovered(call, error)


class _Text(str):
    """A subclass of str, which the PEP does not allow in its place."""


FAULTS: dict[str, tuple[Any, list[Any]]] = {
    "status-bytes": (b"200 OK", []),
    "status-integer": (200, []),
    "status-no-reason": ("200", []),
    "status-letters": ("2xx OK", []),
    "status-control": ("200 O\x07K", []),
    "status-newline": ("200 OK\r\nX-Injected: 1", []),
    "status-wide": ("200 \u20ac", []),
    "item-triple": ("200 OK", [("X-A", "1", "2")]),
    "item-list": ("200 OK", [["X-A", "1"]]),
    "name-bytes": ("200 OK", [(b"X-A", "1")]),
    "name-colon": ("200 OK", [("X-A:", "1")]),
    "name-space": ("200 OK", [("X A", "1")]),
    "name-newline": ("200 OK", [("X-A\r\nX-Injected", "1")]),
    "value-bytes": ("200 OK", [("X-A", b"1")]),
    "value-integer": ("200 OK", [("X-A", 1)]),
    "value-newline": ("200 OK", [("X-A", "1\r\nX-Injected: 1")]),
    "value-control": ("200 OK", [("X-A", "1\x002")]),
    "value-wide": ("200 OK", [("X-A", "\u20ac")]),
}

HOP_BY_HOP = {
    "connection": ("Connection", "x-probe"),
    "keep-alive": ("Keep-Alive", "timeout=5"),
    "te": ("TE", "trailers"),
    "trailer": ("Trailer", "X-Later"),
    "transfer-encoding": ("Transfer-Encoding", "chunked"),
    "upgrade": ("Upgrade", "h2c"),
}


def hop_by_hop(call: Call) -> Iterable[bytes]:
    """start_response with a header that belongs to the connection; the server should raise."""
    header = HOP_BY_HOP[call.option("kind")]
    error = call.attempt("fault", call.start_response, "200 OK", [*call.headers(2), header])
    return [b"ok"] if error is None else _recovered(call, error)


def exc_reference(call: Call) -> Iterable[bytes]:
    """start_response with exc_info; reports whether the exception lives on when nobody but the server could hold it."""

    class Marker(Exception):
        pass

    def start() -> weakref.ref[Marker]:
        try:
            raise Marker("short-lived")
        except Marker as error:
            reference = weakref.ref(error)
            call.start_response("200 OK", call.headers(2), sys.exc_info())
            return reference

    reference = start()
    gc.collect()
    call.report("exception", alive=reference() is not None)
    return [b"ok"]


def writes(call: Call) -> Iterable[bytes]:
    """write() twice, then one block from the iterable; with `gate=1` it waits after the first write()."""
    write = call.start_response("200 OK", call.headers())
    call.attempt("write", write, b"one,")
    if call.option("gate"):
        control.gate("go")
    call.attempt("write", write, b"two,")
    return Body(call, [b"three"]) if not call.option("list") else [b"three"]


def write_only(call: Call) -> Iterable[bytes]:
    """Everything by write(), nothing from the iterable."""
    call.attempt("write", call.start_response("200 OK", call.headers()), b"written")
    return Body(call, [])


def write_beyond(call: Call) -> Iterable[bytes]:
    """write() of more than Content-Length says."""
    write = call.start_response("200 OK", call.headers(5))
    call.attempt("write", write, b"12345")
    error = call.attempt("beyond", write, b"678")
    if error is not None:
        raise error
    return Body(call, [])


def bare(call: Call) -> Iterable[bytes]:
    """No Date, no Content-Length: the server has to add what HTTP needs."""
    call.start_response("200 OK", call.headers())
    return [b"bare body"]


def odd_case(call: Call) -> Iterable[bytes]:
    """Date, Content-Length and Server of the app's own, in odd spelling."""
    own = [("X-Probe", call.id), ("dAtE", "Sun, 06 Nov 1994 08:49:37 GMT"), ("CONTENT-length", "3")]
    call.start_response("200 OK", [*own, ("sErVeR", "probe"), ("cOnTeNt-TyPe", "text/x-probe")])
    return [b"odd"]


def cookies(call: Call) -> Iterable[bytes]:
    """Several Set-Cookie, and headers a server has no business with."""
    own = [("Set-Cookie", "b=2"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=3"), ("ETag", '"probe"')]
    more = [("Cache-Control", "no-store"), ("Content-Encoding", "x-probe"), ("Vary", "X-One"), ("Vary", "X-Two")]
    call.start_response("200 OK", [*call.headers(3), *own, *more])
    return [b"tea"]


def latin(call: Call) -> Iterable[bytes]:
    """Latin-1 text in the reason and in a header."""
    call.start_response("200 Gr\xfc\xdfe", [*call.headers(2), ("X-Latin", "\xe9\xff\xa0\x80z")])
    return [b"ok"]


def status(call: Call) -> Iterable[bytes]:
    """`code`, with `size` bytes of body and, with `length=1`, a Content-Length; `reason=0` leaves the reason empty."""
    body = b"x" * call.number("size", 5)
    length = len(body) if call.option("length", "1") == "1" else None
    reason = "" if call.option("reason") == "0" else "Probe"
    call.start_response(f"{call.option('code', '200')} {reason}", call.headers(length))
    return Body(call, [body] if body else [])


ENDPOINTS = {
    "hello": hello,
    "park": park,
    "late-start": late_start,
    "start-arguments": start_arguments,
    "start-gate": start_gate,
    "empty-items": empty_items,
    "replaced": replaced,
    "restart-after-output": restart_after_output,
    "twice": twice,
    "faulty": faulty,
    "hop-by-hop": hop_by_hop,
    "exc-reference": exc_reference,
    "writes": writes,
    "write-only": write_only,
    "write-beyond": write_beyond,
    "bare": bare,
    "odd-case": odd_case,
    "cookies": cookies,
    "latin": latin,
    "status": status,
}
