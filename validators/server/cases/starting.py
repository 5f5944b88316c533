"""start_response: its arguments, when the head goes out, exc_info, faults (S07, S08, S18, S58-S67, S97)."""

from __future__ import annotations

from wsgikit.validators.server.case import case
from wsgikit.validators.server.probe.starting import FAULTS, HOP_BY_HOP
from wsgikit.validators.server.trial import Exchange, Trial

# Long enough for bytes that are on their way over loopback, short enough to be spent once a trial.
_QUIET = 0.25


@case("S07")
def explicit_none(trial: Trial) -> None:
    """start_response(status, headers, None)."""
    exchange, call = trial.good("/start-arguments?none=1")
    trial.check(
        call.first("write") and exchange.status == 200,
        f"start_response with None as third argument failed; the client saw: {exchange.seen()}",
    )


@case("S08")
def gives_write(trial: Trial) -> None:
    """What start_response returns can be called."""
    exchange, call = trial.good("/start-arguments")
    report = trial.event(call, "write", 0.3)
    if report is None:
        trial.unclear(f"start_response did not return; the client saw: {exchange.seen()}")
    trial.check(report["callable"], f"start_response returned {report['type']}, which cannot be called")


@case("S08")
def write_takes_one_argument(trial: Trial) -> None:
    """write() of one block of bytes."""
    exchange, call = trial.good("/write-only")
    report = trial.event(call, "write", 0.5)
    if report is None:
        trial.fail(f"write(b'written') could not be called; the client saw: {exchange.seen()}")
    trial.check(report["raised"] is None, f"write(b'written') raised {report['raised']}: {report['text']}")


@case("S18")
def start_response_in_the_generator(trial: Trial) -> None:
    """A generator calls it when the first block is asked for; status and headers are its own."""
    exchange, _ = trial.good("/late-start")
    response = exchange.response
    if response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    trial.check(response.status == 201, f"the app said 201 Created, the client saw {exchange.seen()}")
    trial.check(response.get("X-Late") == b"yes", "a header given to start_response is missing")
    trial.check(response.body == b"late", f"the body is {response.body!r}, not b'late'")


@case("S58", timing=True)
def start_response_sends_nothing(trial: Trial) -> None:
    """The app waits after start_response: nothing may be on the wire."""
    client = trial.connect()
    client.send(trial.request("/start-gate"))
    trial.call(wait=trial.patience)
    early = client.read_for(_QUIET)
    trial.check(not early, f"start_response sent {early[:100]!r} while the app had produced nothing")
    trial.open("go")
    trial.need_complete(trial.read(client))


@case("S59", timing=True)
def empty_blocks_send_nothing(trial: Trial) -> None:
    """Two empty blocks, then the app waits: no head may be on the wire."""
    client = trial.connect()
    client.send(trial.request("/empty-items"))
    trial.call(wait=trial.patience)
    early = client.read_for(_QUIET)
    trial.check(not early, f"after empty blocks alone the server sent {early[:100]!r}")
    trial.open("empty")
    trial.read(client)


@case("S59")
def change_after_empty_blocks(trial: Trial) -> None:
    """After empty blocks start_response with exc_info still replaces everything."""
    exchange = _through(trial, "/empty-items", "empty")
    call = trial.call(exchange)
    report = trial.event(call, "restart")
    if report is None:
        trial.unclear(f"the app did not get to its second block; the client saw: {exchange.seen()}")
    trial.check(report["raised"] is None, f"start_response with exc_info raised {report['raised']} after empty blocks")
    trial.check(exchange.status == 202, f"the app changed to 202 before any output, the client saw {exchange.seen()}")


def _through(trial: Trial, target: str, gate: str) -> Exchange:
    trial.open(gate)
    return trial.get(target)


@case("S60")
def replaced_before_output(trial: Trial) -> None:
    """Status and headers are the second call's; nothing of the first is left."""
    exchange, call = trial.good("/replaced")
    report = trial.event(call, "restart", 0.5)
    trial.check(report and report["raised"] is None, f"start_response with exc_info raised before output: {report}")
    response = exchange.response
    if response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    trial.check(response.status == 503, f"the app changed to 503, the client saw {exchange.seen()}")
    trial.check(response.get("X-New") == b"new", "a header of the second call is missing")
    left = [name for name in ("X-Old", "Set-Cookie") if response.get(name) is not None]
    trial.check(not left, f"headers of the first call are still there: {', '.join(left)}")
    trial.check(response.body == b"new", f"the body is {response.body!r}, not b'new'")


@case("S61")
def raises_after_output(trial: Trial) -> str:
    """A block is out; start_response with exc_info has to raise. A server that held the head back may replace it."""
    exchange, call = trial.good("/restart-after-output")
    report = trial.event(call, "restart")
    if report is None:
        trial.unclear(f"the app did not get to its second start_response; the client saw: {exchange.seen()}")
    if not report["raised"] and exchange.status == 500:
        return "the head had been held back, and was replaced"
    trial.check(report["raised"], "start_response with exc_info did not raise although output had begun")
    return ""


@case("S61")
def raises_the_same_after_output(trial: Trial) -> None:
    """It should be the app's own exception, with its traceback."""
    exchange, call = trial.good("/restart-after-output")
    report = trial.event(call, "restart")
    identity = trial.event(call, "identity")
    if report is None or identity is None or not report["raised"]:
        trial.skip(f"nothing was raised; the client saw: {exchange.seen()}")
    trial.check(identity["same"], f"not the exception in exc_info came back but {report['raised']}", "should")


@case("S62")
def second_call_raises(trial: Trial) -> None:
    """A second start_response without exc_info, before output."""
    exchange, call = trial.good("/twice")
    report = trial.event(call, "second")
    if report is None:
        trial.unclear(f"the app did not get to its second call; the client saw: {exchange.seen()}")
    trial.check(report["raised"], "a second start_response without exc_info did not raise")


@case("S62")
def second_call_after_an_error_raises(trial: Trial) -> str:
    """The same when the first call raised because of its arguments."""
    exchange, call = trial.good("/twice?bad=1")
    first, second = trial.event(call, "first"), trial.event(call, "second")
    if first is None or second is None:
        trial.unclear(f"the app did not get to its second call; the client saw: {exchange.seen()}")
    if not first["raised"]:
        trial.check(second["raised"], "a second start_response without exc_info did not raise")
        return "the first call with wrong arguments did not raise"
    trial.check(second["raised"], "after a start_response that raised, a second one without exc_info did not raise")
    return ""


def _fault(kind: str) -> None:
    @case("S63", name=f"fault-{kind}")
    def run(trial: Trial) -> str:
        """One fault in status or headers: start_response should raise. Bytes that forge a header must not go out."""
        exchange, call = trial.good(f"/faulty?kind={kind}")
        report = trial.event(call, "fault", 0.5)
        if report is None:
            trial.unclear(f"start_response did not return; the client saw: {exchange.seen()}")
        response = exchange.response
        forged = response is not None and response.get("X-Injected") is not None
        trial.check(not forged, f"a line break in the app's headers went out and forged a header ({kind})")
        status, headers = FAULTS[kind]
        given = f"status {status!r}" if not headers else f"header {headers[0]!r}"
        trial.check(report["raised"], f"start_response took {given} without raising; the client saw: {exchange.seen()}")
        return str(report["raised"])


for _kind_of_fault in FAULTS:
    _fault(_kind_of_fault)


def _hop(kind: str) -> None:
    @case("S64", name=kind)
    def run(trial: Trial) -> str:
        """One hop-by-hop header from the app."""
        exchange, call = trial.good(f"/hop-by-hop?kind={kind}")
        report = trial.event(call, "fault", 0.5)
        if report is None:
            trial.unclear(f"start_response did not return; the client saw: {exchange.seen()}")
        if report["raised"]:
            return str(report["raised"])
        name, value = HOP_BY_HOP[kind]
        response = exchange.response
        passed = response is not None and value.encode() in response.get_all(name)
        fate = "passed it on to the client" if passed else "dropped it"
        return trial.fail(f"start_response took {name}: {value} without raising, and the server {fate}")


for _kind_of_hop in HOP_BY_HOP:
    _hop(_kind_of_hop)


@case("S65")
def date_and_framing(trial: Trial) -> None:
    """The app gave neither Date nor Content-Length."""
    exchange, _ = trial.good("/bare")
    response = trial.need_complete(exchange)
    trial.check(response.get("Date"), "the response has no Date")
    trial.check(response.body == b"bare body", f"the body is {response.body!r}")
    if response.framing == "close":
        trial.check(not _says_open(response.tokens("Connection")), "neither length nor chunks, and no close announced")


def _says_open(options: list[bytes]) -> bool:
    return b"keep-alive" in options


@case("S66")
def names_in_any_case(trial: Trial) -> None:
    """The app's own dAtE, CONTENT-length, sErVeR and cOnTeNt-TyPe are not doubled."""
    exchange, _ = trial.good("/odd-case")
    response = exchange.response
    if response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    for name in ("Date", "Content-Length", "Server", "Content-Type"):
        values = response.get_all(name)
        trial.check(len(values) <= 1, f"{name} stands in the response {len(values)} times: {values}")
    trial.check(response.get("Content-Length") == b"3", "the app's CONTENT-length got lost")
    trial.check(not response.tokens("Transfer-Encoding"), "Transfer-Encoding although the app gave CONTENT-length")
    trial.check(response.body == b"odd", f"the body is {response.body!r}, not b'odd'")


@case("S67")
def exc_info_is_let_go(trial: Trial) -> None:
    """When start_response has returned, nobody holds the exception."""
    exchange, call = trial.good("/exc-reference")
    report = trial.event(call, "exception")
    if report is None:
        trial.unclear(f"start_response did not return; the client saw: {exchange.seen()}")
    trial.check(not report["alive"], "the exception given to start_response was still alive afterwards")


@case("S97")
def latin_on_the_wire(trial: Trial) -> None:
    """Characters U+0080-U+00FF in reason and headers are single bytes."""
    exchange, _ = trial.good("/latin")
    response = exchange.response
    if response is None:
        trial.fail(f"the client saw: {exchange.seen()}")
    value = response.get("X-Latin")
    trial.check(value == b"\xe9\xff\xa0\x80z", f"'\\xe9\\xff\\xa0\\x80z' went out as {value!r}")


@case("S97")
def latin_reason(trial: Trial) -> None:
    """The reason phrase keeps its bytes too; a server that writes a reason of its own is only noted (RFC 9112 4)."""
    exchange, _ = trial.good("/latin")
    reason = exchange.response.reason if exchange.response is not None else b""
    trial.check(b"\xc3" not in reason and b"?" not in reason, f"'Gr\\xfc\\xdfe' went out as {reason!r}")
    trial.check(reason == b"Gr\xfc\xdfe", f"'Gr\\xfc\\xdfe' went out as {reason!r}", "advice")
