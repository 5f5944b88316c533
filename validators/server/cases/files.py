"""wsgi.file_wrapper (S86-S93). A server without one is not judged."""

from __future__ import annotations

from wsgikit.validators.server.case import case
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.probe.files import CONTENT
from wsgikit.validators.server.trial import Exchange, Trial


def _file(trial: Trial, query: str, method: str = "GET") -> tuple[Exchange, SeenCall]:
    exchange = trial.exchange(trial.request(f"/file?{query}", method), method)
    call = trial.call(exchange)
    report = trial.event(call, "wrapper", 0.5)
    if report is None or not report["present"]:
        trial.skip("the server has no wsgi.file_wrapper")
    return exchange, call


def _same(trial: Trial, exchange: Exchange, expected: bytes, what: str) -> None:
    body = exchange.body
    trial.check(
        exchange.response is not None and body == expected,
        f"{what}: {len(expected)} bytes were due, the client saw {exchange.seen()} with {len(body)} bytes",
    )


@case("S86")
def block_size(trial: Trial) -> None:
    """file_wrapper(file) and file_wrapper(file, 100)."""
    for query in ("kind=real", "kind=real&block=100"):
        trial.site.control.begin()
        exchange, call = _file(trial, query)
        trial.check(
            call.first("wrapped"), f"the wrapper could not be made ({query}); the client saw: {exchange.seen()}"
        )
        _same(trial, exchange, CONTENT, f"a wrapped file ({query})")


@case("S87")
def can_be_iterated(trial: Trial) -> None:
    """Middleware iterates the wrapper, and an app joins it."""
    exchange, _ = _file(trial, "kind=real&as=generator")
    _same(trial, exchange, CONTENT.upper(), "a generator over a wrapped file")
    trial.site.control.begin()
    exchange, _ = _file(trial, "kind=duck-close&as=list")
    _same(trial, exchange, CONTENT, "a list made of a wrapped object")


@case("S88")
def unused_wrapper_sends_nothing(trial: Trial) -> None:
    """The app wraps a file, waits, and returns something else."""
    client = trial.connect()
    client.send(trial.request("/file-unused"))
    call = trial.call(wait=trial.patience)
    report = trial.event(call, "wrapper")
    if not (report or {}).get("present"):
        trial.skip("the server has no wsgi.file_wrapper")
    early = client.read_for(0.2)
    trial.check(not early, f"making a wrapper sent {early[:60]!r}")
    trial.open("go")
    exchange = trial.read(client)
    _same(trial, exchange, b"something else", "a wrapper that was made and not returned")


@case("S89")
def closes_the_file(trial: Trial) -> None:
    """The file's own close() is called, for a real file and for an object with read() and close()."""
    for kind in ("duck-close", "watched"):
        trial.site.control.begin()
        exchange, call = _file(trial, f"kind={kind}")
        report = trial.event(call, "wrapped", 0.5)
        trial.check(report and report["close"], "the file has a close(), the wrapper has none")
        closed = trial.event(call, "file-closed")
        trial.check(
            closed is not None, f"close() of the file was not called ({kind}); the client saw: {exchange.seen()}"
        )


@case("S89")
def no_close_without_one(trial: Trial) -> None:
    """An object that has no close() is no reason to fail; nor should a close() of the wrapper be one."""
    exchange, _ = _file(trial, "kind=duck")
    _same(trial, exchange, CONTENT, "an object without close()")
    trial.site.control.begin()
    _, call = _file(trial, "kind=duck&as=list")
    if not (call.first("wrapped") or {}).get("iterable"):
        trial.skip("the wrapper cannot be iterated (see WSGI-S87)")
    report = trial.event(call, "wrapper-closed", 0.5)
    raised = report["raised"] if report else "something that ended the call"
    trial.check(raised is None, f"the object has no close(), the wrapper has one, and that raised {raised}", "should")


@case("S90")
def objects_without_fileno(trial: Trial) -> None:
    """BytesIO, and an object that has nothing but read()."""
    for kind in ("bytesio", "duck"):
        trial.site.control.begin()
        exchange, _ = _file(trial, f"kind={kind}")
        _same(trial, exchange, CONTENT, f"a wrapped object without fileno() ({kind})")


@case("S91")
def from_the_current_position(trial: Trial) -> None:
    """seek() before wrapping: what lies before is not sent."""
    for kind in ("real", "bytesio"):
        trial.site.control.begin()
        exchange, _ = _file(trial, f"kind={kind}&seek=1100")
        _same(trial, exchange, CONTENT[1100:], f"a file at position 1100 ({kind})")


@case("S91")
def up_to_the_length(trial: Trial) -> None:
    """Content-Length shorter than the file."""
    for kind in ("real", "duck"):
        trial.site.control.begin()
        exchange, _ = _file(trial, f"kind={kind}&length=100")
        _same(trial, exchange, CONTENT[:100], f"a file with Content-Length 100 ({kind})")
        extra = exchange.client.read_for(0.1)
        trial.check(not extra, f"after the 100 bytes of Content-Length came {extra[:40]!r} ({kind})")


@case("S92")
def length_from_the_file(trial: Trial) -> str:
    """A Content-Length that the server works out, from the start and from a position."""
    for query, size in (("kind=real", len(CONTENT)), ("kind=real&seek=1100", len(CONTENT) - 1100)):
        trial.site.control.begin()
        exchange, _ = _file(trial, query, "GET")
        if exchange.response is None:
            trial.fail(f"the client saw: {exchange.seen()}")
        if exchange.response.length is None:
            return "not offered"
        trial.check(exchange.response.length == size, f"Content-Length {exchange.response.length} for {size} bytes")
    return "Content-Length is worked out"


@case("S93")
def derived_objects(trial: Trial) -> str:
    """An instance of a subclass iterates otherwise. The PEP's own example would take the fast path: advice only."""
    exchange = trial.get("/file-derived")
    call = trial.call(exchange)
    report = trial.event(call, "wrapper", 0.5)
    if report is None or not report["present"]:
        trial.skip("the server has no wsgi.file_wrapper")
    if not report["derivable"] or call.first("refused") is not None:
        return "the wrapper is not a class one can derive from"
    seen = exchange.body[:60]
    trial.check(seen == b"derived body", f"the subclass yields 'derived body', the client got {seen!r}", "advice")
    return ""


@case("S93")
def wrapped_in_middleware(trial: Trial) -> None:
    """A generator around the wrapper changes every byte."""
    exchange, _ = _file(trial, "kind=real&as=generator")
    _same(trial, exchange, CONTENT.upper(), "a generator over a wrapped file")


@case("S96")
def head_of_a_file(trial: Trial) -> None:
    """The fast path knows about HEAD too, and the file is closed."""
    exchange, call = _file(trial, "kind=watched", "HEAD")
    extra = exchange.client.read_for(0.2)
    trial.check(not extra, f"the response to HEAD was followed by {extra[:60]!r}")
    trial.check(trial.event(call, "file-closed") is not None, "close() of the file was not called after HEAD")
