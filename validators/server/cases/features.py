"""HTTP that a server does for the app: 100, chunks, hop-by-hop, HEAD and bodiless answers (S78-S81, S96)."""

from __future__ import annotations

import hashlib

from wsgikit.validators.server.case import case
from wsgikit.validators.server.control import SeenCall
from wsgikit.validators.server.trial import Exchange, Trial


@case("S78", timing=True)
def hundred_continue(trial: Trial) -> None:
    """The body follows only after 100, or after a moment; the app sees all of it."""
    trial.needs_1_1()
    body = b"expected body"
    head = trial.request("/echo", "POST", [("Expect", "100-continue"), ("Content-Length", str(len(body)))])
    client = trial.connect()
    client.send(head)
    early = client.read_until(b"\r\n\r\n", timeout=trial.patience) if client.readable(trial.patience) else b""
    trial.check(early, f"neither 100 nor a final status within {trial.patience:.1f} s of Expect: 100-continue")
    trial.check(early[8:12] == b" 100", f"Expect: 100-continue was answered with {early[:60]!r}")
    client.send(body)
    exchange = trial.read(client)
    _whole_body(trial, exchange, body)


def _whole_body(trial: Trial, exchange: Exchange, body: bytes) -> SeenCall:
    call = trial.call(exchange)
    report = trial.event(call, "body")
    if report is None:
        trial.fail(f"the app did not get to the end of the body; the client saw: {exchange.seen()}")
    same = report["sha256"] == hashlib.sha256(body).hexdigest() and not report["trouble"]
    trial.check(same, f"{len(body)} bytes were sent, the app read {report['size']} {report['trouble']}".rstrip())
    return call


@case("S78", timing=True)
def no_hundred_for_1_0(trial: Trial) -> None:
    """A 1.0 client does not know 100 (RFC 9110 10.1.1)."""
    body = b"old body"
    raw = trial.request("/echo", "POST", [("Expect", "100-continue")], body, version="1.0")
    exchange = trial.exchange(raw)
    trial.call(exchange)
    interim = exchange.response.interim if exchange.response is not None else []
    trial.check(not interim, f"a 1.0 client was sent {[one.status for one in interim]}")
    trial.check(exchange.response is not None, f"a 1.0 client with Expect: 100-continue saw: {exchange.seen()}")


@case("S79")
def headers_left_alone(trial: Trial) -> None:
    """Number, order and values of the app's headers."""
    exchange, _ = trial.good("/cookies")
    response = exchange.response
    if response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    cookies = response.get_all("Set-Cookie")
    trial.check(cookies == [b"b=2", b"a=1; Path=/", b"b=3"], f"three Set-Cookie became {cookies}")
    wanted = {"ETag": b'"probe"', "Cache-Control": b"no-store", "Content-Encoding": b"x-probe"}
    for name, value in wanted.items():
        trial.check(response.get(name) == value, f"{name}: {value!r} became {response.get(name)!r}")
    vary = b", ".join(response.get_all("Vary"))
    trial.check(vary.replace(b", ", b",") == b"X-One,X-Two", f"Vary: X-One and Vary: X-Two became {vary!r}")
    trial.check(exchange.body == b"tea", f"the body is {exchange.body!r}, not b'tea'")


@case("S80")
def chunked_body(trial: Trial) -> None:
    """The app reads what was inside the chunks."""
    trial.needs_1_1()
    raw = trial.request("/echo", "POST", [("Transfer-Encoding", "chunked")])
    raw += b"5\r\nhello\r\n1\r\n \r\nA\r\nworld12345\r\n0\r\n\r\n"
    exchange = trial.exchange(raw)
    calls = trial.wait_calls(1, 0.5)
    if not calls:
        trial.check(exchange.status not in (411, 501), f"a chunked body was refused: {exchange.seen()}")
        trial.fail(f"a chunked request did not reach the app; the client saw: {exchange.seen()}")
    _whole_body(trial, exchange, b"hello world12345")


@case("S80")
def chunked_body_is_announced(trial: Trial) -> None:
    """The app has to be able to know that there is a body: CONTENT_LENGTH, or wsgi.input_terminated."""
    trial.needs_1_1()
    raw = trial.request("/echo", "POST", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n0\r\n\r\n"
    exchange = trial.exchange(raw)
    call = trial.call(exchange)
    length = call.environ.get("CONTENT_LENGTH", "").lstrip("0")
    terminated = call.environ.get("wsgi.input_terminated") in ("True", "1")
    trial.check(
        length == "5" or terminated,
        "a chunked request came without CONTENT_LENGTH and without wsgi.input_terminated",
        "advice",
    )


@case("S80")
def connection_is_the_servers(trial: Trial) -> None:
    """Connection: close is obeyed without the app."""
    exchange, _ = trial.good("/hello", [("Connection", "close")])
    if exchange.response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    trial.check(
        exchange.client.closed_by_peer(trial.patience), "the client asked for a close and the connection stays open"
    )


@case("S81")
def conditions_by_the_server(trial: Trial) -> str:
    """A condition that does not hold must not give 304; one that holds may."""
    exchange, _ = trial.good("/cookies", [("If-None-Match", '"other"')])
    trial.check(exchange.status == 200, f"If-None-Match with another tag gave: {exchange.seen()}")
    exchange = trial.get("/cookies", [("If-None-Match", '"probe"')])
    trial.check(exchange.status in (200, 304), f"If-None-Match with the right tag gave: {exchange.seen()}")
    return "the server answers conditional requests" if exchange.status == 304 else "left to the app"


@case("S81")
def encodings_by_the_server(trial: Trial) -> str:
    """A response that is encoded already stays as it is."""
    exchange, _ = trial.good("/cookies", [("Accept-Encoding", "gzip")])
    encodings = exchange.response.get_all("Content-Encoding") if exchange.response is not None else []
    trial.check(exchange.body == b"tea" and encodings == [b"x-probe"], f"an encoded response was changed: {encodings}")
    return ""


@case("S96")
def head_has_no_body(trial: Trial) -> None:
    """The app answers HEAD with a body: none of it goes out, Content-Length stays, close() is called."""
    exchange = trial.exchange(trial.request("/plain", "HEAD"), "HEAD")
    call = trial.call(exchange)
    response = exchange.response
    if response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    extra = exchange.client.read_for(0.2)
    trial.check(not extra, f"the response to HEAD was followed by {extra[:60]!r}")
    trial.check(
        response.get("Content-Length") == b"10", f"the app's Content-Length 10 is {response.get('Content-Length')!r}"
    )
    trial.check(trial.event(call, "closed") is not None, "close() was not called")


@case("S96")
def head_without_length(trial: Trial) -> None:
    """The same without Content-Length: no chunk, and not even the last one."""
    exchange = trial.exchange(trial.request("/plain?length=0", "HEAD"), "HEAD")
    trial.call(exchange)
    if exchange.response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    extra = exchange.client.read_for(0.2)
    trial.check(not extra, f"the response to HEAD was followed by {extra[:60]!r}")


def _bodiless(code: int) -> None:
    @case("S96", name=f"{code}-has-no-body")
    def run(trial: Trial) -> None:
        """The app gives a body all the same, without a Content-Length: its fault too, so no more than a should."""
        exchange = trial.get(f"/status?code={code}&length=0")
        call = trial.call(exchange)
        response = exchange.response
        if response is None or response.status >= 500:
            return  # Refused as the app's error: nothing wrong was sent.
        trial.check(response.status == code, f"the app said {code}, the client saw: {exchange.seen()}")
        extra = exchange.client.read_for(0.2)
        trial.check(trial.event(call, "closed") is not None, "close() was not called")
        trial.check(not extra, f"the {code} was followed by {extra[:60]!r}", "should")


for _code in (204, 304):
    _bodiless(_code)
