"""Apps that fail: before output, after it, or by returning nonsense (S76, S77, S95)."""

from __future__ import annotations

from wsgikit.validators.server.case import case
from wsgikit.validators.server.trial import Exchange, Trial


def _alive(trial: Trial, after: str) -> None:
    exchange = trial.get("/hello")
    trial.check(exchange.status == 200, f"{after}, and the next request got: {exchange.seen()}")


def _before_output(when: str) -> None:
    @case("S76", name=f"error-{when}")
    def run(trial: Trial) -> None:
        """The app raises before any output: 500, and the server lives on."""
        exchange = trial.get(f"/raises?when={when}")
        trial.call(exchange)
        trial.check(exchange.status == 500, f"the app raised before any output, the client saw: {exchange.seen()}")
        exchange.client.close()
        _alive(trial, "the app raised")


for _when in ("call", "started", "first"):
    _before_output(_when)


def _after_output(name: str, target: str, version: str) -> None:
    @case("S76", name=f"error-after-output-{name}")
    def run(trial: Trial) -> None:
        """The app raises after its first block: the client has to see that the response is not whole."""
        exchange = trial.exchange(trial.request(target, version=version), wait=trial.brief)
        trial.call(exchange)
        response = exchange.response
        if response is not None and response.status == 500:
            return  # Held back until the error: nothing wrong was sent.
        told = response is not None and response.framing == "close"
        if response is not None and not told:
            trial.fail(
                f"the app raised after its first block, and the response looks complete: {exchange.body[-60:]!r}"
            )
        if response is None:
            trial.check(
                exchange.client.closed_by_peer(0.5), "the response was broken off and the connection stays open"
            )
        exchange.client.close()
        _alive(trial, "the app raised after output")


_after_output("chunked", "/raises?when=second", "1.1")
_after_output("with-length", "/raises?when=second&length=1", "1.1")
_after_output("1.0", "/raises?when=second", "1.0")


@case("S77")
def text_added_after_an_error(trial: Trial) -> str:
    """What comes after the block that was sent."""
    exchange = trial.get("/raises?when=second")
    trial.call(exchange)
    partial = exchange.response or exchange.client.partial
    body = partial.body if partial is not None else b""
    if not body.startswith(b"first block"):
        trial.skip("the first block was not sent")
    added = body.removeprefix(b"first block")
    if not added:
        return "nothing is added"
    trial.check(b"HTTP/1." not in added, f"a second response was written into the body of the first: {added[:60]!r}")
    return f"{len(added)} bytes of message are added"


@case("S77")
def no_text_beyond_a_length(trial: Trial) -> None:
    """With Content-Length a message would be taken for the rest of the body."""
    exchange = trial.exchange(trial.request("/raises?when=second&length=1"), wait=trial.brief)
    trial.call(exchange)
    partial = exchange.response or exchange.client.partial
    body = partial.body if partial is not None and partial.length == 20 else b"first block"
    trial.check(body == b"first block" or not body, f"the app's Content-Length was filled up with {body[11:]!r}")


def _nonsense(kind: str, words: str) -> None:
    @case("S95", name=kind)
    def run(trial: Trial) -> None:
        """One broken return value: 500 or a broken connection, no hang, and a server that lives on.

        PEP 3333 says what apps must return, and not what becomes of those that do not.
        """
        exchange = trial.get(f"/returns?kind={kind}")
        trial.call(exchange)
        _no_hang(trial, exchange, words)
        good = exchange.response is not None and exchange.status < 400 and exchange.response.complete
        seen = f"{exchange.seen()} with body {exchange.body[:40]!r}"
        trial.check(not good, f"{words}, and the client saw: {seen}", "should")
        exchange.client.close()
        _alive(trial, words)


def _no_hang(trial: Trial, exchange: Exchange, words: str) -> None:
    hangs = not (exchange.response and exchange.response.complete) and not exchange.client.closed_by_peer(0.2)
    trial.check(not hangs, f"{words}, and the client waits: {exchange.seen()}", "should")


_nonsense("none", "the app returned None")
_nonsense("int", "the app returned an int")
_nonsense("str-item", "the app yielded a str")
_nonsense("no-start", "the app never called start_response")


@case("S95")
def text_instead_of_bytes(trial: Trial) -> None:
    """A str is an iterable of str; how a server refuses it is its own business."""
    exchange = trial.get("/returns?kind=str")
    trial.call(exchange)
    _no_hang(trial, exchange, "the app returned a str")
    good = exchange.response is not None and exchange.status < 400 and exchange.body
    seen = f"{exchange.seen()} with {exchange.body[:40]!r}"
    trial.check(not good, f"the app returned a str, and the client saw: {seen}", "should")
    exchange.client.close()
    _alive(trial, "the app returned a str")
