"""The request's headers in environ: which are there, joined how, and no raw text beyond Latin-1 (S30-S32, S47)."""

from __future__ import annotations

import re

from wsgikit.validators.server.case import case
from wsgikit.validators.server.trial import Exchange, Trial


def _refused(trial: Trial, exchange: Exchange) -> bool:
    """Whether the server has turned the request away before its app saw it."""
    return 400 <= exchange.status < 500 and not trial.calls


@case("S30")
def headers_as_sent(trial: Trial) -> None:
    """Sent headers are there, with their value, in any spelling; others are not."""
    sent = [
        ("X-One", "1"),
        ("x-tWo", "Two words"),
        ("X-Empty", ""),
        ("Accept", "text/*;q=0.5, */*"),
        ("X-Pad", "  p\t"),
    ]
    _, call = trial.good("/hello", sent)
    wanted = {"HTTP_X_ONE": "1", "HTTP_X_TWO": "Two words", "HTTP_X_EMPTY": "", "HTTP_ACCEPT": "text/*;q=0.5, */*",
              "HTTP_X_PAD": "p", "HTTP_HOST": "probe.example"}  # fmt: skip
    for name, value in wanted.items():
        trial.check(call.environ.get(name) == value, f"{name} is {call.environ.get(name)!r}, the client sent {value!r}")


@case("S30")
def no_headers_of_its_own(trial: Trial) -> None:
    """Only what the client sent begins with HTTP_."""
    _, call = trial.good("/hello", [("X-One", "1")])
    inherited = set(call.facts["own_environment"])
    sent = ("HTTP_HOST", "HTTP_X_ONE", "HTTP_X_TRIAL")
    extra = [name for name in call.environ if name.startswith("HTTP_") and name not in sent and name not in inherited]
    trial.check(not extra, f"environ holds {', '.join(sorted(extra))}, which the client did not send")


@case("S31")
def repeated_headers(trial: Trial) -> None:
    """Joined by a comma, in their order, none lost."""
    _, call = trial.good("/hello", [("X-Multi", "b"), ("Accept", "*/*"), ("X-Multi", "a"), ("x-multi", "c")])
    seen = call.environ.get("HTTP_X_MULTI", "")
    parts = [part.strip(" \t") for part in seen.split(",")]
    trial.check(parts == ["b", "a", "c"], f"X-Multi: b, a, c in three lines became {seen!r}")


@case("S31")
def repeated_forwarded_headers(trial: Trial) -> str:
    """The repeated header on which security rests most often."""
    _, call = trial.good("/hello", [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "10.0.0.2")])
    seen = call.environ.get("HTTP_X_FORWARDED_FOR", "")
    if not seen:
        return "the server takes X-Forwarded-For away"
    parts = [part.strip(" \t") for part in seen.split(",")]
    trial.check(parts == ["10.0.0.1", "10.0.0.2"], f"two lines of X-Forwarded-For became {seen!r}")
    return ""


@case("S31")
def repeated_cookies(trial: Trial) -> None:
    """RFC 6265 allows a client one Cookie line only, so a comma here is a blemish and not a fault."""
    _, call = trial.good("/hello", [("Cookie", "b=2"), ("Cookie", "a=1")])
    seen = call.environ.get("HTTP_COOKIE", "")
    trial.check("b=2" in seen and "a=1" in seen, f"Cookie: b=2 and Cookie: a=1 became {seen!r}")
    trial.check(re.fullmatch("b=2; ?a=1", seen), f"Cookie: b=2 and Cookie: a=1 became {seen!r}", "advice")


@case("S32")
def underscores(trial: Trial) -> None:
    """X_Real next to X-Real must not be mixed with it or replace it."""
    for number, order in enumerate(((0, 1), (1, 0)), 1):
        both = [("X-Real", "good"), ("X_Real", "evil")]
        exchange = trial.get("/hello", [both[place] for place in order])
        calls = trial.wait_calls(number, 0.3)
        if len(calls) < number:
            if 400 <= exchange.status < 500:
                return
            trial.unclear(f"the request did not reach the app; the client saw: {exchange.seen()}")
        seen = calls[-1].environ.get("HTTP_X_REAL")
        trial.check(seen == "good", f"X-Real: good and X_Real: evil gave HTTP_X_REAL {seen!r}", "should")


@case("S32")
def underscore_alone(trial: Trial) -> None:
    """A lone X_Real passes for X-Real just as well."""
    exchange = trial.get("/hello", [("X_Real", "evil")])
    if _refused(trial, exchange):
        return
    seen = trial.call(exchange).environ.get("HTTP_X_REAL")
    trial.check(seen is None, f"X_Real: evil gave HTTP_X_REAL {seen!r}", "should")


@case("S32")
def proxy_header(trial: Trial) -> None:
    """HTTP_PROXY in environ becomes a setting when a CGI script inherits it (httpoxy)."""
    exchange = trial.get("/hello", [("Proxy", "http://evil.example/")])
    if _refused(trial, exchange):
        return
    seen = trial.call(exchange).environ.get("HTTP_PROXY")
    trial.check(seen is None, f"the header Proxy: became HTTP_PROXY {seen!r}", "advice")


@case("S47")
def raw_bytes_in_headers(trial: Trial) -> None:
    """UTF-8 in a header value: one character a byte, none above U+00FF."""
    raw = trial.request("/hello", headers=[("X-Utf", "\xe2\x82\xac")])
    exchange = trial.exchange(raw)
    if _refused(trial, exchange):
        return
    call = trial.call(exchange)
    wide = {name: text for name, text in call.environ.items() if any(ord(letter) > 255 for letter in text)}
    wide = {name: text for name, text in wide.items() if call.types[name] == "builtins.str"}
    trial.check(not wide, f"code points above U+00FF: {wide!r}")


@case("S47")
def raw_bytes_in_the_target(trial: Trial) -> None:
    """UTF-8, encoded and raw, in path and query. Refusing the raw bytes is fine."""
    targets = ("/hello/%E2%82%AC?q=%E2%82%AC", "/hello/\xe2\x82\xac?q=\xe2\x82\xac")
    for target in targets:
        trial.exchange(trial.request(target))
        trial.control_settles()
    for call in trial.calls:
        wide = [name for name, text in call.environ.items() if call.types[name] == "builtins.str" and _wide(text)]
        trial.check(
            not wide, f"code points above U+00FF in {', '.join(wide)}: {call.environ[wide[0]]!r}" if wide else ""
        )


def _wide(text: str) -> bool:
    return any(ord(letter) > 255 for letter in text)
