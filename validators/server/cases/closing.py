"""close() of the iterable, and what else a server may do to it (S13-S17, S19, S20)."""

from __future__ import annotations

from wsgikit.validators.server.case import case
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.trial import Exchange, Trial


def closed_once(trial: Trial, call: SeenCall, after: str, exchange: Exchange | None = None) -> None:
    """close() was called on the object that the app returned."""
    seen = f"; the client saw: {exchange.seen()}" if exchange is not None else ""
    trial.check(trial.event(call, "closed") is not None, f"close() was not called after {after}{seen}")


@case("S13")
def after_a_response(trial: Trial) -> None:
    """With Content-Length, and without."""
    for number, target in enumerate(("/plain", "/plain?length=0"), 1):
        exchange = trial.get(target)
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            trial.unclear(f"the request did not reach the app; the client saw: {exchange.seen()}")
        closed_once(trial, calls[-1], "a response that was sent whole")


@case("S13")
def close_may_raise(trial: Trial) -> None:
    """An exception in close() ends neither the response nor the server. PEP 3333 has no must about it."""
    exchange, call = trial.good("/close-raises")
    closed_once(trial, call, "a response that was sent whole")
    trial.check(exchange.body == b"hello", f"close() raised, and the client saw: {exchange.seen()}", "should")
    after = trial.get("/hello")
    trial.check(after.status == 200, f"after close() had raised the next request got: {after.seen()}", "should")


@case("S14")
def after_an_error(trial: Trial) -> None:
    """Iteration raises at the first block, and at the second."""
    for number, when in enumerate(("first", "second"), 1):
        exchange = trial.get(f"/raises?when={when}")
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            trial.unclear(f"the request did not reach the app; the client saw: {exchange.seen()}")
        closed_once(trial, calls[-1], f"the iterable had raised at its {when} block")


@case("S15", timing=True)
def after_a_reset(trial: Trial) -> None:
    """The client resets the connection in the middle of a body that goes on. close() is the must, the rest thrift."""
    items = max(int(150 * trial.patience), 40)
    client = trial.connect()
    client.send(trial.request(f"/drip?items={items}"))
    call = trial.call(wait=trial.patience)
    client.readable(trial.patience)
    client.reset()
    data = trial.event(call, "closed", 3 * trial.patience)
    if data is None:
        trial.fail(f"the client was gone for {3 * trial.patience:.1f} s and close() had not been called")
    asked = data["asked"]
    trial.check(asked <= items, f"the client was gone, and all {asked - 1} blocks were still asked for", "should")


@case("S16")
def once_and_on_the_iterable(trial: Trial) -> None:
    """The iterable and its iterator are two objects with a close() each."""
    _, call = trial.good("/two-piece")
    closed_once(trial, call, "a response whose iterator is another object")
    trial.event(call, "never", 0.1)
    closed = [data["object"] for data in call.all("closed")]
    trial.check(closed == ["iterable"], f"close() was called on: {', '.join(closed)}")


@case("S16")
def once_after_an_error(trial: Trial) -> None:
    """Never twice, not even when something went wrong."""
    for number, target in enumerate(("/plain", "/raises?when=second", "/raises?when=first"), 1):
        trial.get(target)
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            trial.unclear("the request did not reach the app")
        trial.event(calls[-1], "closed")
        trial.event(calls[-1], "never", 0.1)
        times = len(calls[-1].all("closed"))
        trial.check(times <= 1, f"close() was called {times} times ({target})")


_SPECIAL = {
    "head": ("HEAD", "/plain", "a HEAD request"),
    "no-content": ("GET", "/status?code=204&size=0&length=0", "a 204"),
    "not-modified": ("GET", "/status?code=304&size=0&length=0", "a 304"),
    "body-on-204": ("GET", "/status?code=204&length=0", "a 204 with a body"),
    "beyond-length": ("GET", "/declared?length=7&items=3", "a body cut at Content-Length"),
    "write-only": ("GET", "/write-only", "a body sent by write() alone"),
    "empty": ("GET", "/empty", "an empty iterable"),
    "no-start": ("GET", "/returns?kind=no-start", "an app that never called start_response"),
    "no-start-empty": ("GET", "/no-start-empty", "an app that never called start_response and yields nothing"),
}


def _special(name: str) -> None:
    method, target, words = _SPECIAL[name]

    @case("S17", name=name)
    def run(trial: Trial) -> None:
        """One of the ways in which a response is not the ordinary one."""
        exchange = trial.exchange(trial.request(target, method), method)
        closed_once(trial, trial.call(exchange), words, exchange)


for _special_name in _SPECIAL:
    _special(_special_name)

# `__iter__`, `__len__`, `__next__` and `close` are the PEP's; `__class__` is what isinstance() looks at.
_ALLOWED = frozenset({"__iter__", "__len__", "__next__", "close", "__class__"})


@case("S19")
def no_other_attributes(trial: Trial) -> None:
    """An iterable that records what it is asked for."""
    exchange, call = trial.good("/trapping")
    data = trial.event(call, "closed") or trial.event(call, "looked-at", 0.0)
    if data is None:
        trial.unclear(f"the iterable was not used up; the client saw: {exchange.seen()}")
    other = [name for name in data["names"] if name not in _ALLOWED]
    trial.check(not other, f"the server looked at {', '.join(other)} of the iterable")


@case("S20")
def nothing_after_close(trial: Trial) -> None:
    """No next() after close(): whole, cut, and broken off."""
    targets = ("/plain", "/declared?length=7&items=3", "/raises?when=second")
    for number, target in enumerate(targets, 1):
        trial.get(target)
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            trial.unclear("the request did not reach the app")
        trial.event(calls[-1], "closed")
        trial.event(calls[-1], "never", 0.1)
        trial.check(calls[-1].first("next-after-close") is None, f"a block was asked for after close() ({target})")
