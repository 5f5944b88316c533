"""Blocks of the body: at once, unchanged, in order, and how they are framed (S09-S12, S71-S75, S94)."""

from __future__ import annotations

from typing import Any

from wsgikit.validators.server.case import case
from wsgikit.validators.server.probe.bodies import ALL_BYTES
from wsgikit.validators.server.trial import Trial


def _blocks_at_once(trial: Trial, target: str, version: str) -> None:
    client = trial.connect()
    client.send(trial.request(target, version=version))
    call = trial.call(wait=trial.patience)
    data = b""
    for _ in range(40):
        data += client.read_for(trial.patience / 40)
        if b"first block" in data:
            break
    waited = f"the app was busy with its second block for {trial.patience:.1f} s"
    trial.check(b"first block" in data, f"{waited}; of the first the client had {data[-80:]!r}")
    trial.open("second")
    rest = client.read_for(0.3) if not call.first("exhausted") else b""
    for _ in range(20):
        if b"second block" in rest:
            break
        rest += client.read_for(0.1)
    trial.check(b"second block" in rest, f"the second block never came; after the first came {rest[-80:]!r}")


@case("S09", timing=True)
def block_before_the_next(trial: Trial) -> None:
    """The app makes its second block only when the client holds the first."""
    _blocks_at_once(trial, "/gated", "1.1")


@case("S09", timing=True)
def block_before_the_next_with_length(trial: Trial) -> None:
    """The same with Content-Length."""
    _blocks_at_once(trial, "/gated?length=1", "1.1")


@case("S09", timing=True)
def block_before_the_next_for_1_0(trial: Trial) -> None:
    """The same for a 1.0 client."""
    _blocks_at_once(trial, "/gated", "1.0")


@case("S10")
def bytes_unchanged(trial: Trial) -> None:
    """All byte values and all mixes of CR and LF."""
    for version in ("1.1", "1.0"):
        exchange = trial.exchange(trial.request("/all-bytes", version=version))
        trial.call(exchange)
        body = exchange.body
        place = next((at for at, (one, two) in enumerate(zip(body, ALL_BYTES, strict=False)) if one != two), len(body))
        trial.check(
            body == ALL_BYTES,
            f"the app sent {len(ALL_BYTES)} bytes, the client got {len(body)}; they differ from byte {place} on"
            f" ({exchange.seen()})",
        )


@case("S11")
def ranges_by_the_server(trial: Trial) -> str:
    """A range request that the app ignores: the whole body, or a correct part."""
    exchange, _ = trial.good("/plain", [("Range", "bytes=2-4")])
    response = exchange.response
    if response is None or response.status not in (200, 206):
        trial.fail(f"a range request was answered with: {exchange.seen()}")
    if response.status == 200:
        trial.check(response.body == b"helloworld", f"a range request gave 200 with the body {response.body!r}")
        return "the server leaves ranges to the app"
    right = response.body == b"llo" and response.get("Content-Range") == b"bytes 2-4/10"
    trial.check(right, f"206 for bytes 2-4 of 10 with {response.get('Content-Range')!r} and {response.body!r}")
    return "the server serves ranges"


@case("S12")
def length_of_the_iterable(trial: Trial) -> None:
    """Iterables with a true len() and no indexing: everything arrives."""
    for items in (1, 2, 3):
        exchange = trial.get(f"/sized?items={items}")
        trial.call(exchange)
        body = b"".join(b"%04d\n" % number for number in range(items))
        trial.check(
            exchange.body == body, f"an iterable with len() {items} arrived as {exchange.body!r}: {exchange.seen()}"
        )


@case("S12")
def lists_of_several(trial: Trial) -> None:
    """Plain lists with one, two and three blocks; S94 has the list without any."""
    for items in (1, 2, 3):
        exchange = trial.get(f"/listed?items={items}")
        trial.call(exchange)
        body = b"".join(b"%04d\n" % number for number in range(items))
        trial.check(exchange.body == body, f"a list of {items} arrived as {exchange.body!r}: {exchange.seen()}")
        trial.need_complete(exchange)


@case("S71")
def length_of_a_single_block(trial: Trial) -> str:
    """Content-Length worked out from a list of one block is right."""
    exchange, _ = trial.good("/listed?items=1")
    response = trial.need_complete(exchange)
    if response.length is None:
        return "not offered"
    trial.check(response.length == 5 and response.body == b"0000\n", f"Content-Length {response.length} for 5 bytes")
    return "Content-Length is worked out"


@case("S71")
def length_not_from_the_list_alone(trial: Trial) -> None:
    """write() was used before a list of one block: the length of that block is not the length of the body."""
    exchange, call = trial.good("/writes?list=1")
    _needs_write(trial, trial.event(call, "write", 0.3) or {})
    trial.check(exchange.body == b"one,two,three", f"write() and a list of one arrived as {exchange.body!r}")


@case("S72")
def chunks_are_exact(trial: Trial) -> str:
    """Read by a strict decoder; empty blocks end nothing."""
    exchange, _ = trial.good("/empty-blocks")
    response = exchange.response
    if response is None:
        trial.fail(f"blocks with empty ones between them: {exchange.seen()}")
    trial.check(response.complete, "neither length, nor chunks, nor the end of the connection delimits the body")
    trial.check(response.body == b"abcdef", f"'', 'abc', '', '', 'def', '' arrived as {response.body!r}")
    trial.check(not response.defects, f"the response is not well-formed: {', '.join(response.defects)}")
    extra = exchange.client.read_for(0.05)
    trial.check(not extra, f"bytes after the end of the response: {extra[:60]!r}")
    return f"framing: {response.framing}"


@case("S72")
def no_chunks_for_1_0(trial: Trial) -> None:
    """A 1.0 client cannot read chunks."""
    exchange = trial.exchange(trial.request("/empty-blocks", version="1.0"))
    trial.call(exchange)
    response = exchange.response
    if response is None:
        trial.fail(f"a 1.0 client saw: {exchange.seen()}")
    trial.check(not response.get("Transfer-Encoding"), "Transfer-Encoding in the response to a 1.0 client")
    trial.check(response.body == b"abcdef", f"'', 'abc', '', '', 'def', '' arrived as {response.body!r}")


@case("S73")
def closed_where_nothing_delimits(trial: Trial) -> None:
    """A 1.0 client that would keep the connection, a body of unknown length: its end has to be visible."""
    raw = trial.request("/plain?length=0", headers=[("Connection", "keep-alive")], version="1.0")
    exchange = trial.exchange(raw)
    trial.call(exchange)
    ended = exchange.response is not None and exchange.response.complete
    trial.check(ended, f"the client cannot tell the end of the body: {exchange.seen()}")
    trial.check(exchange.body == b"helloworld", f"the body arrived as {exchange.body!r}")


@case("S74", timing=True)
def write_is_sent(trial: Trial) -> None:
    """After write() returned the app waits: the client must get the block meanwhile."""
    client = trial.connect()
    client.send(trial.request("/writes?gate=1"))
    call = trial.call(wait=trial.patience)
    if trial.event(call, "write") is None:
        trial.fail("write() did not return")
    first = call.first("write") or {}
    _needs_write(trial, first)
    data = b""
    for _ in range(40):
        data += client.read_for(trial.patience / 40)
        if b"one," in data:
            break
    trial.check(b"one," in data, f"write() had returned for {trial.patience:.1f} s, the client had {data[-80:]!r}")
    trial.open("go")


@case("S75")
def written_before_returned(trial: Trial) -> None:
    """Two write() and a block from the iterable."""
    exchange, call = trial.good("/writes")
    _needs_write(trial, trial.event(call, "write", 0.3) or {})
    trial.check(exchange.body == b"one,two,three", f"'one,', 'two,' and 'three' arrived as {exchange.body!r}")
    trial.check(trial.event(call, "closed"), "close() was not called")


def _needs_write(trial: Trial, report: dict[str, Any]) -> None:
    """One fault is told once: without a write() nothing can be said about what it does."""
    if report.get("raised") == "TypeError" and "not callable" in report["text"]:
        trial.skip("start_response gives no write() (see WSGI-S08)")
    trial.check(report.get("raised") is None, f"write() raised {report.get('raised')}: {report.get('text')}")


@case("S94")
def empty_iterable(trial: Trial) -> None:
    """No block at all, with and without Content-Length: a complete response."""
    for number, target in enumerate(("/empty", "/empty?declare=1"), 1):
        exchange = trial.get(target)
        if len(trial.wait_calls(number, 0.3)) < number:
            trial.unclear(f"the request did not reach the app; the client saw: {exchange.seen()}")
        response = trial.need_complete(exchange)
        trial.check(response.body == b"", f"an empty iterable arrived as {response.body!r}")
