"""wsgi.input and wsgi.errors (S44, S48-S57)."""

from __future__ import annotations

from typing import Any

from wsgikit.validators.server.case import case
from wsgikit.validators.server.trial import Trial

BODY = b"first line\nsecond\n\nlast without end"
_TEXTS = ("plain", "latin", "wide", "astral", "surrogate", "control")


def steps(
    trial: Trial, do: str, body: bytes | None = BODY, *, pieces: int = 0, patient: bool = True
) -> list[dict[str, Any]]:
    """POSTs `body` and lets the app read it as `do` says; one report a step. Broken when a step does not return.

    With `pieces` the body arrives in segments of that many bytes. Without `patient` the client ends its side when the
    answer is slow: for rules that are not about waiting.
    """
    raw = trial.request(f"/read-steps?do={do}", "POST" if body is not None else "GET", body=body)
    client = trial.fresh()
    if pieces and body:
        client.send(raw[: -len(body)])
        client.dribble(body, size=pieces, pause=0.01)
    else:
        client.send(raw)
    if not patient and not client.readable(trial.brief / 2):
        client.half_close()
    exchange = trial.read(client, raw)
    call = trial.call(exchange)
    reports = call.all("step")
    wanted = do.split(",")
    if len(reports) < len(wanted):
        step = wanted[len(reports)]
        trial.fail(f"{named(step)} did not return within {trial.patience:.1f} s; the client saw: {exchange.seen()}")
    return reports


def named(step: str) -> str:
    """A step as a method call."""
    methods = {"r": "read", "l": "readline", "a": "readlines", "n": "next", "i": "iteration"}
    return f"wsgi.input.{methods[step[0]]}({step[1:]})"


def expect(trial: Trial, reports: list[dict[str, Any]], *values: Any) -> None:
    """Each step gave bytes (or a list of them) with that value."""
    for report, value in zip(reports, values, strict=True):
        step = named(report["step"])
        trial.check(report["raised"] is None, f"{step} raised {report['raised']}")
        seen = report["value"]
        trial.check(seen == _shown(value), f"{step} gave {seen!r}, not {value!r}")


def _shown(value: bytes | list[bytes]) -> str | list[str]:
    return [item.decode("latin-1") for item in value] if isinstance(value, list) else value.decode("latin-1")


@case("S44")
def any_text(trial: Trial) -> None:
    """ASCII, Latin-1, beyond, beyond the BMP, a lone surrogate, control characters."""
    for number, kind in enumerate(_TEXTS, 1):
        exchange = trial.get(f"/errors-text?kind={kind}")
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            trial.unclear(f"the request did not reach the app; the client saw: {exchange.seen()}")
        report = trial.event(calls[-1], "write")
        if report is None:
            trial.fail(f"wsgi.errors.write() of {kind} text did not return; the client saw: {exchange.seen()}")
        trial.check(report["raised"] is None, f"wsgi.errors.write() of {kind} text raised {report['raised']}")


@case("S48")
def input_methods(trial: Trial) -> None:
    """The four that the PEP names."""
    _, call = trial.good("/hello")
    missing = [name for name in ("read", "readline", "readlines", "__iter__") if name not in call.facts["input"]]
    trial.check(not missing, f"wsgi.input lacks {', '.join(missing)}")


@case("S49")
def errors_methods(trial: Trial) -> None:
    """The three that the PEP names."""
    _, call = trial.good("/hello")
    missing = [name for name in ("write", "writelines", "flush") if name not in call.facts["errors"]]
    trial.check(not missing, f"wsgi.errors lacks {', '.join(missing)}")


@case("S49")
def errors_writelines(trial: Trial) -> None:
    """writelines() with two lines."""
    _, call = trial.good("/errors-text?kind=plain")
    report = trial.event(call, "writelines") or {}
    trial.check(report.get("raised") is None, f"wsgi.errors.writelines() raised {report.get('raised')}")


@case("S50")
def bytes_only(trial: Trial) -> None:
    """What each method gives is bytes, or a list of bytes."""
    for do in ("r5,r", "l,l3,r", "a", "i", "n,r"):
        trial.site.control.begin()
        for report in steps(trial, do, patient=False):
            if report["raised"] is not None:
                continue
            step = named(report["step"])
            trial.check(report["types"] in (["builtins.bytes"], []), f"{step} gave {', '.join(report['types'])}")
            wants_list = report["step"][0] in "ai"
            trial.check(report["list"] == wants_list, f"{step} gave {report['value']!r}")


@case("S51", timing=True)
def no_wait_past_the_end(trial: Trial) -> None:
    """read() of more than there is, on a connection that stays open: what there is, at once."""
    expect(trial, steps(trial, "r100,r100,l", b"0123456789"), b"0123456789", b"", b"")


@case("S51", timing=True)
def next_request_is_not_body(trial: Trial) -> None:
    """A second request right behind the first: reading on must not run into it."""
    first = trial.request("/read-steps?do=r500,r500", "POST", body=b"0123456789")
    client = trial.connect()
    exchange = trial.exchange(first + trial.request("/hello"), client=client)
    reports = trial.call(exchange).all("step")
    trial.check(len(reports) == 2, f"wsgi.input.read(500) did not return; the client saw: {exchange.seen()}")
    expect(trial, reports, b"0123456789", b"")


@case("S52", timing=True)
def read_all(trial: Trial) -> None:
    """read() gives everything, and what is left after a part was read."""
    expect(trial, steps(trial, "r6,r"), BODY[:6], BODY[6:])
    trial.site.control.begin()
    expect(trial, steps(trial, "r-1"), BODY)


@case("S53", timing=True)
def nothing_again_and_again(trial: Trial) -> None:
    """After the end of a body every method gives nothing."""
    expect(trial, steps(trial, "r,r,r3,l,a,i", b"abc"), b"abc", b"", b"", b"", [], [])


@case("S53", timing=True)
def nothing_without_a_body(trial: Trial) -> None:
    """A GET has an input, an empty one."""
    expect(trial, steps(trial, "r1,r,l,a", None), b"", b"", b"", [])


@case("S54")
def readline_with_size(trial: Trial) -> None:
    """The size cuts a line; the rest of it comes next."""
    expect(trial, steps(trial, "l3,l100,l,l0,l", patient=False), b"fir", b"st line\n", b"second\n", b"", b"\n")


@case("S55")
def readlines(trial: Trial) -> None:
    """Without a hint all lines; with one at least so many bytes, in whole lines, and none lost."""
    lines = [b"first line\n", b"second\n", b"\n", b"last without end"]
    expect(trial, steps(trial, "a", patient=False), lines)
    trial.site.control.begin()
    hinted, rest = steps(trial, "a3,a", patient=False)
    for report in (hinted, rest):
        trial.check(report["raised"] is None, f"{named(report['step'])} raised {report['raised']}")
    together = [*hinted["value"], *rest["value"]]
    trial.check(together == _shown(lines), f"readlines(3) and readlines() together gave {together!r}")
    trial.check(hinted["value"], "readlines(3) gave nothing although there were lines")


@case("S56", timing=True)
def full_reads_of_a_slow_body(trial: Trial) -> None:
    """The body comes in small pieces: read(n) waits for all n bytes."""
    body = bytes(range(65, 91)) * 3
    expect(trial, steps(trial, "r40,r30,r30", body, pieces=9, patient=False), body[:40], body[40:70], body[70:])


@case("S56", timing=True)
def lines_of_a_slow_body(trial: Trial) -> None:
    """A line that comes in pieces is one line."""
    expect(trial, steps(trial, "l,l,r", pieces=4, patient=False), b"first line\n", b"second\n", BODY[18:])


@case("S56")
def one_position(trial: Trial) -> None:
    """read, readline and iteration continue where the one before stopped."""
    expect(
        trial, steps(trial, "r2,l,n,i", patient=False), b"fi", b"rst line\n", b"second\n", [b"\n", b"last without end"]
    )


@case("S57")
def errors_flush(trial: Trial) -> None:
    """flush() can be called."""
    exchange, call = trial.good("/errors-text?kind=plain")
    report = trial.event(call, "flush")
    if report is None:
        trial.fail(f"wsgi.errors.flush() did not return; the client saw: {exchange.seen()}")
    trial.check(report["raised"] is None, f"wsgi.errors.flush() raised {report['raised']}")
