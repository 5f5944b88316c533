"""A body that is longer or shorter than its Content-Length (S68-S70)."""

from __future__ import annotations

from wsgikit.validators.server.case import case
from wsgikit.validators.server.trial import Trial


@case("S68")
def nothing_beyond_the_length(trial: Trial) -> str:
    """Content-Length 7, three blocks of five: seven bytes, and then nothing that is no response."""
    exchange, _ = trial.good("/declared?length=7&items=3")
    response = exchange.response
    if response is None:
        return f"refused as a whole: {exchange.seen()}"
    if response.length != 7:
        trial.check(response.framing != "length", f"the app's Content-Length 7 became {response.length}", "advice")
        trial.fail("the app's Content-Length was dropped and more than it said was sent", "advice")
    extra = exchange.client.read_for(0.2)
    trial.check(response.body == b"0000\n00", f"the first seven bytes are {response.body!r}")
    trial.check(not extra, f"after the seven bytes of Content-Length came {extra[:40]!r}")
    return ""


@case("S68")
def nothing_beyond_a_length_of_zero(trial: Trial) -> str:
    """Content-Length 0 and a block."""
    exchange, _ = trial.good("/declared?length=0&items=1")
    if exchange.response is None:
        return f"refused as a whole: {exchange.seen()}"
    if exchange.response.length != 0:
        trial.fail("the app's Content-Length was dropped", "advice")
    extra = exchange.client.read_for(0.2)
    trial.check(not extra, f"after a Content-Length of 0 came {extra[:40]!r}")
    return ""


@case("S69")
def stops_at_the_length(trial: Trial) -> None:
    """Content-Length 10, a hundred blocks of five: the third is the last that may be asked for."""
    exchange, call = trial.good("/declared?length=10&items=100")
    data = trial.event(call, "closed")
    if data is None:
        trial.unclear(f"close() was not called; the client saw: {exchange.seen()}")
    trial.check(data["asked"] <= 3, f"Content-Length was reached with block 2, {data['asked']} were asked for")


@case("S69")
def write_beyond_raises(trial: Trial) -> None:
    """write() of three bytes when Content-Length has been reached."""
    exchange, call = trial.good("/write-beyond")
    report = trial.event(call, "beyond")
    if report is None:
        trial.unclear(f"the second write() was not reached; the client saw: {exchange.seen()}")
    trial.check(report["raised"], "write() beyond Content-Length did not raise")


@case("S70")
def short_body_ends_the_connection(trial: Trial) -> None:
    """Content-Length 20, two blocks of five: the client must be able to see that something is missing."""
    raw = trial.request("/declared?length=20&items=2") + b""
    client = trial.connect()
    exchange = trial.exchange(raw, client=client, wait=trial.brief)
    trial.call(exchange)
    partial = client.partial
    if partial is not None and partial.length != 20:
        trial.fail("the app's Content-Length was dropped, so that the short body looks complete", "advice")
    if exchange.response is not None:
        trial.fail(f"ten bytes of twenty were presented as complete: {exchange.body!r}")
    trial.check(client.closed_by_peer(0.5), "the body ended ten bytes short and the connection stays open")


@case("S70")
def short_body_is_not_filled_by_the_next_response(trial: Trial) -> None:
    """The same with a second request behind it: its response must not become the rest of the body."""
    client = trial.connect()
    client.send(trial.request("/declared?length=200&items=2") + trial.request("/hello"))
    exchange = trial.read(client, wait=trial.brief)
    trial.call(exchange)
    partial = client.partial
    body = partial.body if partial is not None and partial.length == 200 else b""
    trial.check(b"HTTP/1." not in body, f"the next response was sent as the rest of a short body: {body[10:80]!r}")
